"""An encoded data set as it lies in memory: where each element starts and stops, none decoded (PS3.5 section 7)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple

from scp import charset, dictionary
from scp.bounds import Bounds, Excess
from scp.outcome import Failure, Outcome
from scp.table import Element, Item, Met, Nested, Shapes, Table, everywhere

UNDEFINED = 0xFFFFFFFF
BOUNDS = Bounds()
PIXEL_DATA = 0x7FE00010
_FRAMES, _PHOTOMETRIC = 0x00280008, 0x00280004
IMAGE = frozenset({0x00280010, 0x00280011, 0x00280002, 0x00280100, _FRAMES, _PHOTOMETRIC})
"""Rows, Columns, SamplesPerPixel, BitsAllocated, NumberOfFrames, PhotometricInterpretation: how long an image is."""
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
SHORT_VRS = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM"}
    | {"UI", "UL", "US"}
)

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LAST_FORBIDDEN = 0x0002FFFF  # groups 0000 and 0002 belong to the command and to the file meta information
HEADER = Struct("<HH2sH")
_LONG = Struct("<I")
ITEM_HEADER = Struct("<HHI")
HEADER_SIZE, LONG_HEADER_SIZE = 8, 12
_US_SIZE, _LONGEST_IS = 2, 12
_EMPTY = ITEM_HEADER.pack(0xFFFE, 0xE000, 0)
_NOTHING = Item((), undefined=False)
# VR and where the value starts behind the header (PS3.5 7.1.2)
VRS: Mapping[bytes, tuple[str, int]] = {
    **{vr.encode(): (vr, HEADER_SIZE) for vr in sorted(SHORT_VRS)},
    **{vr.encode(): (vr, LONG_HEADER_SIZE) for vr in sorted(LONG_VRS)},
}


@dataclass(frozen=True, slots=True, repr=False)
class DataSet:
    """A complete little-endian data set and the table of its top-level elements, in ascending order of tag.

    `nested` has the items of each sequence at any depth, by the `start` of its element.
    """

    data: memoryview = field(repr=False)
    explicit: bool
    elements: tuple[Element, ...]
    nested: Table = field(default_factory=dict, repr=False)
    _by_tag: dict[int, Element] = field(default_factory=dict, init=False, repr=False, compare=False)

    def everywhere(self) -> Iterator[Element]:
        """All elements, at all depths."""
        return everywhere(self.elements, self.nested)

    def find(self, tag: int) -> Element | None:
        """The top-level element with this tag, if there is one."""
        if not self._by_tag:  # dozens are asked for of each data set
            self._by_tag.update((element[0], element) for element in self.elements)
        return self._by_tag.get(tag)

    def value(self, tag: int) -> bytes:
        """The element's value as sent; empty when absent or without value."""
        element = self.find(tag)
        return bytes(self.data[element.value : element.end]) if element else b""

    def text(self, tag: int) -> str:
        """The element's value decoded by SpecificCharacterSet, padding stripped; empty when absent or without value.

        Raises Failure MALFORMED where the bytes are not of that character set.
        """
        return self.decode(self.value(tag)).strip(" \0")

    def decode(self, value: bytes, errors: str = "strict") -> str:
        """The characters of any value of this data set; raises as `charset.decode` does."""
        if charset.is_plain(value):  # as nearly all are
            return value.decode("ascii")
        return charset.decode(value, charset.terms(self.value(charset.TAG)), errors)


def read(
    data: bytes | bytearray | memoryview, *, explicit: bool, bounds: Bounds = BOUNDS, shapes: Shapes | None = None
) -> DataSet:
    """Make the table; raises Failure INCOMPLETE where the bytes end short and MALFORMED where PS3.5 is broken.

    Every sequence is walked to its last item, so what is returned is complete at all depths; what is beyond `bounds`
    is MALFORMED (Excess). `shapes` are layouts of items that are known from others.
    """
    reader = Reader(memoryview(data), bounds, shapes)
    elements, _ = reader.table(0, Span(len(data), 0, explicit, delimited=False))
    dataset = DataSet(reader.data, explicit, elements, reader.nested)
    bounds.check_header(len(data), ((element.tag, element.stop - element.start) for element in elements))
    check_pixels(dataset)
    return dataset


