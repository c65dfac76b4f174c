"""Data sets that follow one another on an association are of one series: what they have in common is read once.

What a reader makes of an element follows from its bytes alone. So a run of elements whose bytes are those of the data
set before is known; only elements with another value, the pixel data and what is behind it are read anew. Whatever
fits no layout is read whole, and a table that is asked for as a whole is read whole.
"""

import threading
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import groupby
from struct import Struct
from typing import NamedTuple

from scp import charset
from scp.bounds import Bounds
from scp.dataset import (
    BOUNDS,
    HEADER,
    IMAGE,
    LONG_HEADER_SIZE,
    PIXEL_DATA,
    VRS,
    DataSet,
    Reader,
    Span,
    check_length,
    check_pixels,
    image_bytes,
    read,
)
from scp.outcome import Failure
from scp.table import Element, Shapes, Table

_LENGTH = Struct("<I")
_LARGEST = 1 << 18  # bytes of a header that is remembered
_FIRST_PIXELS = 0x7FE00000
_FEWEST = 16  # elements in common from which on it pays
_OTHER = 16  # more than one in so many elements changes at once: that is another series
_SLACK = 256  # bytes by which a header is longer than another of its layout, as a rule
_CREDIT, _PRICE = 16, 2  # a layout has to be met twice before one more is learnt, in the long run
_PAUSE = 64  # data sets until a thread tries again whose data sets have little in common


class Row(NamedTuple):
    """An element of a header that was read: its bytes from the beginning of its own header to the next one's."""

    tag: int
    vr: str
    sent: bytes


class Part(NamedTuple):
    """A run of elements that are always `sent` so; where that is empty, one element whose value changes."""

    sent: bytes
    tag: int
    code: tuple[str, int]
    """The changing one's VR, and where its value starts behind the beginning of its header."""


class Layout:
    """What the headers of neighbours have in common, and where in them something else is."""

    def __init__(self, rows: Sequence[Row], changing: frozenset[int], bounds: Bounds) -> None:
        """The changing ones by number of row. Raises Failure where a run does not stand for itself."""
        self.bounds = bounds
        self._image: int | None = None
        self._sized = False
        self.last = last = rows[-1].tag
        self._behind = ((last >> 16) + 1) << 16 if last >> 16 & 1 else last + 1  # creators stand in front of theirs
        self.parts: list[Part] = []
        self.places: dict[int, tuple[int, Element]] = {}
        """Of an element that does not change: the number of its run, and its place from the run's beginning."""
        self.left = bounds.elements - len(changing)
        for is_changing, run in groupby(range(len(rows)), changing.__contains__):
            if is_changing:
                self.parts += (Part(b"", rows[n].tag, _code(rows[n])) for n in run)
            else:
                self._fix(b"".join(rows[n].sent for n in run))
        self.changing = frozenset(rows[n].tag for n in changing)
        self._reach = sum(len(row.sent) for row in rows) + _SLACK

    def read(self, data: memoryview, shapes: Shapes) -> "Alike | None":
        """The data set that is laid out so; None for any other, and for one that no reader would take."""
        size, at, here = len(data), 0, bytes(data[: self._reach])
        begins: list[int] = []
        found: dict[int, Element] = {}
        reader = Reader(data, self.bounds, shapes)
        reader.left = self.left
        try:
            for sent, tag, code in self.parts:
                begins.append(at)
                if sent:
                    stop = at + len(sent)
                    if stop > self._reach:  # values have grown since
                        if bytes(data[at:stop]) != sent:
                            return None
                    elif not here.startswith(sent, at):
                        return None
                else:
                    element = self._changing(data, at, tag, code)
                    if element is None or element.stop > size:
                        return None
                    if element.vr == "SQ":
                        reader.table(at, Span(element.stop, 0, explicit=True, delimited=False))
                    found[tag], stop = element, element.stop
                at = stop
            tail, _ = reader.table(at, Span(size, 0, explicit=True, delimited=False))
        except Failure:
            return None  # the reader of the whole says it
        if tail and tail[0].tag < self._behind:
            return None
        anew = DataSet(data, explicit=True, elements=(*found.values(), *tail), nested=reader.nested)
        found.update((element.tag, element) for element in tail)
        return Alike(data, Met(self, begins, anew, found))

    def check(self, found: "Alike") -> None:
        """As `check_pixels`, which is asked the same of neighbours again and again."""
        pixels = found.find(PIXEL_DATA)
        if pixels is None:
            return
        if not self._sized:
            check_pixels(found)
            fixed = self.last > max(IMAGE) and self.changing.isdisjoint(IMAGE | {charset.TAG})
            self._image = image_bytes(found) if fixed else None
            self._sized = True
        elif self._image is None:
            check_pixels(found)
        else:
            check_length(pixels, self._image)

    def _changing(self, data: memoryview, at: int, tag: int, code: tuple[str, int]) -> Element | None:
        """The element that begins there, if it has this tag, this VR, and a length that nobody has to look at."""
        vr, offset = code
        if len(data) - at < offset:
            return None
        group, number, sent, length = HEADER.unpack_from(data, at)
        if group << 16 | number != tag or VRS.get(sent) != code:
            return None
        if offset == LONG_HEADER_SIZE:
            length = _LENGTH.unpack_from(data, at + 8)[0]
        if length & 1 or length > self.bounds.values:  # the length that is undefined is odd too
            return None
        value = at + offset
        stop = value + length
        return tuple.__new__(Element, (tag, vr, at, value, stop, stop))

    def _fix(self, sent: bytes) -> None:
        reader = Reader(memoryview(sent), self.bounds)
        elements, _ = reader.table(0, Span(len(sent), 0, explicit=True, delimited=False))
        self.left -= self.bounds.elements - reader.left
        self.places.update((element.tag, (len(self.parts), element)) for element in elements)
        self.parts.append(Part(sent, 0, ("", 0)))


