"""What may be done to a series: each movement makes the states that its instances may be in."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from beside import OTHER
from conversations import CHANGES
from encoded import EXPLICIT, IMPLICIT, RLE
from motley import FRAMES, IDENTIFYING, KEPT_TEXTS, MOST_TELLING, TELLING
from trees import Change, Element, Level, Way, changed, put, without
from walker import SUBJECT

from scp.deidentify.values import TEXT_VRS
from scp.instance import Subject

PIXELS = 0x7FE00010
VRS = ("UN", "UN", "US", "SS", "OB", "OW", "LO", "IS", "DA", "UT", "SQ", "FD", "UI")
CONTRARY = ("1.2.840.10008.1.2.2", IMPLICIT, RLE)
WORDS = (
    b"",
    b"20240311",
    b"19540312",
    b"AXIAL ",
    b"-12.5 ",
    b"1\\2 ",
    b"1.2.840.113619.2.55.3.9\0",
    b"Qzab^Other",
    b"M\xfcller",
)


class One(NamedTuple):
    """What an instance is made of before it is bytes."""

    level: Level
    syntax: str = EXPLICIT
    subject: Subject = SUBJECT
    explicit: bool = True
    flaw: int = -1
    """Which of CHANGES its bytes undergo."""


State = Callable[[One], One]


def movement(chance: random.Random, level: Level, weights: Sequence[int]) -> list[State]:
    """States of some movement, in any order."""
    states = chance.choices(MOVEMENTS, weights)[0](chance, level)
    chance.shuffle(states)
    return states


def _telling(chance: random.Random, level: Level) -> list[State]:
    """What others depend on: its values, its VRs, and that it is not there; at the top or in an item."""
    tag = chance.choice(MOST_TELLING if chance.random() < 0.5 else list(TELLING))
    vr, values = TELLING[tag]
    forms: list[Element | None] = [Element(tag, vr, value) for value in chance.sample(values, min(3, len(values)))]
    if chance.random() < 0.3:
        forms.append(None)
    if chance.random() < 0.2:
        forms.append(Element(tag, chance.choice(VRS[:7]), values[0]))
    if chance.random() < 0.2 and (items := [way for way in _ways(level) if _at(level, way).items]):
        way = chance.choice(items)
        return [partial(_edit, way=way, change=partial(_inside, one=one, tag=tag)) for one in forms]
    return [partial(_put, one=one, tag=tag) for one in forms]


def _anywhere(chance: random.Random, level: Level) -> list[State]:
    """Any element at any depth: its value, VR, length, form, and whether it is there."""
    ways = list(_ways(level))
    rare = [at for at, one in enumerate(level) if one.items is not None or one.tag >> 16 & 1]
    if rare and chance.random() < 0.5:  # sequences and private elements, each as often
        chosen = chance.choice(rare)
        ways = [way for way in ways if way[0] == chosen]
    way = chance.choice(ways)
    one = _at(level, way)
    changes = [chance.choice(_changes(one))(chance, one) for _ in range(chance.choice((1, 1, 2, 3)))]
    return [_same, *(partial(_edit, way=way, change=change) for change in changes)]


def _leaks(chance: random.Random, level: Level) -> list[State]:
    """What identifies somebody in a text that may be kept, written in one way or another; or only nearly that."""
    tag, vr = chance.choice(KEPT_TEXTS)
    forms = [Element(tag, vr, _in_a_text(chance, chance.choice(IDENTIFYING))) for _ in range(2)]
    forms.append(Element(tag, vr, chance.choice((b"plain ", b""))))
    if chance.random() < 0.2 and (items := [way for way in _ways(level) if _at(level, way).items]):
        way = chance.choice(items)
        return [partial(_edit, way=way, change=partial(_inside, one=one, tag=tag)) for one in forms]
    return [partial(_put, one=one, tag=tag) for one in forms]


def _in_a_text(chance: random.Random, word: str) -> bytes:
    before, behind = (chance.choice(("", "", "by ", "x", "7", ".", "\\")) for _ in range(2))
    word = chance.choice(
        (word, word, word.lower(), word.upper(), word[1:], word[:-1], chance.choice(" -_^\\x").join(word))
    )
    return f"{before}{word}{behind}".encode(chance.choice(("latin-1", "latin-1", "utf-8", "utf-16-le", "utf-16-be")))


def _blocks(chance: random.Random, level: Level) -> list[State]:
    """Private creators in other blocks, called otherwise, or gone."""
    groups = sorted({one.tag >> 16 for one in level if one.tag >> 16 & 1}) or [0x0019]
    group = chance.choice(groups)
    states: list[State] = [_same]
    states += [partial(_moved, group=group, by=by) for by in chance.sample((0x01, 0x10, 0xE0), 2)]
    if creators := [one for one in level if one.tag >> 16 == group and one.tag & 0xFFFF < 0x100]:
        creator = chance.choice(creators)
        for value in chance.sample((creator.value + b" ", b"OTHER CREATOR ", creator.value.lower(), b""), 2):
            states.append(partial(_put, one=creator._replace(value=value), tag=creator.tag))
        states.append(partial(_put, one=None, tag=creator.tag))
    return chance.sample(states, min(3, len(states)))


def _overlays(chance: random.Random, _level: Level) -> list[State]:
    """An overlay that comes and goes, or is said to be in the pixels."""
    group = chance.choice((0x60000000, 0x60020000, 0x601E0000))
    position = [partial(_put, one=Element(group | 0x0102, "US", value), tag=0) for value in (b"\0\0", b"\1\0", b"")]
    data = [partial(_put, one=Element(group | 0x3000, vr, b"\1\2\3\4"), tag=0) for vr in ("OW", "OB", "UN")]
    return [_same, *chance.sample([*position, *data], 2)]


def _order(chance: random.Random, level: Level) -> list[State]:
    """Elements sent twice, or not in the order of their tags."""
    at = chance.randrange(len(level))

    def twice(one: One) -> One:
        return one._replace(level=(*one.level[: at + 1], *one.level[at:]))

    def swapped(one: One) -> One:
        return one._replace(level=(*one.level[:at], *reversed(one.level[at : at + 2]), *one.level[at + 2 :]))

    return [_same, chance.choice((twice, swapped))]


def _syntaxes(chance: random.Random, _level: Level) -> list[State]:
    """Other transfer syntaxes, with pixels that are theirs or not, and without VRs."""

    def frames(one: One) -> One:
        return one._replace(level=put(one.level, Element(PIXELS, "OB", raw=FRAMES)), syntax=RLE)

    def implicit(one: One) -> One:
        return one._replace(syntax=IMPLICIT, explicit=False)

    def contrary(one: One) -> One:
        return one._replace(syntax=syntax)

    syntax = chance.choice(CONTRARY)
    return [_same, chance.choice((frames, frames, implicit, contrary))]


def _people(chance: random.Random, _level: Level) -> list[State]:
    """Somebody else's, in the middle."""
    return [_same, partial(_of, subject=chance.choice((OTHER, replace(SUBJECT, moves=1))))]


