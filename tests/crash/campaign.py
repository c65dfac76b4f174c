"""kill -9, power cuts and failing calls in numbers: `campaign.py [--kills N] [--cuts N] [--seed N]`, 1 on a find."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "crash")]

from house import House, Kill  # noqa: E402  the path comes first
from power import Disk  # noqa: E402

from scp import faults  # noqa: E402
from scp.outcome import Outcome  # noqa: E402

LIVES = 12  # in one house, before everything is sent again and a new one is begun
NEW, OLD = 32, 16  # instances of each life
ROLES = {"intake": "worker", "files": "worker", "quarantine": "worker", "index": "writer", "publish": "steward"}
SAYS_SECONDS = 10.0

Say = Callable[[str], None]


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def kills(chance: random.Random) -> list[Kill]:
    """Who dies in one life: at points, at moments, alone or with the whole node."""
    points = [name for name in faults.POINTS if name.split(".")[0] in ROLES and name != "intake.removing"]
    chosen = [Kill(ROLES[name.split(".")[0]], name, chance.randint(1, 4)) for name in chance.sample(points, 6)]
    roles = ("worker", "worker", "writer", "steward")
    chosen += [Kill(chance.choice(roles), f"@{chance.uniform(0.001, 0.1):.4f}") for _ in range(2)]
    chance.shuffle(chosen)
    if chance.random() < 0.5:
        last = chosen.pop()
        chosen.append(Kill(last.role, last.point, last.hit, everybody=True))
    return chosen


def recoveries(house: House, chance: random.Random, died: Counter[str]) -> None:
    """The start after it, killed some times itself."""
    points = [name for name in faults.POINTS if name.startswith("recovery.")]
    for point in chance.sample(points, 2):
        died[point] += not house.recover(Kill("recovery", point))


def started(house: House) -> list[str]:
    """What keeps the node from starting."""
    try:
        house.recover()
    except AssertionError as error:
        return [str(error)]
    return []


def life(house: House, chance: random.Random, first: int, died: Counter[str]) -> list[str]:
    """One life and what is wrong after it."""
    old = [chance.randrange(first) for _ in range(OLD)] if first else []
    numbers = [*range(first, first + NEW), *old]
    chance.shuffle(numbers)
    after = chance.uniform(0.1, 0.8) if chance.random() < 0.5 else None
    told = house.live(numbers, kills(chance), after=after)
    told.died.pop("ended", None)
    died.update(told.died)
    orphans = house.orphans()
    recoveries(house, chance, died)
    return started(house) or house.check(told.answers) + house.forgotten(orphans)


def last(house: House, everything: range) -> list[str]:
    """All is sent again in peace: each instance stands there once, whatever was answered before."""
    told = house.live(everything)
    wrong = [] if len(told.answers) == len(everything) else ["not every re-send was answered"]
    bad = {number: status for number, status in told.answers.items() if status and status != Outcome.INCOMPLETE.status}
    wrong += [f"instance {number} was answered {status:04X} in peace" for number, status in bad.items()]
    house.recover()
    contents = house.contents()
    if sum(contents.values()) != len(contents) or len(contents) != sum(number % 10 != 9 for number in everything):
        wrong.append(f"{sum(contents.values())} files hold {len(contents)} of {len(everything)} instances")
    return wrong + house.check(told.answers) + house.leaks()


def killed(count: int, seed: int, bug: Callable[[], object] | None = None, told: Say = say) -> list[str]:
    """At least so many kills; what is wrong, with the house and the life it was found in."""
    died: Counter[str] = Counter()
    begun = spoken = time.monotonic()
    number = 0
    while sum(died.values()) < count:
        number += 1
        chance = random.Random(f"{seed} {number}")  # noqa: S311  moments, not secrets
        with tempfile.TemporaryDirectory(prefix="cloakroom-crash-") as folder:
            house = House(Path(folder))
            house.bug = bug or house.bug
            for at in range(LIVES):
                if wrong := life(house, chance, at * NEW, died):
                    return [f"seed {seed}, house {number}, life {at}: {line}" for line in wrong[:20]]
                if time.monotonic() - spoken > SAYS_SECONDS:
                    spoken = time.monotonic()
                    told(f"{spoken - begun:6.0f} s {sum(died.values())}/{count} kills at {len(died)} places")
                if sum(died.values()) >= count:
                    break
            if wrong := last(house, range((at + 1) * NEW)):
                return [f"seed {seed}, house {number}, at the end: {line}" for line in wrong[:20]]
    told(f"{sum(died.values())} kills in {time.monotonic() - begun:.0f} s: {dict(sorted(died.items()))}")
    return []


def cut(count: int, seed: int, bug: Callable[[], object] | None = None, told: Say = say) -> list[str]:
    """So many power cuts: what the disk had at that moment is mounted, recovered and compared."""
    begun = spoken = time.monotonic()
    answers: dict[int, int] = {}
    with tempfile.TemporaryDirectory(prefix="cloakroom-cut-") as folder, Disk(Path(folder)) as disk:
        chance = random.Random(seed)  # noqa: S311
        first = 0
        for number in range(1, count + 1):
            house = House(disk.mount() / "node")
            house.folder.mkdir(exist_ok=True)
            house.log = Path(folder) / "house.log"
            house.bug = bug or house.bug
            heard = house.live(range(first, first + 4 * NEW), after=chance.uniform(0.15, 0.7))
            disk.cut()
            disk.mount()
            answers |= heard.answers
            if wrong := started(house) or house.check(answers):
                return [f"cut {number} of seed {seed}: {line}" for line in wrong[:20]]
            first += 4 * NEW
            if time.monotonic() - spoken > SAYS_SECONDS:
                spoken = time.monotonic()
                told(f"{spoken - begun:6.0f} s {number}/{count} cuts")
    told(f"{count} cuts in {time.monotonic() - begun:.0f} s with {len(answers)} answers before them")
    return []


def campaigns(options: argparse.Namespace) -> Iterator[str]:
    """What each campaign found."""
    if options.kills:
        yield from killed(options.kills, options.seed)
    if options.cuts:
        yield from cut(options.cuts, options.seed)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    wrong = list(campaigns(parser.parse_args()))
    say("\n".join(wrong) or "nothing lost, torn, doubled or left behind")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