class Met(NamedTuple):
    """Where one data set has what its layout says, and what it has besides."""

    layout: Layout
    begins: Sequence[int]
    """Where each part begins."""
    anew: DataSet
    """The elements that were read: changing ones, and those behind the layout's."""
    found: dict[int, Element]
    """These, and whatever was asked for."""

    @property
    def tail(self) -> tuple[Element, ...]:
        """The elements behind the layout's."""
        return self.anew.elements[len(self.layout.changing) :]


class Alike(DataSet):
    """A data set as others, of which only what differs from its neighbours was read."""

    __slots__ = ("__dict__", "met")

    def __init__(self, data: memoryview, met: Met) -> None:
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "explicit", True)
        object.__setattr__(self, "met", met)

    met: Met

    @cached_property
    def _whole(self) -> DataSet:
        return read(self.data, explicit=True, bounds=self.met.layout.bounds)

    @property
    def elements(self) -> tuple[Element, ...]:
        """The table of all of it."""
        return self._whole.elements

    @property
    def nested(self) -> Table:
        """The items of all sequences."""
        return self._whole.nested

    def find(self, tag: int) -> Element | None:
        """The top-level element with this tag, if there is one."""
        layout, begins, _, found = self.met
        if (element := found.get(tag)) is None and (place := layout.places.get(tag)):
            part, (_, vr, start, value, end, stop) = place
            by = begins[part]
            places = tag, vr, start + by, value + by, end + by, stop + by
            element = found[tag] = tuple.__new__(Element, places)  # three times as quick as Element(...)
        return element


class Neighbours(threading.local):
    """Reads data sets one after the other, on each thread by what it has read before."""

    def __init__(self) -> None:
        self.layout: Layout | None = None
        self._rows: list[Row] = []
        self._credit = _CREDIT
        self._pause = 0
        self._shapes = Shapes(BOUNDS.values)

    def read(self, data: bytes | bytearray | memoryview, *, explicit: bool, bounds: Bounds = BOUNDS) -> DataSet:
        """As `dataset.read`, and it raises the same."""
        if not explicit or len(data) > bounds.header_bytes:
            return read(data, explicit=explicit, bounds=bounds)
        layout = self.layout
        if layout is not None and layout.bounds is bounds:
            found = layout.read(memoryview(data), self._known(bounds))
            if found is not None:
                if self._credit < _CREDIT:
                    self._credit += 1
                layout.check(found)
                return found
        dataset = read(data, explicit=explicit, bounds=bounds, shapes=self._known(bounds))
        self._learn(dataset, bounds)
        return dataset

    def _known(self, bounds: Bounds) -> Shapes:
        """The layouts of items that were met, while they are few."""
        of_these = self._shapes.longest == bounds.values
        self._shapes = self._shapes.kept() if of_these else Shapes(bounds.values)
        return self._shapes

    def _learn(self, dataset: DataSet, bounds: Bounds) -> None:
        """What it has in common with the one before, or with the layout that it nearly has."""
        if self._pause:
            self._pause -= 1
            return
        rows = _rows(dataset)
        known, before = self.layout, self._rows
        self.layout, self._rows = None, rows
        if len(rows) != len(before) or any(a[:2] != b[:2] for a, b in zip(rows, before, strict=True)):
            return
        changing = {number for number, row in enumerate(rows) if row.sent != before[number].sent}
        if known is not None:
            was = {number for number, row in enumerate(rows) if row.tag in known.changing}
            if len(changing - was) * _OTHER > len(rows):
                return  # another series
            changing |= was
        rows = rows[: _known_end(rows, changing)]
        changing &= set(range(len(rows)))
        if len(rows) - len(changing) < max(_FEWEST, len(rows) // 2):
            return
        self._credit -= _PRICE
        if self._credit <= 0:
            self._credit, self._pause, self._rows = _CREDIT, _PAUSE, []
            return
        self.layout = Layout(rows, frozenset(changing), bounds)


def _rows(dataset: DataSet) -> list[Row]:
    """The elements in front of the pixel data; none where that is too much to remember."""
    data = dataset.data
    rows: list[Row] = []
    size = 0
    for tag, vr, start, _, _, stop in dataset.elements:
        size += stop - start
        if tag >= _FIRST_PIXELS:
            break
        if size > _LARGEST:
            return []
        rows.append(Row(tag, vr, bytes(data[start:stop])))
    return rows


def _code(row: Row) -> tuple[str, int]:
    return VRS[row.sent[4:6]]


def _known_end(rows: Sequence[Row], changing: AbstractSet[int]) -> int:
    """How many rows a layout has; private elements behind it take their creators along (PS3.5 7.8.1)."""
    end = next((n for n in sorted(changing) if _is_undefined(rows[n])), len(rows))
    if end < len(rows) and (group := rows[end].tag >> 16) & 1:
        return next(n for n, row in enumerate(rows) if row.tag >> 16 == group)
    return end


def _is_undefined(row: Row) -> bool:
    """Whether only its delimiter says where it ends: what is behind it is read anew as well."""
    return row.vr in {"SQ", "UN"} and row.sent[8:12] == b"\xff\xff\xff\xff"