def _flaws(chance: random.Random, _level: Level) -> list[State]:
    """Bytes that somebody else has written."""
    return [_same, _same, lambda one, flaw=chance.randrange(len(CHANGES)): one._replace(flaw=flaw)]


MOVEMENTS = (_telling, _anywhere, _leaks, _blocks, _overlays, _order, _syntaxes, _people, _flaws)
OF_ONE, OF_ALL = (9, 12, 6, 3, 2, 1, 2, 2, 1), (9, 12, 1, 3, 2, 0, 1, 0, 0)
"""How often each is taken for what instances do, and for what all of a series have."""


# States


def _same(one: One) -> One:
    return one


def _of(one: One, *, subject: object) -> One:
    return one._replace(subject=subject)


def _put(of: One, *, tag: int, one: Element | None) -> One:
    return of._replace(level=put(of.level, one) if one else without(of.level, tag))


def _inside(of: Element, *, tag: int, one: Element | None) -> Element:
    """In its first item."""
    first, *others = of.items or ((),)
    return of._replace(items=(put(first, one) if one else without(first, tag), *others))


def _edit(one: One, *, way: Way, change: Change) -> One:
    return one._replace(level=changed(one.level, way, change))


def _moved(one: One, *, group: int, by: int) -> One:
    return one._replace(level=tuple(sorted((_in_block(each, group, by) for each in one.level), key=_tag)))


def _in_block(one: Element, group: int, by: int) -> Element:
    number = one.tag & 0xFFFF
    if one.tag >> 16 != group or number < 0x10:
        return one
    number = (number + by) & 0xFF | 0x10 if number < 0x100 else (number + (by << 8)) & 0xFFFF
    return one._replace(tag=group << 16 | number)


def _tag(one: Element) -> int:
    return one.tag


# Ways and changes


def _ways(level: Level, before: Way = ()) -> Iterator[Way]:
    """To each element at any depth."""
    for at, one in enumerate(level):
        yield (*before, at)
        for number, item in enumerate(one.items or ()):
            yield from _ways(item, (*before, at, number))


def _at(level: Level, way: Way) -> Element:
    for at, number in zip(way[::2], way[1::2], strict=False):
        level = (level[at].items or ())[number]
    return level[way[-1]]


def _changes(one: Element) -> Sequence[Callable[[random.Random, Element], Change]]:
    return ON_ITEMS if one.items is not None else ON_VALUES


def _fixed(new: Element | None) -> Change:
    return lambda _one: new


def _value(chance: random.Random, one: Element) -> Change:
    if one.vr in TEXT_VRS and chance.random() < 0.8:
        return _fixed(one._replace(value=chance.choice(WORDS)))
    data = bytearray(one.value or b"\0\0")
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return _fixed(one._replace(value=bytes(data)))


def _vr(chance: random.Random, one: Element) -> Change:
    return _fixed(one._replace(vr=chance.choice(VRS)))


def _length(chance: random.Random, one: Element) -> Change:
    """Shorter, longer, empty."""
    value = chance.choice((b"", b"", one.value[:-2], one.value * 2, one.value + b"  ", one.value * 3000))
    return _fixed(one._replace(value=value[:70_000]))


def _odd(_chance: random.Random, one: Element) -> Change:
    return _fixed(one._replace(value=one.value[: len(one.value) - 1 | 1], odd=True))


def _gone(_chance: random.Random, _one: Element) -> Change:
    return _fixed(None)


def _opened(_chance: random.Random, one: Element) -> Change:
    return _fixed(one._replace(undefined=not one.undefined))


def _items_opened(_chance: random.Random, one: Element) -> Change:
    return _fixed(one._replace(items_undefined=not one.items_undefined))


def _unknown(_chance: random.Random, one: Element) -> Change:
    return _fixed(one._replace(vr="SQ" if one.vr == "UN" else "UN"))


def _counted(chance: random.Random, one: Element) -> Change:
    items = one.items or ()
    return _fixed(one._replace(items=chance.choice(((), items[:-1], items * 2, (*items, ()), items * 5))))


ON_VALUES = (*(_value,) * 6, *(_vr,) * 4, *(_length,) * 4, _gone, _gone, _odd)
ON_ITEMS = (*(_counted,) * 5, _opened, _items_opened, _unknown, _gone)
