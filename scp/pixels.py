"""Pixel data that is still coming: where the header in front of it ends, and where it ends itself (PS3.5 A.4, 8.1.1).

A large data set is never wholly in memory. Its header is, up to the pixel data's own; what comes then is counted, or
walked from fragment to fragment, across the borders of the pieces in which it comes.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from scp.bounds import Bounds, Excess
from scp.dataset import (
    HEADER,
    HEADER_SIZE,
    ITEM_HEADER,
    LONG_HEADER_SIZE,
    PIXEL_DATA,
    UNDEFINED,
    VRS,
    DataSet,
    Reader,
    Span,
    check_pixels,
    read,
)
from scp.outcome import Failure, Outcome
from scp.table import Element

PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD


class Pixels:
    """Tells the bytes of one pixel data element from those behind it; `left` are those of a native one to come."""

    def __init__(self, element: Element, bounds: Bounds) -> None:
        self.tag = element.tag
        self.bounds = bounds
        self._encapsulated = element.end != element.stop
        self.left = 0 if self._encapsulated else element.end - element.value
        self._ended = not self._encapsulated and not self.left
        self._item = bytearray()
        self._fragment = 0
        self._items = bounds.elements

    def take(self, piece: memoryview) -> int:
        """How many of the next bytes are pixel data; raises Failure MALFORMED where a fragment should follow."""
        if self._encapsulated:
            return self._walk(piece)
        taken = min(self.left, len(piece))
        self.left -= taken
        self._ended = not self.left
        return taken

    def finish(self) -> None:
        """Nothing more comes; raises Failure INCOMPLETE where pixel data should."""
        if not self._ended:
            raise Failure(Outcome.INCOMPLETE, "the data set ends within its pixel data")

    def _walk(self, piece: memoryview) -> int:
        at = 0
        while at < len(piece) and not self._ended:
            if self._fragment:
                step = min(self._fragment, len(piece) - at)
                self._fragment -= step
            else:
                step = min(HEADER_SIZE - len(self._item), len(piece) - at)
                self._item += piece[at : at + step]
                if len(self._item) == HEADER_SIZE:
                    self._open()
            at += step
        return at

    def _open(self) -> None:
        """A fragment begins, or the delimiter ends them all."""
        group, number, length = ITEM_HEADER.unpack(self._item)
        tag = group << 16 | number
        self._items -= 1
        self._ended = tag == _SEQUENCE_END
        if not self._ended and (tag != _ITEM or length == UNDEFINED or length & 1):
            raise Failure(Outcome.MALFORMED, "encapsulated pixel data is not a row of fragments")
        if self._items < 0:
            raise Excess("max_elements", "there are more fragments than this node takes")
        self._fragment = length
        self._item.clear()


class Header(NamedTuple):
    """How what stands before the pixel data is read: its VRs, which pixel data ends it, and what it may hold."""

    explicit: bool
    ends: frozenset[int]
    bounds: Bounds


def begin(
    data: bytearray, rest: Iterator[memoryview], header: Header, keep: Callable[[int], None] = lambda _size: None
) -> tuple[DataSet, Pixels | None]:
    """Gather in `data` what stands before the pixel data; without Pixels the whole data set has come and was read.

    `keep` is asked before `data` grows to so many bytes, and raises where it may not.

    The table then ends with the pixel data's element, whose value lies beyond the bytes there are. Raises Failure
    MALFORMED (Excess) for more than `header_bytes`, and what `dataset.read` raises.
    """
    while (found := _find(data, header)) is None:
        if len(data) > header.bounds.header_bytes:
            raise too_long()
        if not _gather(data, rest, min(2 * len(data), header.bounds.header_bytes + 1), keep):
            return read(data, explicit=header.explicit, bounds=header.bounds), None
    if found.value > header.bounds.header_bytes:
        raise too_long()
    reader = Reader(memoryview(data)[: found.value], header.bounds)
    elements, _ = reader.table(0, Span(found.start, 0, header.explicit, delimited=False))
    if elements and elements[-1].tag > found.tag:
        raise _out_of_order()
    dataset = DataSet(reader.data, header.explicit, (*elements, found), reader.nested)
    check_pixels(dataset)
    return dataset, Pixels(found, header.bounds)


def behind(data: bytearray, pixels: Pixels, *, explicit: bool) -> DataSet:
    """The elements that follow the pixel data; raises what `dataset.read` raises."""
    dataset = read(data, explicit=explicit, bounds=pixels.bounds)
    if dataset.elements and dataset.elements[0].tag <= pixels.tag:
        raise _out_of_order()
    return dataset


def _gather(data: bytearray, rest: Iterator[memoryview], least: int, keep: Callable[[int], None]) -> bool:
    """Pull until there are `least` bytes; False when nothing more comes."""
    for piece in rest:
        keep(len(data) + len(piece))
        data += piece
        if len(data) >= least:
            return True
    return False


def too_long() -> Excess:
    """Nobody looks through that much, so it is not said to hold no identity."""
    return Excess("max_header_bytes", "what stands besides the pixels is more than this node takes")


def _out_of_order() -> Failure:
    return Failure(Outcome.MALFORMED, "elements are not in ascending order of tags")


class _Skipping(Reader):
    """Looks at the headers of top-level elements only, and into no sequence whose length is said."""

    def find(self, header: Header) -> Element:
        """The element of the pixel data; raises Failure INCOMPLETE while its header is not there."""
        span = Span(len(self.data), 0, header.explicit, delimited=False)
        at = 0
        while True:
            head, length = self._head(at, span)
            if head.tag in header.ends:
                return _bounds(head, length, explicit=header.explicit)
            self.left -= 1
            if self.left < 0:
                raise Excess("max_elements", "there are more elements than this node takes")
            at = head.value + length
            if length == UNDEFINED:
                _, at = self._structured(head, length, span)

    def _head(self, at: int, span: Span) -> tuple[Element, int]:
        """An element as far as its header says, and its length."""
        if span.limit - at < HEADER_SIZE:
            raise Failure(Outcome.INCOMPLETE, "the header is not all there")
        group, number, code, length = HEADER.unpack_from(self.data, at)
        tag = group << 16 | number
        if span.explicit and (known := VRS.get(code)):
            vr, offset = known
            value = at + offset
            if offset == LONG_HEADER_SIZE:
                length = self._long(at, span.limit)
        else:
            vr, value, length = self._implicit(tag, at, explicit=span.explicit)
        return Element(tag, vr, at, value, value, value), length


def _bounds(head: Element, length: int, *, explicit: bool) -> Element:
    """Where pixel data ends; nobody knows of encapsulated ones, so as far away as can be."""
    if length != UNDEFINED:
        if length & 1:
            raise Failure(Outcome.MALFORMED, "an element has an odd length")
        return head._replace(end=head.value + length, stop=head.value + length)
    if not explicit or head.tag != PIXEL_DATA or head.vr not in {"OB", "OW"}:
        raise Failure(Outcome.MALFORMED, "pixel data of undefined length is not encapsulated")
    return head._replace(end=head.value + length, stop=head.value + length + HEADER_SIZE)


def _find(data: bytearray, header: Header) -> Element | None:
    """The element of the pixel data; None while its header is not there."""
    with memoryview(data) as view:  # given back at once, or `data` could not grow
        try:
            return _Skipping(view, header.bounds).find(header)
        except Failure as failure:
            if failure.outcome is not Outcome.INCOMPLETE:
                raise
            return None
