"""Series that vary in more than values: VRs, form, order, character sets, private blocks, what others depend on, whose.

Some of it is done to all instances of a series, some to each as chance will have it: now and then, from the middle on,
or to a single one. `beside.agree` holds each to what it is alone.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from beside import Sent, is_readable
from conversations import CHANGES
from encoded import EXPLICIT
from motley import MORE
from movements import OF_ALL, OF_ONE, One, State, movement
from trees import Element, Level, parsed, put, written
from walker import PLACES, Case

from scp.dataset import read
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load

SITE = str(Path(__file__).with_name("series.dicom"))
RECIPES = (
    *(SITE, "mip", "research-mri", "basic") * 2,
    "mip-strict",
    "mip,modified-dates",
    "research-mri,retain-uids",
    "basic,modified-dates,retain-safe-private,clean-descriptors,retain-patient-characteristics",
    "basic,retain-uids,retain-device-identity,retain-institution-identity,retain-full-dates",
    "research-mri,clean-structured-content,clean-graphics",
    PLACES,
)
LENGTH = 14


def plans() -> Mapping[str, Plan]:
    """The recipes that series are sent through, compiled."""
    return {name: compile_plan(load(name), Policy({})) for name in RECIPES}


def series(good: Sequence[Case], seed: int, number: int) -> tuple[Case, list[Sent]]:
    """Series `number` of the campaign `seed`: under which recipe, and its instances in order."""
    chance = random.Random(f"varied {seed} {number}")  # noqa: S311  to be repeatable, not secret
    one = _base(chance, good)
    for _ in range(chance.choice((0, 1, 2, 4))):
        one = movement(chance, one.level, OF_ALL)[0](one)
    moves = [movement(chance, one.level, OF_ONE) for _ in range(chance.choice((1, 1, 2, 3)))]
    plans = [_plan(chance, states) for states in moves]
    counted = chance.random() < 0.8
    guest = _base(chance, good) if chance.random() < 0.15 else one  # another series in between
    sent = []
    for at in range(LENGTH):
        made = guest if chance.random() < 0.4 else one
        made = made._replace(level=_counted(made.level, at)) if counted else made
        for plan in plans:
            made = plan[at](made)
        sent.append(_sent(chance, made))
    return Case(chance.choice(RECIPES), EXPLICIT, b""), sent


def _base(chance: random.Random, good: Sequence[Case]) -> One:
    """A good one, nearly always with more of what depends on something, or on which something depends."""
    case = chance.choice([one for one in good if is_readable(one)])
    level = parsed(read(case.data, explicit=True))
    share = chance.choice((0.0, 0.3, 0.6, 1.0))
    for some in MORE:
        if chance.random() < share:
            for one in some:
                level = put(level, one)
    return One(level, case.syntax)


def _counted(level: Level, at: int) -> Level:
    """As images of a series are: each has a number and a UID of its own."""
    level = put(level, Element(0x00080018, "UI", f"1.2.3.{100 + at}\0".encode()))
    return put(level, Element(0x00200013, "IS", f"{at:02}".encode()))


def _plan(chance: random.Random, states: Sequence[State]) -> list[State]:
    """Which state each instance is in."""
    first, *others = states
    kind, at = chance.choice((0, 0, 0, 1, 1, 2, 3)), chance.randrange(3, LENGTH)
    if kind == 0:
        return [chance.choice(states) for _ in range(LENGTH)]
    if kind == 1:
        return [states[number % len(states)] for number in range(LENGTH)]
    if kind == 2:
        return [first] * at + [chance.choice(others or states)] * (LENGTH - at)
    return [chance.choice(others or states) if number == at else first for number in range(LENGTH)]


def _sent(chance: random.Random, one: One) -> Sent:
    data = bytearray(written(one.level, explicit=one.explicit))
    if one.flaw >= 0:
        CHANGES[one.flaw](chance, data)
    return Sent(one.subject, bytes(data), one.syntax)
