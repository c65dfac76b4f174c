"""What becomes of items that are laid out alike: worked out once, then carried out on each of them.

The same decisions as `Splice` makes element by element; where one of them depends on more than the layout, there is no
such plan and the items go the ordinary way.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Final, NamedTuple

from scp.dataset import SHORT_VRS, UNDEFINED
from scp.deidentify.blocks import CREATORS, ODD_GROUP
from scp.deidentify.step import Action, Step, keep
from scp.table import Element, Item, Shape

ITEM: Final = Struct("<HHI")
ITEM_END: Final = ITEM.pack(0xFFFE, 0xE00D, 0)
SEQUENCE_END: Final = ITEM.pack(0xFFFE, 0xE0DD, 0)
_LONG: Final = Struct("<HH2sHI")
_SHORT: Final = Struct("<HH2sH")
_LONGEST_SHORT: Final = 0xFFFE
_SIZE: Final = 8  # of an item's header, and of a delimiter


class Cut(NamedTuple):
    """What is copied as sent: from where to where, counted from the item's start."""

    start: int
    stop: int


class New(NamedTuple):
    """What is written in place of what stands at `start`, whatever the item's values are."""

    start: int
    value: bytes


class Filled(NamedTuple):
    """An element whose new value a function makes of the one sent."""

    element: Element
    step: Step


class Sized(NamedTuple):
    """A sequence (`tag`), or an item (0), of defined length whose length the values in it decide."""

    tag: int
    inside: "Program"


Program = tuple[Cut | New | Filled | Sized, ...]


class Written(NamedTuple):
    """A program, and the values that an item has to have for it, by where they stand counted from the item's start."""

    program: Program
    values: tuple[tuple[int, int, bytes], ...]

    def fits(self, data: memoryview, at: int) -> bool:
        """Whether the item that starts there has these values."""
        return all(bytes(data[at + start : at + stop]) == value for start, stop, value in self.values)


CREATOR = keep(("LO",), None, frozenset())
"""What becomes of the creator of a block of which anything stays."""


class PrivateSteps:
    """What becomes of private attributes, by group, creator and the element's last two digits."""

    def __init__(self, steps: Mapping[tuple[int, str, int], Step]) -> None:
        self.by_place = steps
        self._groups = frozenset(group for group, _, _ in steps)

    def is_creator(self, tag: int) -> bool:
        """Whether it names the creator of a block in a group that has any steps."""
        return tag & ODD_GROUP != 0 and tag >> 16 in self._groups and tag & 0xFFFF in CREATORS

    def steps(self, elements: tuple[Element, ...], data: memoryview, at: int = 0) -> dict[int, Step]:
        """The steps of one level's private elements by tag, with those of the creators they need (PS3.5 7.8.1).

        The elements' places are counted from `at`.
        """
        steps: dict[int, Step] = {}
        if not self._groups:
            return steps
        creators: dict[tuple[int, int], tuple[int, str]] = {}
        for tag, _, _, value, end, _ in elements:
            if not tag & ODD_GROUP or tag >> 16 not in self._groups:
                continue
            group, number = tag >> 16, tag & 0xFFFF
            if number in CREATORS:
                creator = bytes(data[at + value : at + end]).rstrip(b" \0")
                creators[group, number] = tag, creator.decode("ascii", "replace")
            elif block := creators.get((group, number >> 8)):
                of_creator, creator_text = block
                if step := self.by_place.get((group, creator_text, number & 0xFF)):
                    steps[of_creator] = CREATOR
                    steps[tag] = step
        return steps


class Unclear(Exception):  # noqa: N818  no error: another way is taken
    """The layout alone does not say what becomes of the item."""