class Span(NamedTuple):
    """How far a table or a row of items may reach, and how its elements are encoded."""

    limit: int
    depth: int
    explicit: bool
    delimited: bool


class Reader:
    """Walks the bytes once, from the first element to the last, with a limit on all it may find; `nested` is filled."""

    __slots__ = ("_shapes", "bounds", "data", "left", "nested")

    def __init__(self, data: memoryview, bounds: Bounds = BOUNDS, shapes: Shapes | None = None) -> None:
        self.data = data
        self.bounds = bounds
        self.left = bounds.elements
        self.nested: Table = {}
        self._shapes = shapes or Shapes(bounds.values)

    def table(self, at: int, span: Span) -> tuple[tuple[Element, ...], int]:  # noqa: C901  no call an element
        """The elements from `at`, and where the next thing starts: at the limit, or behind an item's delimiter."""
        limit, _, explicit, delimited = span
        elements: list[Element] = []
        add, new, data, header, vrs = elements.append, tuple.__new__, self.data, HEADER.unpack_from, VRS
        last, many = _LAST_FORBIDDEN, self.bounds.values
        while at < limit or delimited:
            if limit - at < HEADER_SIZE:
                raise _short()
            group, number, code, length = header(data, at)
            tag = group << 16 | number
            if tag <= last:
                raise _malformed("elements are not in ascending order of tags above group 0002")
            last = tag
            if explicit and (known := vrs.get(code)):
                vr, offset = known
                value = at + offset
                if offset == LONG_HEADER_SIZE:
                    length = self._long(at, limit)
            elif tag == _ITEM_END and delimited:
                at += HEADER_SIZE
                break
            else:
                vr, value, length = self._implicit(tag, at, explicit=explicit)
            self.left -= 1
            if self.left < 0:
                raise _too_many()
            if length & 1 or vr == "SQ":
                end, stop = self._structured(Element(tag, vr, at, value, value, value), length, span)
            else:
                end = stop = value + length
            if stop > limit:
                raise _short()
            if length > many and vr != "SQ":  # no value is shorter than a byte
                self.bounds.check_values(vr, data[value:end])
            add(new(Element, (tag, vr, at, value, end, stop)))  # three times as quick as Element(...)
            at = stop
        return tuple(elements), at

    def items(self, start: int, at: int, span: Span) -> tuple[int, int]:  # noqa: C901  no call an item
        """Walk the items from `at`, note them in `nested` under `start`, and tell where they end (PS3.5 7.5)."""
        items: list[Item] = []
        limit, depth, explicit, delimited = span
        shapes = self._shapes
        while at < limit or delimited:
            head = bytes(self.data[at : at + shapes.KEY])
            if head.startswith(_EMPTY) and at + HEADER_SIZE <= limit:  # a flood of them shall cost little
                self.left -= 1
                if self.left < 0:
                    raise _too_many()
                items.append(_NOTHING)
                at += HEADER_SIZE
                continue
            key = depth, explicit, head
            met = shapes.met.get(key)
            if met and met.shapes and (shape := shapes.like(met, self.data, at, limit)):
                self.left -= shape.count
                if self.left < 0:
                    raise _too_many()
                items.append(shape.item(at, self.nested))
                at += shape.size
                continue
            begun, left = at, self.left
            tag, length = self._item(at, limit)
            at += HEADER_SIZE
            if tag == _SEQUENCE_END and delimited:
                self.nested[start] = Nested(explicit, tuple(items))
                return at - HEADER_SIZE, at
            if tag != _ITEM:
                raise _malformed("something that is no item stands in a sequence")
            stop = limit if length == UNDEFINED else at + length
            if stop > limit:
                raise _short()
            elements, at = self.table(at, Span(stop, depth, explicit, length == UNDEFINED))
            items.append(Item(elements, undefined=length == UNDEFINED))
            if met is not None:
                shapes.learn(met, self.data, range(begun, at), items[-1], self.nested, left - self.left)
            elif explicit:  # what is implicit is never met again
                shapes.met[key] = Met()
        self.nested[start] = Nested(explicit, tuple(items))
        return at, at

    def _long(self, at: int, limit: int) -> int:
        """The length field of four bytes behind the VR and two reserved ones."""
        if limit - at < LONG_HEADER_SIZE:
            raise _short()
        length: int = _LONG.unpack_from(self.data, at + 8)[0]
        return length

    def _implicit(self, tag: int, at: int, *, explicit: bool) -> tuple[str, int, int]:
        """VR, start of the value and length of an element that is sent without its VR."""
        if explicit:
            raise _malformed("an element has a value representation that DICOM does not define")
        if tag >> 16 == dictionary.ITEMS_GROUP:
            raise _malformed("an item or a delimiter stands where an element should be")
        return dictionary.vr(tag), at + HEADER_SIZE, _LONG.unpack_from(self.data, at + 4)[0]

    def _structured(self, head: Element, length: int, span: Span) -> tuple[int, int]:
        """Where a value that is made of items ends, and where the next element starts."""
        limit, depth, explicit, _ = span
        if length != UNDEFINED:
            limit = head.value + length
            if length & 1:
                raise _malformed("an element has an odd length")
            if limit > span.limit:
                raise _short()
        elif explicit and head.tag == PIXEL_DATA and head.vr in {"OB", "OW"}:
            return self._fragments(head.value, limit)
        elif head.vr not in {"SQ", "UN"}:
            raise _malformed("an element that is neither a sequence nor pixel data has undefined length")
        if depth >= self.bounds.depth:
            raise Excess("max_depth", "sequences are nested deeper than this node takes")
        inside = Span(limit, depth + 1, explicit and head.vr == "SQ", length == UNDEFINED)
        return self.items(head.start, head.value, inside)

    def _fragments(self, at: int, limit: int) -> tuple[int, int]:
        """Where encapsulated pixel data ends: the walk goes from fragment to fragment (PS3.5 A.4)."""
        while True:
            tag, length = self._item(at, limit)
            if tag == _SEQUENCE_END:
                return at, at + HEADER_SIZE
            if tag != _ITEM or length == UNDEFINED or length & 1:
                raise _malformed("encapsulated pixel data is not a row of fragments")
            at += HEADER_SIZE + length

    def _item(self, at: int, limit: int) -> tuple[int, int]:
        """Tag and length of an item or delimiter."""
        if limit - at < HEADER_SIZE:
            raise _short()
        self.left -= 1
        if self.left < 0:
            raise _too_many()
        group, number, length = ITEM_HEADER.unpack_from(self.data, at)
        return group << 16 | number, length


