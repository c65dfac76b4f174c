"""Blanks RLE-compressed pixel data: decoded and encoded again by pydicom, which loses nothing (PS3.5 Annex G)."""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import RLELossless

from scp.dataset import DataSet, read
from scp.deidentify import native
from scp.deidentify.labels import Label
from scp.deidentify.regions import hidden, withheld
from scp.table import Element

_HEADER = struct.Struct("<HH2sHI")
_UNDEFINED = 0xFFFFFFFF
_DELIMITER = struct.Struct("<HHI").pack(0xFFFE, 0xE0DD, 0)
_EXTENDED_OFFSET_TABLE = 0x7FE00001
_LARGEST_FRAME = 1 << 28
_PLUGIN = "pydicom"
_ERRORS = (AttributeError, EOFError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError, struct.error)
"""What pydicom raises for what is not as it should be."""


def blanked(dataset: DataSet, element: Element, transfer_syntax: str, labels: Iterable[Label]) -> DataSet:
    """The data set with the regions of each frame black. Raises Failure PIXELS_WITHHELD for what is not RLE."""
    if transfer_syntax != RLELossless or dataset.find(_EXTENDED_OFFSET_TABLE):
        raise withheld("encapsulated pixel data is blanked where it is RLE, without extended offset table, only")
    layout = native.layout_of(dataset)._replace(frames=1, interleaved=False)  # RLE's planes (PS3.5 G.2)
    if layout.frame > _LARGEST_FRAME:
        raise withheld("its frames are larger than those that are blanked")
    blanking = native.blanking(layout, hidden(labels, dataset, layout.rows, layout.columns))
    frames = _frames(dataset, element)
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": len(layout.black),
        "number_of_frames": 1,
        "bits_allocated": 8 * len(layout.black[0]),
        "bits_stored": 8 * len(layout.black[0]),  # all bits of a cell stay, whatever stands in the unused ones
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2" if len(layout.black) == 1 else "RGB",
        "planar_configuration": 0,
    }
    return _replaced(dataset, element, encapsulate([_frame(frame, blanking, options) for frame in frames]))


def _frames(dataset: DataSet, element: Element) -> list[bytes]:
    count = native.layout_of(dataset).frames
    try:
        frames = list(generate_frames(bytes(dataset.data[element.value : element.stop]), number_of_frames=count))
    except _ERRORS:
        raise withheld("its fragments are no frames") from None
    if len(frames) != count:
        raise withheld("it has other frames than it says")
    return frames


def _frame(frame: bytes, blanking: native.Blanking, options: dict[str, Any]) -> bytes:
    """One frame decoded, blanked and encoded again."""
    try:
        pixels, meta = get_decoder(RLELossless).as_buffer(
            encapsulate([frame]), index=0, decoding_plugin=_PLUGIN, raw=True, pixel_keyword="PixelData", **options
        )
    except _ERRORS:
        raise withheld("a frame is not RLE as PS3.5 Annex G defines it") from None
    planes = len(blanking.black)
    if len(pixels) != blanking.size or meta.get("planar_configuration", 0) != (planes > 1):
        raise withheld("a frame is not as long as rows, columns and samples say")
    cells = np.frombuffer(blanking.take(pixels, 0), np.uint8).reshape(planes, -1, blanking.cell)
    try:
        interleaved = cells.swapaxes(0, 1).tobytes()  # as the encoder takes them
        return get_encoder(RLELossless).encode(interleaved, encoding_plugin=_PLUGIN, **options)
    except _ERRORS:
        raise withheld("pydicom does not encode such pixels as RLE") from None


def _replaced(dataset: DataSet, element: Element, value: bytes) -> DataSet:
    """The data set read anew with this value for its pixel data."""
    header = _HEADER.pack(element.tag >> 16, element.tag & 0xFFFF, element.vr.encode(), 0, _UNDEFINED)
    front, behind = dataset.data[: element.start], dataset.data[element.stop :]
    return read(b"".join((front, header, value, _DELIMITER, behind)), explicit=dataset.explicit)
