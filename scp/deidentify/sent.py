"""The values that attributes were sent with, wherever they stand: at all depths, and in sequences sent as UN."""

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, NamedTuple

from scp.bounds import Excess
from scp.dataset import BOUNDS, DataSet, Reader, Span
from scp.outcome import Failure

if TYPE_CHECKING:
    from scp.table import Element, Shape

_ITEM = b"\xfe\xff\x00\xe0"
Place = tuple[int, int, int]
"""A tag, and where its value starts and ends."""


class Chosen(NamedTuple):
    """What of all items of one layout these attributes are; a layout remembers the last ones that were asked for."""

    tags: Container[int]
    places: tuple[Place, ...]


def values(dataset: DataSet, tags: Container[int]) -> Iterator[tuple[int, bytes]]:
    """The values of these attributes at all depths, each with its tag.

    Raises Failure MALFORMED where a sequence sent as UN is beyond the limits of all sequences (Excess).
    """
    data = dataset.data
    waiting: list[tuple[int, int, int]] = []
    for tag, start, end in _places(dataset, tags):
        if tag in tags:
            yield tag, bytes(data[start:end])
        elif data[start : start + len(_ITEM)] == _ITEM:
            waiting.append((start, end, 1))
    left = BOUNDS.elements
    while waiting:
        start, end, depth = waiting.pop()
        if depth > BOUNDS.depth:
            raise Excess("max_depth", "sequences are nested deeper than this node takes")
        reader = _unknown(data, start, Span(end, depth, explicit=False, delimited=False), left)
        if reader is None:
            continue
        left = reader.left
        for tag, at, stop in _places(DataSet(data, explicit=False, elements=(), nested=reader.nested), tags):
            if tag in tags:
                yield tag, bytes(data[at:stop])
            elif data[at : at + len(_ITEM)] == _ITEM:
                waiting.append((at, stop, depth + 1))


def _places(dataset: DataSet, tags: Container[int]) -> Iterator[Place]:
    """Where these attributes stand, and what was sent as UN; a layout says it for all its items."""
    tables = [dataset.elements]
    for held in dataset.nested.values():
        for item in held.items:
            if (shape := item.shape) is None:
                tables.append(item.elements)
                continue
            chosen = shape.written.get(Chosen)
            if not isinstance(chosen, Chosen) or chosen.tags is not tags:
                chosen = shape.written[Chosen] = Chosen(tags, _chosen(shape, tags))
            begin = item.start
            for tag, value, end in chosen.places:
                yield tag, begin + value, begin + end
    for elements in tables:
        for element in elements:
            if element[0] in tags or (element[1] == "UN" and _is_unread(element)):
                yield element[0], element[3], element[4]


def _chosen(shape: "Shape", tags: Container[int]) -> tuple[Place, ...]:
    """The same of one item, from its start."""
    return tuple((one[0], one[3], one[4]) for one in shape.everywhere if one[0] in tags or _is_unread(one))


def _is_unread(element: "Element") -> bool:
    """Whether it may be a sequence that nobody has looked into: of undefined length it would be in the table."""
    return element.vr == "UN" and element.end == element.stop


def _unknown(data: memoryview, at: int, span: Span, left: int) -> Reader | None:
    """What reads the items there: implicit VR as the standard says (PS3.5 6.2.2 note 2), explicit as some senders do.

    None for other bytes that only happen to begin as a sequence does.
    """
    for explicit in (False, True):
        reader = Reader(data)
        reader.left = left
        try:
            reader.items(at, at, span._replace(explicit=explicit))
        except Excess:
            raise
        except Failure:
            continue
        return reader
    return None