def _too_many() -> Failure:
    return Excess("max_elements", "there are more elements and items than this node takes")


def _short() -> Failure:
    return Failure(Outcome.INCOMPLETE, "the data set ends before its own lengths say")


def _malformed(why: str) -> Failure:
    return Failure(Outcome.MALFORMED, why)


def check_pixels(dataset: DataSet) -> None:
    """Native pixel data is as long as the image it belongs to, or longer by padding (PS3.5 8.1.1)."""
    element = dataset.find(PIXEL_DATA)
    if element is None or element.end != element.stop:
        return
    check_length(element, image_bytes(dataset))


def check_length(pixels: Element, least: int) -> None:
    """Raises Failure INCOMPLETE where native pixel data is shorter than so many bytes."""
    if pixels.end == pixels.stop and pixels.end - pixels.value < least:
        raise Failure(Outcome.INCOMPLETE, "the pixel data is shorter than the image it is said to be")


def image_bytes(dataset: DataSet) -> int:
    """How long the data of an image is at least that has these IMAGE attributes."""
    bits = 1
    for tag in (0x00280010, 0x00280011, 0x00280002, 0x00280100):
        bits *= _unsigned(dataset, tag)
    frames = dataset.text(_FRAMES)
    if frames.isdecimal() and frames.isascii() and len(frames) <= _LONGEST_IS:
        bits *= int(frames)
    photometric = dataset.text(_PHOTOMETRIC)
    if photometric.endswith(("422", "420")):  # chrominance is sampled at half or a quarter of the rate
        bits = bits * 2 // 3 if photometric.endswith("422") else bits // 2
    return (bits + 7) // 8


def _unsigned(dataset: DataSet, tag: int) -> int:
    """The value of an US attribute; 0 when absent or anything else."""
    value = dataset.value(tag)
    return int.from_bytes(value, "little") if len(value) == _US_SIZE else 0
