"""A thief takes the disk of a node that was killed at work: no planted identifier stands in any byte of its raw device.

`thief.py [--instances N] [--lives N] [--seed N]`, as root: the node's folder, its log, its TMPDIR and where its core
files would go lie on an ext4 image whose journal keeps data too. Half of what is sent goes wrong. Each life ends with
kill -9 in the middle; then journal and blocks that were given back are searched with the rest. 1 on a find.
"""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "crash")]

from campaign import say  # noqa: E402  the path comes first
from needles import Needle, Search  # noqa: E402
from planted import PLACES, Needles, Person, Sent, send  # noqa: E402
from planted.against import hidden_kinds  # noqa: E402
from planted.scripts import SCRIPTS  # noqa: E402
from power import Disk, run  # noqa: E402
from pyrage import x25519  # noqa: E402
from running import Node, wait  # noqa: E402
from sealed import opened_by  # noqa: E402

from bench import wire  # noqa: E402

RECIPE = "mip"
SENDERS = 6
FIRST = 900  # seed of the first person
KINDS = hidden_kinds(RECIPE) - {"age"}  # four characters stand anywhere by chance
HIDING = [place for place in PLACES.values() if place.kind in hidden_kinds(RECIPE) and not place.beyond]
WRONG = ("cut", "mismatched", "conflicting", "hung up")
PRIVATE_KEY = b"AGE-SECRET-KEY-1"
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
CONTROL = b"Zqcontrolwasonthisdiskonce"
OPENED = 200  # sealed files that are tried with each key, at most
_SYNCS = 0.2  # s between two moments at which all that was written goes to the device


@dataclass(frozen=True)
class Planned:
    """An instance and what goes wrong with it, if anything."""

    sent: Sent
    wrong: str = ""


