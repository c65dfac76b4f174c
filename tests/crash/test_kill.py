"""kill -9 in the middle of a push: whatever was acknowledged is there afterwards, once and whole."""

import hashlib
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pusher
import pydicom
import pytest
from running import Node, wait

from scp.retrieve.send import SendError, send

COUNT, SENDERS, KILLS = 100, 3, 4


class Pusher:
    """A process that pushes COUNT instances of its own."""

    def __init__(self, node, seed):
        self.numbers = range(seed * COUNT, (seed + 1) * COUNT)
        words = [sys.executable, pusher.__file__, node.port, self.numbers.start, COUNT]
        self.said = node.folder / f"pusher-{seed}.log"
        with self.said.open("wb") as said:
            command = [str(word) for word in words]
            self.process = subprocess.Popen(
                command, stdout=said, stderr=subprocess.DEVNULL, cwd=Path(pusher.__file__).parent
            )

    def acknowledged(self):
        return [int(line) for line in self.said.read_text().split()]


def check(node, acknowledged):
    """Every acknowledged instance has one row and one file whose bytes are those that were indexed."""
    rows = node.instances()
    files = {path.name: path for path in node.published(len(rows))}
    assert Counter(row["file_name"] for row in rows).most_common(1)[0][1] == 1
    for row in rows:
        assert hashlib.sha256(files[row["file_name"]].read_bytes()).digest() == row["digest"]
    kept = Counter(pydicom.dcmread(files[row["file_name"]]).PixelData for row in rows)
    assert max(kept.values()) == 1
    assert {pusher.unlike(number).PixelData for number in acknowledged} <= set(kept)


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path, visit_quiet_seconds=2)
    node.start()
    yield node
    node.stop()


@pytest.mark.parametrize("victim", ["worker", "writer", "supervisor"])
def test_nothing_acknowledged_is_missing(node, victim):
    pushers = [Pusher(node, seed) for seed in range(SENDERS)]
    for kill in range(1, KILLS + 1):
        stored = wait(
            lambda least=kill * 20: (
                ((now := len(node.instances())) >= least and now)
                or all(sender.process.poll() is not None for sender in pushers)
            ),
            "some are stored",
        )
        assert stored
        if victim == "worker":
            node.kill_a_worker()
        elif victim == "writer":
            node.kill_the_writer()
        else:
            node.kill()
            node.start()
    for sender in pushers:
        assert sender.process.wait(timeout=60) == 0
    acknowledged = [number for sender in pushers for number in sender.acknowledged()]
    assert len(acknowledged) >= COUNT
    check(node, acknowledged)

    everything = [number for sender in pushers for number in sender.numbers]
    again = [pusher.unlike(number) for number in everything]
    for _attempt in range(5):  # a sender tries again what it was not told of, and pynetdicom's loses an answer at times
        with suppress(SendError):
            assert set(
                send(again, host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)
            ) == {0}
            break
    else:
        pytest.fail("no association lasted")
    check(node, everything)
    assert len(node.instances()) == COUNT * SENDERS
    assert node.stop() == 0
