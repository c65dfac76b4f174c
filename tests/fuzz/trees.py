"""Data sets as trees of elements, to be changed and written again, also in ways that no library would write."""

from collections.abc import Callable, Sequence
from struct import pack
from typing import NamedTuple

from scp.dataset import LONG_VRS, UNDEFINED, DataSet
from scp.table import Element as Placed

_LONGEST_SHORT = 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = (pack("<HH", 0xFFFE, one) for one in (0xE000, 0xE00D, 0xE0DD))
_NOTHING, _NO_END = pack("<I", 0), pack("<I", UNDEFINED)


class Element(NamedTuple):
    """One with a value, or with items; `raw` is all of it where it is neither, as encapsulated pixel data is."""

    tag: int
    vr: str
    value: bytes = b""
    items: "tuple[Level, ...] | None" = None
    undefined: bool = False
    items_undefined: bool = False
    raw: bytes = b""
    odd: bool = False
    """Whether the value may be of odd length, which no element may."""


Level = tuple[Element, ...]
Way = tuple[int, ...]
"""Positions: of an element, of an item in it, of an element in that, and so on."""
Change = Callable[[Element], Element | None]


def parsed(dataset: DataSet) -> Level:
    """The tree of a data set of explicit VR."""
    return _level(dataset, dataset.elements)


def _level(dataset: DataSet, elements: Sequence[Placed]) -> Level:
    return tuple(_element(dataset, one) for one in elements)


def _element(dataset: DataSet, one: Placed) -> Element:
    if held := dataset.nested.get(one.start):
        items = tuple(_level(dataset, item.elements) for item in held.items)
        open_ended = any(item.undefined for item in held.items)
        return Element(one.tag, one.vr, b"", items, one.end != one.stop, open_ended)
    raw = bytes(dataset.data[one.start : one.stop]) if one.end != one.stop else b""
    return Element(one.tag, one.vr, bytes(dataset.data[one.value : one.end]), raw=raw)


def written(level: Sequence[Element], *, explicit: bool = True) -> bytes:
    """The bytes, in the order given."""
    return b"".join(_bytes(one, explicit=explicit) for one in level)


def _bytes(one: Element, *, explicit: bool) -> bytes:
    if one.raw:
        return one.raw
    value = one.value if one.odd or not len(one.value) & 1 else one.value + b"\0"
    length = len(value)
    if one.items is not None:
        value = b"".join(_item(item, one, explicit=explicit and one.vr != "UN") for item in one.items)
        length = UNDEFINED if one.undefined else len(value)
        value += _SEQUENCE_END + _NOTHING if one.undefined else b""
    head = pack("<HH", one.tag >> 16, one.tag & 0xFFFF)
    if not explicit:
        return head + pack("<I", length) + value
    vr = one.vr if one.vr in LONG_VRS or length <= _LONGEST_SHORT else "UN"
    return head + vr.encode() + (pack("<HI", 0, length) if vr in LONG_VRS else pack("<H", length)) + value


def _item(item: Level, of: Element, *, explicit: bool) -> bytes:
    body = written(item, explicit=explicit)
    if of.items_undefined:
        return _ITEM + _NO_END + body + _ITEM_END + _NOTHING
    return _ITEM + pack("<I", len(body)) + body


def changed(level: Level, way: Way, change: Change) -> Level:
    """The tree with another element, or none, at the end of the way; as it is where the way leads nowhere."""
    at, rest = way[0], way[1:]
    if at >= len(level):
        return level
    one: Element | None = level[at]
    if not rest:
        one = change(level[at])
    elif (items := level[at].items) and rest[0] < len(items):
        inside = changed(items[rest[0]], rest[1:], change)
        one = level[at]._replace(items=(*items[: rest[0]], inside, *items[rest[0] + 1 :]))
    return (*level[:at], *((one,) if one else ()), *level[at + 1 :])


def put(level: Level, one: Element) -> Level:
    """The tree with this element where its tag belongs, in place of what has the tag."""
    before = tuple(each for each in level if each.tag < one.tag)
    return (*before, one, *(each for each in level if each.tag > one.tag))


def without(level: Level, tag: int) -> Level:
    """The tree without what has this tag."""
    return tuple(each for each in level if each.tag != tag)
