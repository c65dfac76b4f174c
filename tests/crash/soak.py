"""A node at seven tenths of what it can, one send in a hundred going wrong: its memory, descriptors and threads stay.

`soak.py [--minutes N] [--seed N] [--picture FILE]`: the rate is measured first; then what the node's processes hold is
written down again and again, a line is fitted through the last three quarters, and none may rise by more than noise.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as Canvas

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "dialogues"), str(TESTS / "crash")]

from campaign import say  # noqa: E402  the path comes first
from house import House  # noqa: E402
from resend import send  # noqa: E402
from running import Node, wait  # noqa: E402

from scp.outcome import Outcome  # noqa: E402

SENDERS = 4
LOAD, FAULTS, OLD = 0.7, 0.01, 0.1
SAMPLES = 400
SETTLED = 0.25  # of the time, in which caches fill
NOISE = 3.0  # standard errors
SLIGHT = {"bytes": 0.02, "descriptors": 0.02, "threads": 0.02}  # of the mean, over the whole time, that nobody minds
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Held:
    """What the processes of a node hold, at some times (s since the beginning)."""

    at: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def look(self, node: Node, seconds: float) -> None:
        """Add one moment; a process that ends meanwhile is left out."""
        held = [found for pid in (node.process.pid, *node.living("")) if (found := of(pid))]
        self.at.append(seconds)
        for values, found in zip((self.bytes, self.descriptors, self.threads), zip(*held, strict=True), strict=True):
            values.append(sum(found))

    def drifts(self) -> dict[str, "Drift"]:
        """How each went on after it had settled."""
        first = int(len(self.at) * SETTLED)
        return {name: drift(self.at[first:], getattr(self, name)[first:]) for name in SLIGHT}


@dataclass(frozen=True)
class Drift:
    """A line through what was seen: its mean, its rise over the whole time, and that rise's standard error."""

    mean: float
    rise: float
    error: float

    def is_flat(self, slight: float) -> bool:
        """Whether it does not rise, or by no more than noise, or by so little of its mean that nobody minds."""
        return self.rise <= max(NOISE * self.error, slight * self.mean)


def of(pid: int) -> tuple[int, int, int] | None:
    """Resident bytes, descriptors and threads of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        return pages * PAGE, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def drift(at: list[float], values: list[int]) -> Drift:
    """The line of least squares; ten neighbours are taken together, for they resemble each other."""
    groups = max(len(at) // 10, 3)
    times = np.array([part.mean() for part in np.array_split(np.array(at), groups)])
    means = np.array([part.mean() for part in np.array_split(np.array(values, float), groups)])
    slope, start = np.polyfit(times, means, 1)
    left = means - (slope * times + start)
    spread = np.sqrt((left**2).sum() / max(groups - 2, 1) / ((times - times.mean()) ** 2).sum())
    span = at[-1] - at[0]
    return Drift(float(means.mean()), float(slope * span), float(spread * span))


class Load:
    """Senders that keep a pace together; what was answered is kept."""

    def __init__(self, port: int, seed: int, first: int, pace: float, faults: float) -> None:
        self.port, self.first, self.pace, self.faults = port, first, pace, faults
        self.answers: dict[int, int] = {}
        self.sends = 0
        self._next = first
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(seed * 100 + at,)) for at in range(SENDERS)]

    def start(self) -> None:
        """Begin."""
        self._begun = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> float:
        """End when every sender has its answer; sends a second."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.sends / (time.monotonic() - self._begun)

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        while not self._stop.is_set():
            with self._turn:
                self.sends += 1
                due = self._begun + self.sends / self.pace if self.pace else 0.0
                number = self._number(chance)
            if self._stop.wait(max(due - time.monotonic(), 0)):
                return
            answer = send(self.port, number, chance, aborted=self.faults / 2)
            if answer is not None:
                with self._turn:
                    self.answers[number] = answer

    def _number(self, chance: random.Random) -> int:
        """Mostly the next one; every tenth is cut short, and taken only as often as there is to be a fault."""
        if self._next > self.first and chance.random() < OLD:
            return chance.randrange(self.first, self._next)
        self._next += 1
        if self._next % 10 == 9 and chance.random() >= 10 * self.faults / 2:
            self._next += 1
        return self._next


def soaked(folder: Path, minutes: float, seed: int, picture: Path | None = None, heard=say) -> list[str]:
    """What is wrong after so many minutes."""
    node = Node(folder, visit_quiet_seconds=1, limits__stream_bytes=1024)
    node.start()
    wrong, held, seconds = [], Held(), minutes * 60
    try:
        full = Load(node.port, seed, 0, 0.0, 0.0)
        full.start()
        time.sleep(min(seconds / 10, 10))
        rate = full.stop()
        load = Load(node.port, seed + 1, full.sends + 1, LOAD * rate, FAULTS)
        heard(f"{rate:.0f} sends a second at most, {LOAD * rate:.0f} from now on, for {minutes:g} minutes")
        load.start()
        begun = spoken = time.monotonic()
        while (now := time.monotonic()) - begun < seconds:
            held.look(node, now - begun)
            if now - spoken > 30:
                spoken = now
                heard(f"{now - begun:6.0f} s {load.sends} sends, {held.bytes[-1] / 2**20:.0f} MiB")
            time.sleep(max(seconds / SAMPLES, 0.02))
        heard(f"{load.sends} sends, {load.stop():.0f} a second")
        wait(lambda: node.metric("cloakroom_associations_open") == 0, "all associations have ended", 60.0)
    finally:
        node.stop()
    for name, found in held.drifts().items():
        heard(f"{name}: mean {found.mean:,.0f}, rise {found.rise:+,.0f}, its standard error {found.error:,.0f}")
        if not found.is_flat(SLIGHT[name]):
            wrong.append(f"{name} rise")
    if picture is not None:
        draw(held, picture)
    answers = full.answers | load.answers
    bad = set(answers.values()) - {Outcome.STORED.status, Outcome.INCOMPLETE.status}
    wrong += [f"0x{answer:04X} was answered" for answer in bad]
    return wrong + House(folder).check(answers)


def draw(held: Held, picture: Path) -> None:
    """Three plots over the time, one below the other."""
    canvas = Canvas(figsize=(8, 6), layout="constrained")
    for plot, (name, unit) in zip(
        canvas.subplots(3, 1, sharex=True), (("bytes", 2**20), ("descriptors", 1), ("threads", 1)), strict=True
    ):
        plot.plot([at / 60 for at in held.at], [value / unit for value in getattr(held, name)], linewidth=0.8)
        plot.set_ylabel("MiB" if unit > 1 else name)
        plot.set_ylim(bottom=0)
    plot.set_xlabel("minutes")
    canvas.savefig(picture)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloakroom-soak-") as folder:
        wrong = soaked(Path(folder), options.minutes, options.seed, options.picture)
    say("\n".join(wrong[:20]) or "nothing rises, nothing is lost")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