class Writer:
    """Works out programs; `public` and `private` are those of the plan's tables."""

    def __init__(self, public: Mapping[int, Step], private: PrivateSteps, data: memoryview) -> None:
        self._public = public
        self._private = private
        self._data = data
        self._at = 0
        self._values: list[tuple[int, int, bytes]] = []

    def written(self, shape: Shape, at: int) -> Written | None:
        """What becomes of items of explicit VR laid out as the one at `at`; None where each has to be looked at."""
        self._at, self._values = at, []
        try:
            whole = self._item(shape, shape.inside, undefined=shape.undefined, at=0, end=shape.size)
        except Unclear:
            return None
        return Written(_merged(whole, self._data[at : at + shape.size]), tuple(self._values))

    def _item(
        self, shape: Shape, elements: tuple[Element, ...], *, undefined: bool, at: int, end: int
    ) -> list[Cut | New | Filled | Sized]:
        inside = self._level(shape, elements)
        if undefined:
            return [New(at, ITEM.pack(0xFFFE, 0xE000, UNDEFINED)), *inside, New(end - _SIZE, ITEM_END)]
        size = _size(inside)
        if size is None:
            return [Sized(0, tuple(inside))]
        return [New(at, ITEM.pack(0xFFFE, 0xE000, size)), *inside]

    def _level(self, shape: Shape, elements: tuple[Element, ...]) -> list[Cut | New | Filled | Sized]:
        out: list[Cut | New | Filled | Sized] = []
        private = self._private.steps(elements, self._data, self._at)
        for element in elements:
            tag, vr, start, value, end, stop = element
            if self._private.is_creator(tag):  # whose the others are stands in its value
                self._values.append((value, end, bytes(self._data[self._at + value : self._at + end])))
            step = self._public.get(tag) or private.get(tag)
            if step is None:
                continue
            if vr in step.untouched:
                out.append(Cut(start, stop))
            elif step.action is Action.RECURSE and vr == "SQ":
                out += self._sequence(shape, element)
            elif step.action is Action.REPLACE:
                out.append(Filled(element, step))
            elif step.action is Action.BLANK:
                out.append(New(start, header(tag, step.vrs[0], 0)))
            else:
                raise Unclear
        return out

    def _sequence(self, shape: Shape, element: Element) -> list[Cut | New | Filled | Sized]:
        tag, _, start, at, end, stop = element
        inside: list[Cut | New | Filled | Sized] = []
        for item in shape.nested[start].items:
            after = _after(item, at)
            inside += self._item(shape, item.elements, undefined=item.undefined, at=at, end=after)
            at = after
        if end != stop:
            return [New(start, header(tag, "SQ", UNDEFINED)), *inside, New(end, SEQUENCE_END)]
        size = _size(inside)
        if size is None:
            return [Sized(tag, tuple(inside))]
        return [New(start, header(tag, "SQ", size)), *inside]


def _after(item: Item, at: int) -> int:
    """Where an item that starts at `at` ends."""
    stop = item.elements[-1].stop if item.elements else at + _SIZE
    return stop + _SIZE if item.undefined else stop


def header(tag: int, vr: str, length: int) -> bytes:
    """An explicit header; a value too long for the VR's two bytes of length leaves as UN (PS3.5 6.2.2)."""
    group, number = tag >> 16, tag & 0xFFFF
    if vr in SHORT_VRS:
        if length <= _LONGEST_SHORT:
            return _SHORT.pack(group, number, vr.encode(), length)
        vr = "UN"
    return _LONG.pack(group, number, vr.encode(), 0, length)


def _size(parts: list[Cut | New | Filled | Sized]) -> int | None:
    """Bytes of what is written; None where values decide."""
    total = 0
    for part in parts:
        if isinstance(part, Cut):
            total += part.stop - part.start
        elif isinstance(part, New):
            total += len(part.value)
        else:
            return None
    return total


def _merged(parts: list[Cut | New | Filled | Sized] | Program, sample: memoryview) -> Program:
    """Neighbours as one; what would be written as it stands there is cut out with them."""
    out: list[Cut | New | Filled | Sized] = []
    for part in parts:
        one: Cut | New | Filled | Sized = part
        if isinstance(part, New) and sample[part.start : part.start + len(part.value)] == part.value:
            one = Cut(part.start, part.start + len(part.value))
        elif isinstance(part, Sized):
            one = Sized(part.tag, _merged(part.inside, sample))
        last = out[-1] if out else None
        if isinstance(one, Cut) and isinstance(last, Cut) and last.stop == one.start:
            out[-1] = Cut(last.start, one.stop)
        else:
            out.append(one)
    return tuple(out)
