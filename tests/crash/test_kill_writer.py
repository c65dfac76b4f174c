"""kill -9 of the index writer at random moments: who was answered was told the truth, and nobody else was."""

import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import writer_process
from running import wait

from scp.db.channel import listen
from scp.db.commit import WriterCommit
from scp.db.engine import Engine
from scp.db.writes import Write, run

SENDERS, KILLS = 6, 6


def instance(uid, visit):
    return Write(
        "instance",
        {
            "sop_instance_uid": uid,
            "source_uid": uid.encode(),
            "source_digest": b"s",
            "digest": uid.encode(),
            "size": 1,
            "series_uid": "2.25.2",
            "sop_class_uid": "1.2",
            "transfer_syntax": "1.2",
            "file_name": f"{uid}.dcm",
            "recipe": "r",
            "scan_research_id": visit,
            "delivery": 1,
            "now": time.time(),
        },
    )


def start(listener, path):
    command = [sys.executable, writer_process.__file__, str(listener.fileno()), str(path)]
    return subprocess.Popen(command, pass_fds=[listener.fileno()])


def test_what_was_answered_is_committed_once(tmp_path):
    path, address = tmp_path / "index.db", tmp_path / "run" / "index.sock"
    engine = Engine(path, "index")
    engine.migrate()
    run(engine, [Write("delivery", {"scan_research_id": "7", "pseudonym": "S", "now": 1.0})])
    told, done, chance = [], threading.Event(), random.Random(7)  # noqa: S311  moments, not secrets

    def send(sender):
        number = 0
        while not done.is_set():
            number += 1
            uid = f"2.25.{sender}.{number}"
            told.append((uid, commit(instance(uid, "7"))["outcome"]))

    with listen(address) as listener, closing(WriterCommit(address, patience=60.0)) as commit:
        process = start(listener, path)
        threads = [threading.Thread(target=send, args=(sender,), daemon=True) for sender in range(SENDERS)]
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            before = len(told)
            wait(lambda before=before: len(told) > before + chance.randrange(60), "some are answered")
            time.sleep(chance.random() / 100)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start(listener, path)
        done.set()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        process.terminate()
        assert process.wait(timeout=10) == 0
    rows = {row["sop_instance_uid"] for row in engine._database().execute("SELECT * FROM instance").fetchall()}
    engine.close()
    assert {uid for uid, _ in told} == rows  # all were asked until they were answered
    assert {outcome for _, outcome in told} == {"STORED"}  # also those whose first answer was lost
    assert len(told) > KILLS
