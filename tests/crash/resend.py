"""Senders that try again, hang up in the middle and are cut off, at a real node: each instance is there once.

`resend.py [--sends N] [--seed N]`: every send is an association of one C-STORE; three in ten end somewhere within,
with a FIN or with an RST.
"""

import argparse
import os
import random
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "dialogues"), str(TESTS / "crash")]

from campaign import say  # noqa: E402  the path comes first
from house import House, instance  # noqa: E402
from peer import COMMAND, EXPLICIT, LAST, MR, RELEASE_RQ, STORE, associate, context, pdu, pdv, request  # noqa: E402
from running import Node, wait  # noqa: E402

from scp.outcome import Outcome  # noqa: E402

SENDERS = 6
AGAIN = 10  # sends of each instance, about
ABORTED = 0.3
PATIENCE = 30.0
SPARE = 64  # descriptors, which SQLite keeps for its next connections


def spoken(number: int) -> bytes:
    """An association with one instance, as bytes on the wire."""
    arrival = instance(number)
    data = bytes(arrival.data) + b"".join(arrival.rest or ())
    command = request(STORE, MR, arrival.sop_instance_uid, data=True)
    parts = [associate(context(3, MR, EXPLICIT)), pdu(4, pdv(3, COMMAND | LAST, command))]
    pieces = [data[at : at + 900] for at in range(0, len(data), 900)]
    parts += [pdu(4, pdv(3, LAST if piece is pieces[-1] else 0, piece)) for piece in pieces]
    return b"".join(parts)


def status(heard: bytes) -> int | None:
    """The status of the C-STORE-RSP, (0000,0900), if there was one."""
    at = heard.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")
    return struct.unpack_from("<H", heard, at + 8)[0] if at >= 0 else None


def send(  # noqa: PLR0913  as a line is
    port: int,
    number: int,
    chance: random.Random,
    aborted: float = ABORTED,
    *,
    host: str = "127.0.0.1",
    patience: float = PATIENCE,
) -> int | None:
    """Speak all of it and hear the answer, or be cut off somewhere: None."""
    data = spoken(number)
    cut = chance.randrange(len(data)) if chance.random() < aborted else None
    with socket.create_connection((host, port), patience) as sock:
        try:
            sock.sendall(data[:cut])
            if cut is not None:
                if chance.random() < 0.5:  # an RST instead of a FIN
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return None
            heard = b""
            while status(heard) is None:
                part = sock.recv(4096)
                if not part:
                    return None
                heard += part
            sock.sendall(RELEASE_RQ)
            sock.recv(4096)
        except ConnectionError:
            return None
    return status(heard)


class Senders:
    """Some of them at once, each with a random order of its own."""

    def __init__(self, port: int, sends: int, seed: int) -> None:
        self.port = port
        self.all = max(sends // AGAIN, 10)
        self.answers: dict[int, int] = {}
        self.told: Counter[str] = Counter()
        self._left = sends
        self._turn = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(seed * 1000 + at,)) for at in range(SENDERS)]

    def run(self, heard=say) -> None:
        """Until everything is sent."""
        begun = spoke = time.monotonic()
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(1.0)
                if time.monotonic() - spoke > 10:
                    spoke = time.monotonic()
                    heard(f"{spoke - begun:6.0f} s {self._left} to go, {dict(self.told)}")

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        while True:
            with self._turn:
                if not self._left:
                    return
                self._left -= 1
            number = chance.randrange(self.all)
            self._heard(number, send(self.port, number, chance))

    def _heard(self, number: int, answer: int | None) -> None:
        with self._turn:
            self.told["cut" if answer is None else f"0x{answer:04X}"] += 1
            if answer is not None:
                self.answers[number] = answer


def vitals(node: Node) -> tuple[int, int]:
    """Descriptors and threads of the node's workers."""
    pids = node.workers()
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
    return descriptors, sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)


def left(node: Node, before: tuple[int, int], threads: int = 0) -> list[str]:
    """What senders that were cut off have left behind; so many more `threads` may still be there."""
    try:
        wait(lambda: node.metric("cloakroom_associations_open") == 0, "all associations have ended", 60.0)
        wait(lambda: vitals(node)[1] <= before[1] + threads, "all threads have ended", 60.0)
    except AssertionError as error:
        return [str(error)]
    wrong = []
    if vitals(node)[0] > before[0] + SPARE:
        wrong.append(f"{vitals(node)[0]} descriptors instead of {before[0]}")
    if temporaries := list((node.export / ".tmp").rglob(".tmp-*")):
        wrong.append(f"{len(temporaries)} temporaries are left")
    return wrong


def answered(node: Node, answers: dict[int, int]) -> list[str]:
    """What is wrong with the answers, held against what a node that was stopped has."""
    house = House(node.folder)
    bad = set(answers.values()) - {Outcome.STORED.status, Outcome.INCOMPLETE.status}
    wrong = [f"0x{answer:04X} was answered" for answer in bad]
    if set(house.contents().values()) != {1}:
        wrong.append("an instance stands there more than once")
    return wrong + house.check(answers)


def resent(folder: Path, sends: int, seed: int, heard=say) -> list[str]:
    """What is wrong after so many sends."""
    node = Node(folder, visit_quiet_seconds=1, limits__stream_bytes=1024)
    node.start()
    try:
        Senders(node.port, 50, seed + 1).run(heard)  # what is made once is made
        before = vitals(node)
        senders = Senders(node.port, sends, seed)
        senders.run(heard)
        wrong = left(node, before)
    finally:
        node.stop()
    heard(f"{sends} sends of {senders.all} instances: {dict(senders.told)}")
    return wrong + answered(node, senders.answers)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloakroom-resend-") as folder:
        wrong = resent(Path(folder), options.sends, options.seed)
    say("\n".join(wrong) or "each instance is there once")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
