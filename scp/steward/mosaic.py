"""A picture of a series for the person who approves it: slices from its beginning to its end, side by side."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

ACROSS, DOWN = 4, 3
SIDE = 96
_DARKEST, _BRIGHTEST = 1.0, 99.0
_ROWS_AND_COLUMNS = 2


def mosaic(folder: Path, files: Sequence[str]) -> bytes | None:
    """A PNG of at most 4 x 3 slices of 96 pixels, from the darkest to the brightest hundredth; None without pixels.

    Only native pixel data is drawn: the node has no decoders.
    """
    count = min(len(files), ACROSS * DOWN)
    places = [round(step * (len(files) - 1) / max(1, count - 1)) for step in range(count)]
    slices = [slice_ for place in places if (slice_ := _slice(folder / files[place])) is not None]
    if not slices:
        return None
    canvas = np.zeros((DOWN * SIDE, ACROSS * SIDE))
    for number, pixels in enumerate(slices):
        row, column = divmod(number, ACROSS)
        canvas[row * SIDE :, column * SIDE :][: pixels.shape[0], : pixels.shape[1]] = pixels
    used = canvas[: (-(-len(slices) // ACROSS)) * SIDE]
    low, high = np.percentile(np.concatenate([pixels.ravel() for pixels in slices]), (_DARKEST, _BRIGHTEST))
    return png((np.clip((used - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Grey pixels [row, column] as a PNG file (ISO/IEC 15948), 8 bits deep."""
    height, width = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _slice(path: Path) -> NDArray[np.float64] | None:
    """One image, its middle frame where it has several, thinned to fit; None where it cannot be drawn."""
    try:
        dataset = pydicom.dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            return None
        pixels = np.asarray(dataset.pixel_array, dtype=np.float64)
    except (OSError, InvalidDicomError, AttributeError, ValueError, TypeError, RuntimeError):
        return None  # a report on pixels that nobody can read has no picture, and its findings all the same
    if dataset.SamplesPerPixel > 1:
        pixels = pixels.mean(axis=-1)
    if pixels.ndim > _ROWS_AND_COLUMNS:
        pixels = pixels[len(pixels) // 2]
    step = max(1, -(-max(pixels.shape) // SIDE))
    return pixels[::step, ::step]