@cache
def _whole(number: int) -> Sent:
    return send(HIDING[number % len(HIDING)], FIRST + number // len(HIDING))


def planned(number: int) -> Planned:
    """The instances of even numbers as they are, and each other one broken in its own way."""
    chance = random.Random(number)  # noqa: S311  the same on every run
    sent = _whole(number)
    if number % 2 == 0:
        return Planned(sent)
    wrong = WRONG[number // 2 % len(WRONG)]
    if wrong == "cut":
        return Planned(replace(sent, data=sent.data[: -chance.randrange(1, 300)]), wrong)
    if wrong == "mismatched":
        return Planned(replace(sent, sop_instance_uid=sent.person.uid(f"another {number}")), wrong)
    if wrong == "conflicting":
        before = _whole(number - 1)
        return Planned(replace(before, data=before.data[:-1] + bytes([before.data[-1] ^ 0x55])), wrong)
    return Planned(sent, wrong)


def push(port: int, one: Planned, chance: random.Random) -> str:
    """One association with it; what was answered, or "hung up", or "cut off" where the node died."""
    sent = one.sent
    try:
        sock, max_pdu = wire.connect(port, sent.sop_class, sent.transfer_syntax)
        with sock:
            slices = wire.store(sent.sop_class, sent.sop_instance_uid, memoryview(sent.data), max_pdu)
            if one.wrong == "hung up":
                data = b"".join(slices)
                sock.sendall(data[: chance.randrange(len(data) // 2, len(data))])
                return one.wrong
            wire.send_all(sock, slices)
            status = wire.status(sock)
            wire.release(sock)
    except (OSError, wire.WireError, IndexError, ValueError):
        return "cut off"
    return f"0x{status:04X}"


class OnDisk(Node):
    """A node all of whose writing goes to one disk."""

    @property
    def environ(self) -> dict[str, str]:
        """TMPDIR there as well."""
        place = self.folder / "tmp"
        place.mkdir(exist_ok=True)
        return super().environ | {"TMPDIR": str(place)}


@dataclass
class Theft:
    """What came of it."""

    told: Counter[str] = field(default_factory=Counter)
    searched: int = 0  # bytes of devices, each of them in every life
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


def needles(instances: int) -> list[Needle]:
    """Of every person of the corpus, in every form, but plain dates: one that was moved may be somebody else's."""
    people = [Person(seed) for seed in range(FIRST, FIRST + -(-instances // len(HIDING)))]
    sets = [Needles(person, KINDS) for person in people]
    sets += [Needles(person, frozenset(), script) for person in people for script in SCRIPTS]
    return sorted({Needle(form, folded) for one in sets for form, folded in one.forms()})


def stolen(folder: Path, instances: int, lives: int, seed: int, heard=say) -> list[str]:
    """What is wrong after so many instances in so many lives."""
    theft, chance = Theft(), random.Random(seed)  # noqa: S311
    search = Search([*needles(instances), Needle(CONTROL), Needle(PRIVATE_KEY)])
    officer = x25519.Identity.generate()
    heard(f"{instances} instances, {len(search)} needles")
    numbers = list(range(instances))
    with _cores_allowed(), Disk(folder, max(instances // 8, 128), "data=journal") as disk:
        theft.wrong += _control(disk, heard)
        with _node(disk.mount() / "node", str(officer.to_public())) as node:
            left: list[int] = []
            for life in range(lives):
                node.settings["limits__stream_bytes"] = 1024 if life % 2 else 1 << 24
                share = numbers[life * instances // lives : (life + 1) * instances // lives]
                left = _live(node, left + share, chance, theft, disk)
                theft.wrong += _read(disk, search, theft)
                heard(f"life {life + 1}: {theft.kills} kills, {dict(sorted(theft.told.items()))}")
            theft.wrong += _rest(node, left, theft)
            theft.wrong += _read(disk, search, theft)
            heard(f"{sum(theft.told.values())} sends, {theft.searched >> 20} MiB searched")
            theft.wrong += opened_by(node, officer, search, OPENED, heard)
    return theft.wrong


@contextmanager
def _node(folder: Path, officer: str) -> Iterator[OnDisk]:
    """One that never saw the officer's private key; none of its processes holds the disk when it is over."""
    (folder / "state" / "keys").mkdir(parents=True)
    (folder / "state" / "keys" / "officer.pub").write_text(officer)
    node = OnDisk(folder, recipe=RECIPE, visit_quiet_seconds=1, min_free_bytes=1 << 20)
    try:
        yield node
    finally:
        if node.process:
            node.kill()
            wait(lambda: not node.living(""), "all of its processes are gone")


@contextmanager
def _cores_allowed() -> Iterator[None]:
    """As far as it goes; what is started meanwhile inherits it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def _control(disk: Disk, heard: Callable[[str], None]) -> list[str]:
    """The core file of a process that did not see to it that there is none: here it leaves one."""
    if not CORE_PATTERN.read_text().strip().startswith("core") or not resource.getrlimit(resource.RLIMIT_CORE)[0]:
        heard("this machine's kernel puts core files elsewhere, so that only the limit of the node is looked at")
        return []
    subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=disk.mount(), check=False)
    cores = list(disk.mount().glob("core*"))
    for core in cores:
        core.unlink()
    return [] if cores else ["the control left no core file: that the node leaves none shows nothing"]


@contextmanager
def _written(disk: Disk) -> Iterator[None]:
    """All that is written meanwhile goes to the device soon, however short its life."""
    over = threading.Event()

    def sync() -> None:
        while not over.wait(_SYNCS):
            run("sync", "-f", str(disk.mount()))

    thread = threading.Thread(target=sync)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _live(node: Node, numbers: Sequence[int], chance: random.Random, theft: Theft, disk: Disk) -> list[int]:
    """A start, senders, the death of a worker that would leave a core file, and kill -9 of all in the middle.

    Returns what was not sent any more.
    """
    node.start()
    left, turn, over = list(reversed(numbers)), threading.Lock(), threading.Event()
    dying = chance.randrange(len(left) // 20 + 1)  # so many are still to be sent when it happens

    def work(own: random.Random) -> None:
        while not over.is_set():
            with turn:
                if not left:
                    return
                number = left.pop()
            answer = push(node.port, planned(number), own)
            with turn:
                theft.told[answer] += 1

    threads = [threading.Thread(target=work, args=(random.Random(chance.random()),)) for _ in range(SENDERS)]  # noqa: S311
    with _written(disk):
        for thread in threads:
            thread.start()
        wait(lambda: len(left) < 2 * len(numbers) / 3, "some are sent", 600)
        theft.wrong += _crash(node)
        wait(
            lambda: len(left) <= dying or not any(map(threading.Thread.is_alive, threads)), "nearly all are sent", 1200
        )
        node.kill()
        theft.kills += 1
        over.set()
        for thread in threads:
            thread.join()
    theft.wrong += [f"{path.name} was left" for path in disk.mount().rglob("core*")]
    return left


def _crash(node: Node) -> list[str]:
    """A worker dies of SIGSEGV; what it may leave."""
    pid = wait(node.workers, "there is a worker")[0]
    limits = Path(f"/proc/{pid}/limits").read_text("ascii")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSEGV)
    (core,) = [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")]
    return [f"core files of {core[1]} bytes are allowed"] if core != ["0", "0"] else []


def _read(disk: Disk, search: Search, theft: Theft) -> list[str]:
    """What stands on the device, names of files included, for they are blocks too.

    Something in the clear is put there and taken away again at once: who does not find it has not searched.
    """
    control = disk.mount() / "control"
    control.write_bytes(CONTROL * 100)
    run("sync", "-f", str(disk.mount()))
    control.unlink()
    run("sync", "-f", str(disk.mount()))
    found, size = search.file(disk.image)
    theft.searched += size
    if not found.pop(CONTROL, 0):
        return ["the control was not found: the device was not searched"]
    return [f"{needle!r} at byte {place} of the device" for needle, place in list(found.items())[:20]]


def _rest(node: Node, left: Sequence[int], theft: Theft) -> list[str]:
    """A last start, at peace: what was not sent yet, what it makes of all that, and its end."""
    node.start()
    theft.told.update(push(node.port, planned(number), random.Random(number)) for number in left)  # noqa: S311
    wait(lambda: not node.metric('cloakroom_visits{state="receiving"}'), "all visits are published", 120)
    code = node.stop()
    verified = subprocess.run(
        [sys.executable, "-m", "scp.cli", "verify"], env=node.environ, check=False, capture_output=True, text=True
    )
    wrong = [f"the node ended with {code}"] if code else []
    return wrong + ([f"verify found {verified.stdout[-500:]}"] if verified.returncode else [])


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--lives", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cloakroom-thief-") as folder:
        wrong = stolen(Path(folder), options.instances, options.lives, options.seed)
    say(
        "\n".join(wrong)
        or f"no identifier on the device, and nobody but the officer opens what is sealed "
        f"({time.monotonic() - begun:.0f} s)"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
