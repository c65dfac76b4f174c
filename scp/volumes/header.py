"""A NIfTI-1 or NIfTI-2 header, read before any voxel is, and written anew with nothing in it but geometry and numbers.

Source: nifti1.h and nifti2.h of the NIfTI Data Format Working Group. Only single files (`n+1`, `n+2`) are known.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from scp.outcome import Failure, Outcome

MOST: Final = 540  # bytes of the longer header
_MOST_DIMENSIONS: Final = 7
_FLAG: Final = 4  # bytes behind the header that say whether extensions follow; all zero says none
_UNUSED: Final = (0, 1)  # what a dimension beyond the last may hold


class _Form(NamedTuple):
    """Where what stands in a header; `kept` are the ranges that hold numbers and nothing else."""

    size: int
    magic: bytes
    magic_at: int
    dim: str
    dim_at: int
    datatype_at: int
    bitpix_at: int
    offset: str
    offset_at: int
    kept: tuple[tuple[int, int], ...]

    @property
    def voxels_at(self) -> int:
        """Where voxels begin in a file without extensions."""
        return self.size + _FLAG


_FORMS: Final = (
    # data_type, db_name, extents, session_error and regular are of Analyze's; glmax and glmin too; then the texts.
    _Form(348, b"n+1\0", 344, "8h", 40, 70, 72, "f", 108, ((0, 4), (39, 108), (112, 140), (252, 328))),
    _Form(540, b"n+2\0\r\n\x1a\n", 4, "8q", 16, 12, 14, "q", 168, ((0, 168), (176, 240), (344, 508), (524, 525))),
)
_COLOURS: Final = frozenset({128, 2304})  # RGB24, RGBA32: pictures, which may have anything drawn into them
_BITS: Mapping[int, int] = MappingProxyType(
    {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64, 1536: 128, 1792: 128}
    | {2048: 256}
)
"""Bits of a voxel by datatype."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a volume's file says of itself: voxels begin at `offset` in bytes, and there are `voxels` bytes of them."""

    offset: int
    voxels: int
    begins: int
    _form: _Form = field(repr=False)
    _order: str = field(repr=False)
    _raw: bytes = field(repr=False)

    def clean(self) -> bytes:
        """Header and extension flag as they may leave, `begins` bytes: no text, no extension; byte order as it was.

        All that gives voxels their place and value stands as it did, byte by byte.
        """
        form, made = self._form, bytearray(self.begins)
        for start, end in form.kept:
            made[start:end] = self._raw[start:end]
        made[form.magic_at : form.magic_at + len(form.magic)] = form.magic
        struct.pack_into(self._order + form.offset, made, form.offset_at, form.voxels_at)
        dim = struct.unpack_from(self._order + form.dim, self._raw, form.dim_at)
        used = [size if number <= dim[0] or size in _UNUSED else 1 for number, size in enumerate(dim)]
        struct.pack_into(self._order + form.dim, made, form.dim_at, *used)
        return bytes(made)


def read(start: bytes, most: int) -> Header:
    """Read what a file begins with, `MOST` bytes or all of a shorter one; more than `most` bytes of voxels are refused.

    Raises Failure MALFORMED for what is no single-file NIfTI of a known kind, PIXELS_WITHHELD for colour pictures.
    """
    form, order = _form(start)
    (datatype,) = struct.unpack_from(f"{order}h", start, form.datatype_at)
    (bits,) = struct.unpack_from(f"{order}h", start, form.bitpix_at)
    if datatype in _COLOURS:
        raise Failure(Outcome.PIXELS_WITHHELD, "a volume of colours is a picture, which may have anything in it")
    if _BITS.get(datatype) != bits:
        raise Failure(Outcome.MALFORMED, "datatype and bitpix are no kind of number that NIfTI has")
    dim = struct.unpack_from(order + form.dim, start, form.dim_at)
    if not 1 <= dim[0] <= _MOST_DIMENSIONS or min(dim[1 : dim[0] + 1]) < 1:
        raise Failure(Outcome.MALFORMED, "dim does not say how large the volume is")
    voxels = math.prod(dim[1 : dim[0] + 1]) * bits // 8
    if voxels > most:
        raise Failure(Outcome.MALFORMED, "the volume is longer than limits.max_instance_bytes")
    return Header(_offset(start, form, order, most), voxels, form.voxels_at, form, order, start[: form.size])


def _form(start: bytes) -> tuple[_Form, str]:
    for form in _FORMS:
        magic = start[form.magic_at : form.magic_at + len(form.magic)]
        for order in "<>":
            if len(start) >= form.size and struct.unpack_from(f"{order}i", start)[0] == form.size:
                if magic == form.magic:
                    return form, order
                raise Failure(Outcome.MALFORMED, "a header without the magic of a single-file NIfTI")
    raise Failure(Outcome.MALFORMED, "no NIfTI header")


def _offset(start: bytes, form: _Form, order: str, most: int) -> int:
    (offset,) = struct.unpack_from(order + form.offset, start, form.offset_at)
    if not math.isfinite(offset) or offset != int(offset) or not form.voxels_at <= offset <= form.voxels_at + most:
        raise Failure(Outcome.MALFORMED, "vox_offset is no place behind the header")
    return int(offset)
