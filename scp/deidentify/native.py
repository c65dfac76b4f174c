"""Blanks regions of native pixel data: black inside them, every other bit as it was sent (PS3.3 C.7.6.3, PS3.5 8.1).

It is written over where it lies, in memory or piece by piece on its way to the disk; nothing is decoded.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from scp.dataset import PIXEL_DATA, DataSet
from scp.deidentify import criteria
from scp.deidentify.labels import Label
from scp.deidentify.regions import Runs, hidden, withheld
from scp.instance import Part
from scp.table import Element

_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT = 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102
_REPRESENTATION = 0x00280103
_SAMPLES_OF: Mapping[str, int] = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3}
_WIDTHS = frozenset({8, 16, 32})
_DIGITS = re.compile(r"\d{1,12}", re.ASCII)


class Layout(NamedTuple):
    """How native pixels lie in their bytes; `black` has the bytes of each sample of a black pixel."""

    rows: int
    columns: int
    frames: int
    interleaved: bool
    black: tuple[bytes, ...]

    @property
    def frame(self) -> int:
        """Bytes of one frame."""
        return self.rows * self.columns * sum(map(len, self.black))


@dataclass(frozen=True, slots=True)
class Blanking:
    """Blanks native pixel data piece by piece; `lines` are the hidden columns of each row of a plane.

    `black` has one row of black pixels for each plane of a frame, `cell` is the number of bytes from one pixel to the
    next, and `size` that of all frames, without padding.
    """

    lines: Sequence[Runs] = field(repr=False)
    black: tuple[bytes, ...] = field(repr=False)
    cell: int
    size: int

    def take(self, piece: Part, offset: int) -> bytearray:
        """The piece with its hidden pixels black; `offset` is where it stands in the pixel data, in bytes."""
        out = bytearray(piece)
        length, rows, end = len(self.black[0]), len(self.lines), min(offset + len(out), self.size)
        for number in range(offset // length, -(-end // length)):
            at = number * length - offset  # where the row begins in the piece: before it, perhaps
            black = self.black[number // rows % len(self.black)]
            for left, right in self.lines[number % rows]:
                start, stop = max(left * self.cell, -at), min(right * self.cell, end - offset - at)
                if start < stop:
                    out[at + start : at + stop] = black[start:stop]
        return out


def of(dataset: DataSet, labels: Iterable[Label]) -> Blanking:
    """What blanks the native pixel data of this instance, all of it there or not. Raises Failure PIXELS_WITHHELD."""
    element = pixel_data(dataset)
    if element.end != element.stop:
        raise withheld("encapsulated pixel data is blanked in memory only; raise limits.stream_bytes")
    layout = layout_of(dataset)
    size = layout.frame * layout.frames
    if element.end - element.value != size + size % 2:
        raise withheld("the pixel data is not as long as rows, columns, samples and frames say")
    return blanking(layout, hidden(labels, dataset, layout.rows, layout.columns))


def blanking(layout: Layout, lines: Sequence[Runs]) -> Blanking:
    """What blanks pixel data of this layout."""
    cells = [b"".join(layout.black)] if layout.interleaved else list(layout.black)
    black = tuple(cell * layout.columns for cell in cells)
    return Blanking(lines, black, len(cells[0]), layout.frame * layout.frames)


def layout_of(dataset: DataSet) -> Layout:
    """Where each pixel lies; raises Failure PIXELS_WITHHELD for what is not said, contradictory, or not supported."""
    photometric = criteria.text(dataset, _PHOTOMETRIC)
    samples, allocated = _number(dataset, _SAMPLES), _number(dataset, _ALLOCATED)
    if samples != _SAMPLES_OF.get(photometric):
        raise withheld("its photometric interpretation is not one that is blanked, or has other samples")
    if allocated not in _WIDTHS:
        raise withheld("its samples have not 8, 16 or 32 bits allocated")
    interleaved = samples == 1 or _number(dataset, _PLANAR) == 0
    rows, columns = _number(dataset, _ROWS), _number(dataset, _COLUMNS)
    if not rows or not columns:
        raise withheld("the image has no rows or no columns")
    frames = criteria.text(dataset, _FRAMES) or "1"
    if not _DIGITS.fullmatch(frames):
        raise withheld("NumberOfFrames is no number")
    return Layout(rows, columns, int(frames), interleaved, _black(dataset, photometric, allocated))


def pixel_data(dataset: DataSet) -> Element:
    """The element that can be blanked; raises Failure PIXELS_WITHHELD where there is none."""
    if element := dataset.find(PIXEL_DATA):
        return element
    raise withheld("only PixelData (7FE0,0010) is blanked, no document and no floating point pixels")


def _black(dataset: DataSet, photometric: str, allocated: int) -> tuple[bytes, ...]:
    """The samples of a black pixel; where black is not known, of a palette's, it is the first entry."""
    stored, high = _number(dataset, _STORED), _number(dataset, _HIGH_BIT)
    if not 0 < stored <= high + 1 <= allocated:
        raise withheld("bits allocated, bits stored and high bit contradict each other")
    values: tuple[int, ...] = (0,)
    if photometric == "MONOCHROME1":
        signed = _number(dataset, _REPRESENTATION)
        values = (((1 << (stored - signed)) - 1) << (high + 1 - stored),)
    elif photometric == "RGB":
        values = (0, 0, 0)
    elif photometric == "YBR_FULL":
        grey = 1 << high
        values = (0, grey, grey)
    return tuple(value.to_bytes(allocated // 8, "little") for value in values)


def _number(dataset: DataSet, tag: int) -> int:
    value = criteria.text(dataset, tag)
    if not _DIGITS.fullmatch(value):
        raise withheld("an attribute that describes the pixels is missing or has not one value")
    return int(value)
