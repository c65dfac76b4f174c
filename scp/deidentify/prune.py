"""A data set without some of its items and elements: what single attributes cannot say is decided item by item.

The plan then goes through what is left as through any other data set.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from struct import Struct

from scp import dictionary
from scp.bounds import Bounds
from scp.dataset import HEADER_SIZE, UNDEFINED, DataSet, read
from scp.deidentify.repeated import ITEM, ITEM_END, SEQUENCE_END
from scp.deidentify.unknown import read_unknown
from scp.instance import Part
from scp.outcome import Failure
from scp.table import Element, Item, Nested, Shape, Table

_LENGTH = Struct("<I")
_SHORT_LENGTH = 2
CHECKED = Bounds(depth=1 << 30, elements=1 << 62, values=1 << 62, header_bytes=1 << 62)  # what came was within them
_BLANK = b"-"  # says nothing, and is no word of any protocol


@dataclass(frozen=True, slots=True, repr=False)
class Level:
    """The elements of an item, with what is needed to look at their values and into their sequences."""

    data: memoryview = field(repr=False)
    elements: tuple[Element, ...]
    nested: Table
    explicit: bool

    def find(self, tag: int) -> Element | None:
        """The element with this tag, if there is one."""
        return next((element for element in self.elements if element.tag == tag), None)

    def value(self, tag: int) -> bytes:
        """Its value as sent; empty when absent."""
        element = self.find(tag)
        return bytes(self.data[element.value : element.end]) if element else b""

    def items(self, tag: int) -> list["Level"]:
        """The items of the sequence with this tag, also of one that was sent as UN."""
        element = self.find(tag)
        held, nested = _held(self, element, private=True) if element else (None, self.nested)
        return [Level(self.data, item.elements, nested, held.explicit) for item in held.items] if held else []


@dataclass(frozen=True, slots=True)
class Cuts:
    """What is taken out of one item: all of it, elements by their tags, their values, or the letters of texts.

    In the place of a value that is `replaced` stands one of its length.
    """

    whole: bool = False
    elements: frozenset[int] = frozenset()
    values: frozenset[int] = frozenset()
    letters: frozenset[int] = frozenset()
    replaced: tuple[tuple[int, bytes], ...] = ()


Where = tuple[tuple[int, int], ...]
"""The way down to an item: the sequences' tags, each with the number of the item in it."""
Judge = Callable[[Where, Level], Cuts | None]
"""From where an item is and what is in it to what is taken out; None where nothing is."""


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is looked at: items with one of the `tags` in them.

    A sequence among `optional` that has lost all its items goes, another one stays empty. Private elements sent as UN
    are looked into only where `private` says so: hardly any of them is a sequence.
    """

    judge: Judge = field(repr=False)
    tags: frozenset[int]
    optional: frozenset[int]
    private: bool = False

    def apply(self, dataset: DataSet, top: Cuts | None = None) -> DataSet:
        """The data set without what was taken out; itself where that is nothing. Raises Failure as the judge does.

        `top` is what is taken out of its top level, which no judge is asked about.
        """
        elements, data = dataset.elements, dataset.data
        coming = elements[-1:] if elements and elements[-1].stop > len(data) else ()  # pixel data, still on the wire
        gathered = elements[: len(elements) - len(coming)]
        parts = _Work(self, dataset).level(Level(data, gathered, dataset.nested, dataset.explicit), (), top)
        if parts is None:
            return dataset
        made = b"".join(parts)
        left = read(made, explicit=dataset.explicit, bounds=CHECKED)
        if not coming:
            return left
        (pixels,) = coming
        by = len(made) - pixels.start
        moved = Element(
            pixels.tag, pixels.vr, len(made), pixels.value + by, pixels.end + by, pixels.stop + by
        )  # its header stands behind, as it did
        whole = memoryview(made + bytes(data[pixels.start : pixels.value]))
        return DataSet(whole, dataset.explicit, (*left.elements, moved), left.nested)


class _Work:
    def __init__(self, pruning: Pruning, dataset: DataSet) -> None:
        self._pruning = pruning
        self._data = dataset.data
        self._plain: dict[Shape, bool] = {}

    def level(self, level: Level, where: Where, cuts: Cuts | None = None) -> list[Part] | None:
        """The elements of one level that stay, and what stays of them; None where all stays as it is."""
        out: list[Part] = []
        start = level.elements[0].start if level.elements else 0
        changed = False
        for element in level.elements:
            new = self._element(level, element, where, cuts)
            if new is None:
                continue
            changed = True
            out += [level.data[start : element.start], *new]
            start = element.stop
        if not changed:
            return None
        return [*out, level.data[start : level.elements[-1].stop]]

    def _element(self, level: Level, element: Element, where: Where, cuts: Cuts | None) -> list[Part] | None:
        if cuts and element.tag in cuts.elements:
            return []
        if cuts and element.tag in cuts.values:
            return [_emptied(level, element)]
        if cuts and element.tag in cuts.letters:
            return [level.data[element.start : element.value], _BLANK * (element.end - element.value)]
        if cuts and cuts.replaced and (value := dict(cuts.replaced).get(element.tag)):
            return [level.data[element.start : element.value], value]
        held, nested = _held(level, element, private=self._pruning.private)
        return self._sequence(element, (held, nested), where) if held else None

    def _sequence(self, element: Element, inside: tuple[Nested, Table], where: Where) -> list[Part] | None:
        held, data = inside[0], self._data
        items = [self._item(item, inside, (*where, (element.tag, at))) for at, item in enumerate(held.items)]
        if all(new is None for new in items):
            return None
        if not any(new is None or new for new in items) and element.tag in self._pruning.optional:
            return []
        body: list[Part] = []
        at = element.value
        for item, new in zip(held.items, items, strict=True):
            after = _after(data, item, at)
            body += [data[at:after]] if new is None else new
            at = after
        head = data[element.start : element.value - _LENGTH.size]
        if element.end != element.stop:
            return [head, _LENGTH.pack(UNDEFINED), *body, SEQUENCE_END]
        return [head, _LENGTH.pack(sum(map(len, body))), *body]

    def _item(self, item: Item, inside: tuple[Nested, Table], where: Where) -> list[Part] | None:
        if item.shape is not None and self._is_plain(item.shape):
            return None
        level = Level(self._data, item.elements, inside[1], inside[0].explicit)
        cuts = self._pruning.judge(where, level)
        if cuts and cuts.whole:
            return []
        parts = self.level(level, where, cuts)
        if parts is None:
            return None
        if item.undefined:
            return [ITEM.pack(0xFFFE, 0xE000, UNDEFINED), *parts, ITEM_END]
        return [ITEM.pack(0xFFFE, 0xE000, sum(map(len, parts))), *parts]

    def _is_plain(self, shape: Shape) -> bool:
        if shape not in self._plain:
            tags = self._pruning.tags
            self._plain[shape] = not any(one.tag in tags or one.vr == "UN" for one in shape.everywhere)
        return self._plain[shape]


def _emptied(level: Level, element: Element) -> bytes:
    """The element's header with a length of zero: four bytes of it, or two behind an explicit VR (PS3.5 7.1.2)."""
    size = _SHORT_LENGTH if level.explicit and element.value - element.start == HEADER_SIZE else _LENGTH.size
    return bytes(level.data[element.start : element.value - size]) + bytes(size)


