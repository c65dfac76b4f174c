"""A writer's turn: it comes, it is held up, it comes again, and asking for it writes nothing."""

import fcntl
import os
import sqlite3
import subprocess
import sys
import threading

import pytest
from running import wait

from scp.config import Config
from scp.db.engine import Engine
from scp.db.turn import Turn, holder, locker
from scp.glance import HELD, Glance, Publishing
from scp.store.staging import LOCK, Staging


@pytest.fixture
def path(tmp_path):
    engine = Engine(tmp_path / "index.db", "index")
    engine.migrate()
    engine.close()
    return tmp_path / "index.db"


class Held:
    """The write lock in another process's hands, as far as the kernel can tell."""

    def __init__(self, path):
        self._descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def give_back(self):
        os.close(self._descriptor)


def test_the_turn_of_a_database_that_nobody_keeps_comes(path):
    turn = Turn(path, "index")
    assert turn.comes(60.0)
    assert turn.comes(60.0)


def test_a_lock_that_is_not_given_back_lets_no_turn_come_until_it_is(path):
    turn, held = Turn(path, "index", seconds=0.0), Held(path)
    assert not turn.comes(0.0)
    assert not turn.comes(0.1)
    held.give_back()
    wait(lambda: turn.comes(1.0), "the turn comes")


def test_what_is_not_known_yet_is_taken_to_come(path):
    turn, held = Turn(path, "index", seconds=3600.0), Held(path)
    assert turn.comes(0.0)
    held.give_back()
    assert turn.comes(60.0)


def test_one_waits_at_a_time(path):
    turn, held = Turn(path, "index", seconds=0.0), Held(path)
    for _ in range(5):
        turn.comes(0.0)
    assert sum(thread.name == "turn" for thread in threading.enumerate()) == 1
    held.give_back()
    wait(lambda: not any(thread.name == "turn" for thread in threading.enumerate()), "it has gone")


def test_a_lock_of_the_database_itself_counts_too(path, monkeypatch):
    monkeypatch.setattr("scp.db.engine.BUSY_SECONDS", 0.01)
    other = sqlite3.connect(path, isolation_level=None)  # as an operator would
    other.execute("BEGIN IMMEDIATE")
    assert not Turn(path, "index").comes(60.0)
    other.execute("ROLLBACK")
    other.close()
    assert Turn(path, "index").comes(60.0)


def test_a_database_that_is_gone_has_no_turn_and_is_not_made(tmp_path):
    assert not Turn(tmp_path / "index.db", "index").comes(60.0)
    assert list(tmp_path.iterdir()) == []


def test_asking_writes_nothing(path):
    engine = Engine(path, "index")
    with engine.write():
        engine.change("set_node", {"name": "id", "value": "a"})
    files = [path, path.with_name("index.db-wal")]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    turn = Turn(path, "index")
    for _ in range(20):
        assert turn.comes(60.0)
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before
    engine.close()


def test_who_holds_the_lock_is_named(path):
    assert holder(path) is None
    code = (
        f"import fcntl, os; fcntl.flock(os.open({str(path.with_suffix('.lock'))!r}, 2), 2); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert holder(path) == process.pid
        waiting = Turn(path, "index")
        waiting.comes(0.0)
        assert holder(path) == process.pid, "and not who waits for it"
        process.communicate(b"\n")
    wait(lambda: holder(path) is None, "nobody holds it")


def test_who_keeps_everybody_from_publishing_is_told(tmp_path):
    staging = Staging(tmp_path)
    lock = staging.root / LOCK
    glance = Glance(Config(export=tmp_path), None, publishing=Publishing(lock, "publishing", seconds=0.0))
    assert glance.warnings(60.0) == [], "nobody has published yet"
    assert not lock.exists()
    staging.prepare()
    code = f"import fcntl, os; fcntl.flock(os.open({str(lock)!r}, 66, 0o600), 2); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        wait(lambda: glance.warnings(0.0) == [HELD], "the page warns")
        assert locker(lock) == process.pid
        process.communicate(b"\n")
    wait(lambda: glance.warnings(1.0) == [], "the page warns no more")


def test_without_a_lock_file_nobody_is_named(tmp_path):
    assert holder(tmp_path / "index.db") is None
