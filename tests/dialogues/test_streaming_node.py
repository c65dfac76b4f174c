"""A real node and a large instance: what lies on the disk while it comes, what a kill leaves, what memory it takes."""

import hashlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import factories
import pytest
from peer import PATIENCE, Line, associate, command, context, pdu, pdv, store_command
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian
from running import Node, wait

PDU_BYTES = 131_072
MIB = 1 << 20
ROWS = 512
FRAME = ROWS * ROWS * 2


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, workers=1, visit_quiet_seconds=2, min_free_bytes=1)
    node.start()
    yield node
    node.stop()


class Push:
    """One enhanced MR image of so many frames, sent as far as is asked for."""

    def __init__(self, node: Node, frames: int, seed: int = 0) -> None:
        self.uid = f"1.2.3.{seed + 1}"
        self.needles = factories.needles(seed)
        header = factories.enhanced(
            seed, SOPInstanceUID=self.uid, Rows=ROWS, Columns=ROWS, NumberOfFrames=str(frames), PixelData=b""
        )
        self.header = factories.encode(header)[:-4] + struct.pack("<I", frames * FRAME)
        self.frames, self.sent = frames, 0
        self.line = Line(socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE * 3))
        self.line.sock.sendall(associate(context(3, EnhancedMRImageStorage, ExplicitVRLittleEndian), max_pdu=PDU_BYTES))
        assert self.line.receive()[0] == 2
        self.line.sock.sendall(command(3, store_command(EnhancedMRImageStorage, self.uid)) + self._part(self.header))

    def _part(self, data: bytes, *, last: bool = False) -> bytes:
        return pdu(4, pdv(3, 2 * last, data))

    def send(self, frames: int) -> None:
        """So many frames more, each of other numbers."""
        for _ in range(frames):
            self.sent += 1
            frame = self.sent.to_bytes(4, "little") * (FRAME // 4)
            step = PDU_BYTES - 6
            for at in range(0, FRAME, step):
                last = self.sent == self.frames and at + step >= FRAME
                self.line.sock.sendall(self._part(frame[at : at + step], last=last))

    def answer(self) -> int:
        """The status that comes back."""
        _, body = self.line.receive()
        at = body.index(b"\0\0\0\x09\2\0\0\0")
        return int.from_bytes(body[at + 8 : at + 10], "little")


def arriving(node: Node) -> list[Path]:
    return [path for path in (node.export / ".tmp").glob(".tmp-*") if path.stat().st_size > 4 * FRAME]


def test_while_a_sender_stalls_only_pixels_lie_on_the_disk_and_a_kill_leaves_no_instance(running: Node) -> None:
    push = Push(running, frames=32)
    for frames in (8, 8, 8):
        push.send(frames)
        (temporary,) = wait(lambda: arriving(running), "the pixels arrive")
        contents = running.clear()
        for word in (*push.needles, push.uid.encode()):
            assert [name for name, content in contents.items() if word in content] == []
    assert temporary.stat().st_size > 12 * FRAME
    running.kill_a_worker()
    push.line.sock.close()
    assert list(running.export.rglob("*.dcm")) == []
    assert len(running.instances()) == 0
    wait(lambda: running.metric("cloakroom_worker_restarts_total") == 1.0, "the worker is there again")

    again = Push(running, frames=32)
    again.send(32)
    assert again.answer() == 0
    (row,) = running.instances()
    (file,) = running.published(1)
    assert hashlib.sha256(file.read_bytes()).digest() == row["digest"]
    again.line.sock.close()
    assert running.stop() == 0
    running.start()
    assert arriving(running) == []
    assert running.stop() == 0


def status(pid: int, name: str) -> int:
    """A figure of /proc/<pid>/status, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) // 1024


def test_two_hundred_megabytes_take_no_memory(running: Node) -> None:
    frames = 200 * MIB // FRAME
    (worker,) = running.workers()
    idle = status(worker, "VmHWM")
    push = Push(running, frames=frames)
    push.send(frames)
    assert push.answer() == 0
    assert status(worker, "VmHWM") - idle < 30
    push.line.sock.close()
    (file,) = running.published(1)
    assert file.stat().st_size > 200 * MIB


def belongings(pid: int) -> tuple[int, int]:
    """How many threads and descriptors a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def settled(pid: int) -> tuple[int, int] | None:
    """The same, once it has been the same for a while."""
    before = belongings(pid)
    time.sleep(0.3)
    return before if belongings(pid) == before else None


def test_one_that_is_broken_off_leaves_no_thread_and_no_descriptor(running: Node) -> None:
    (worker,) = running.workers()
    after: list[tuple[int, int]] = []
    for seed in range(4):
        push = Push(running, frames=32, seed=seed)
        push.send(16 + seed)
        wait(lambda: arriving(running), "the pixels arrive")
        wait(lambda: belongings(worker)[0] >= 4, "two helpers are beside the association and the worker's own thread")
        push.line.sock.close()
        wait(lambda: running.metric("cloakroom_associations_open") == 0, "the association is over")
        after.append(wait(lambda: settled(worker), "what it leaves is settled"))
        assert arriving(running) == []
    assert after == after[:1] * 4
    assert after[0][0] < 4
    assert running.workers() == [worker]


def test_what_fails_is_sealed_without_being_in_memory(running: Node) -> None:
    frames = 100 * MIB // FRAME
    (worker,) = running.workers()
    idle = status(worker, "VmHWM")
    push = Push(running, frames=frames)
    push.frames = frames - 1  # the last frame never comes
    push.send(frames - 1)
    assert push.answer() == 0xC001
    assert status(worker, "VmHWM") - idle < 30
    push.line.sock.close()
    (sealed,) = (running.state / "quarantine" / "incomplete").iterdir()
    assert sealed.stat().st_size > (frames - 1) * FRAME
    assert [path for path in running.export.rglob("*") if path.is_file() and path.stat().st_size > MIB] == []