def _after(data: memoryview, item: Item, at: int) -> int:
    """Where an item that starts at `at` ends."""
    _, _, length = ITEM.unpack_from(data, at)
    if length != UNDEFINED:
        return at + ITEM.size + int(length)
    return (item.elements[-1].stop if item.elements else at + ITEM.size) + ITEM.size


def _held(level: Level, element: Element, *, private: bool) -> tuple[Nested | None, Table]:
    """What a sequence holds; one sent as UN of defined length is read only here, where it is a sequence by its tag.

    A `private` one is none by its tag, so it is read to see.
    """
    if held := level.nested.get(element.start):
        return held, level.nested
    may_hold = (private and element.tag >> 16 & 1) or dictionary.vr(element.tag) == "SQ"
    if element.vr != "UN" or element.end != element.stop or not may_hold:
        return None, level.nested
    try:
        unknown = read_unknown(DataSet(level.data, explicit=False, elements=()), element)
    except Failure:
        return None, level.nested  # the plan refuses it, or leaves it out
    return unknown.nested[element.start], unknown.nested


def union(cuts: Iterable[Cuts | None]) -> Cuts | None:
    """What several judges take out together."""
    found = [one for one in cuts if one]
    if not found:
        return None
    return Cuts(
        whole=any(one.whole for one in found),
        elements=frozenset().union(*(one.elements for one in found)),
        values=frozenset().union(*(one.values for one in found)),
        letters=frozenset().union(*(one.letters for one in found)),
        replaced=tuple(pair for one in found for pair in one.replaced),
    )
