"""Mutated conversations against a node as its operator starts it: `talk.py [COUNT [SEED]]`, exit code 1 on a find.

Several clients speak at once while an honest one asks C-ECHO all the time. No process may end, no exception may get
to the top of a thread, nobody may go unanswered; and afterwards threads, descriptors and temporary files are as before.
"""

import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "dialogues"), str(TESTS / "fuzz")]

from conversations import conversations, mutated  # noqa: E402  the path comes first
from peer import ECHO_RQ, RELEASE_RQ, associate  # noqa: E402
from running import Node, wait  # noqa: E402

from scp.store.staging import LOCK, MARK  # noqa: E402

CLIENTS = 4
BATCH = 250
PATIENCE = 20.0  # seconds that an answer or an end may take; the node's own limits are shorter
LIMITS = {
    "header_seconds": 2,
    "body_seconds": 2,
    "idle_seconds": 5,
    "artim_seconds": 5,
    "max_fruitless_per_second": 1_000_000,  # what is never read finds no defect
}
FORBIDDEN = ("uncaught", "take_failed", "child_died", "child_failed", "child_killed", "accept_failed")
FIRST_BYTES = (b"", b"\2", b"\3", b"\7")
SPARE = 64  # descriptors
GROWTH = 64 * 2**20  # bytes each process may have more than after the first conversations


class Vitals(NamedTuple):
    """What may not grow."""

    threads: int
    descriptors: int
    temporaries: int

    def left(self, now: "Vitals") -> bool:
        """Whether something is left behind now; SQLite keeps a few descriptors for its next connections."""
        return now.threads > self.threads or now.temporaries > 0 or now.descriptors > self.descriptors + SPARE


class Find(NamedTuple):
    """A conversation's number and what was wrong with the answer."""

    number: int
    why: str


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def speak(port: int, data: bytes) -> bytes:
    """Say it all, say no more, and hear everything."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(65536):
                heard += part
        except ConnectionError:
            return heard
    return heard


def batch(port: int, seed: int, numbers: range) -> list[Find]:
    """Speak these, in a client's process."""
    good, finds = conversations(), []
    for number in numbers:
        try:
            heard = speak(port, mutated(good, seed, number))
        except TimeoutError:
            finds.append(Find(number, "no end within the patience"))
            continue
        if heard[:1] not in FIRST_BYTES:
            finds.append(Find(number, f"an answer that begins with {heard[:1]!r}"))
    return finds


def probe(port: int) -> float:
    """Seconds that an honest C-ECHO takes."""
    begun = time.monotonic()
    heard = speak(port, associate() + ECHO_RQ + RELEASE_RQ)
    if not heard.endswith(b"\6\0\0\0\0\4\0\0\0\0"):
        raise AssertionError("the honest probe was not answered")
    return time.monotonic() - begun


def processes(node: Node) -> list[int]:
    """The supervisor and its children."""
    pid = node.process.pid
    return [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def vitals(node: Node) -> Vitals:
    """Threads, descriptors and temporary files now."""
    pids = processes(node)
    threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
    files = [path for path in (node.export / ".tmp").rglob("*") if path.is_file() and path.name not in {LOCK, MARK}]
    return Vitals(threads, descriptors, sum(not path.name.endswith(".dcm") for path in files))


def resident(node: Node) -> dict[int, int]:
    """Bytes resident, by process."""
    return {pid: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in processes(node)}


def told(node: Node) -> list[str]:
    """The log's lines that may not be there."""
    lines = node.log.read_text("utf-8").splitlines()
    return [line for line in lines if line.startswith("{") and json.loads(line)["event"] in FORBIDDEN]


def campaign(folder: Path, count: int, seed: int) -> list[str]:
    """Everything that is wrong with the node after `count` conversations; says how it goes."""
    settings = {f"limits__{key}": value for key, value in LIMITS.items()}
    node = Node(folder, visit_quiet_seconds=3600, **settings)
    node.start()
    try:
        return _campaign(node, count, seed)
    finally:
        node.stop()


def _campaign(node: Node, count: int, seed: int) -> list[str]:
    threads = vitals(node).threads
    batch(node.port, seed, range(-min(count, 200), 0))  # what is made once is made: caches, folders, connections
    wait(lambda: node.metric("cloakroom_associations_open") == 0, "the first associations have ended")
    wait(lambda: vitals(node).threads <= threads, "their threads have waited long enough for others")
    before, alive, memory = vitals(node), processes(node), resident(node)
    say(f"{count} conversations, seed {seed}; at first {before}")
    finds, probes = _speak(node, count, seed)
    wrong = [f"conversation {find.number} of seed {seed}: {find.why}" for find in finds]
    wrong += [f"the log says: {line}" for line in told(node)]
    if processes(node) != alive:
        wrong.append("a process has ended")
    try:
        wait(lambda: not before.left(vitals(node)), "nothing is left behind", 20.0)
    except AssertionError:
        wrong.append(f"left behind: {vitals(node)} instead of {before}")
    now = resident(node)
    growth = max(now.get(pid, 0) - size for pid, size in memory.items())
    if growth > GROWTH:
        wrong.append(f"a process grew by {growth / 2**20:.0f} MiB")
    probes.sort()
    say(f"at last {vitals(node)}")
    say(f"largest growth {growth / 2**20:.1f} MiB; {len(probes)} probes, p99 {probes[len(probes) * 99 // 100]:.3f} s")
    return wrong


def _speak(node: Node, count: int, seed: int) -> tuple[list[Find], list[float]]:
    finds: list[Find] = []
    probes: list[float] = []
    begun, said = time.monotonic(), 0.0
    starts = range(0, count, BATCH)
    with ProcessPoolExecutor(CLIENTS, multiprocessing.get_context("spawn")) as pool:
        work = [pool.submit(batch, node.port, seed, range(at, min(at + BATCH, count))) for at in starts]
        while not all(each.done() for each in work):
            probes.append(probe(node.port))
            time.sleep(0.1)
            if time.monotonic() - said > 10:
                said = time.monotonic()
                done = sum(each.done() for each in work) * BATCH
                say(f"{said - begun:6.0f} s {min(done, count)}/{count}")
        for each in work:
            finds += each.result()
    probes.append(probe(node.port))
    return finds, probes


def main() -> int:
    """The command."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="cloakroom-fuzz-") as folder:
        wrong = campaign(Path(folder), count, seed)
    say("\n".join(wrong) or "nothing found")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
