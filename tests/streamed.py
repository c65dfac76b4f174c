"""Data sets that come in pieces, out of a buffer that is used again, as the wire's is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from struct import pack

from encoded import EXPLICIT, IMPLICIT, RLE, explicit, image, implicit, items, ordered
from hypothesis import strategies as st

from scp.dataset import UNDEFINED
from scp.instance import Arrival, Rest

PLANTED = b"QZNEEDLE"


def pieces(parts: Iterable[bytes]) -> Iterator[memoryview]:
    """Each is good until the next is asked for: then other bytes stand in its place."""
    buffer = bytearray()
    for part in parts:
        if len(buffer) < len(part):
            buffer = bytearray(len(part))
        buffer[: len(part)] = part
        yield memoryview(buffer)[: len(part)]
        buffer[:] = b"\xee" * len(buffer)


def cut(data: bytes, borders: Iterable[int]) -> list[bytes]:
    """The data in pieces that end at these places."""
    at = sorted({0, len(data), *(border % (len(data) + 1) for border in borders)})
    return [data[start:end] for start, end in pairwise(at)]


def streamed(arrival: Arrival, borders: Sequence[int] = ()) -> Arrival:
    """The same arrival with only what comes before the first border in memory."""
    first, *rest = cut(bytes(arrival.data), borders) or [b""]
    return replace(arrival, data=bytearray(first), rest=Rest(pieces(rest)))


def encapsulated(*fragments: bytes, offsets: bytes = b"", vr: str = "OB") -> bytes:
    """Encapsulated pixel data with its basic offset table (PS3.5 A.4)."""
    return explicit(0x7FE00010, vr, items([offsets, *fragments], undefined=True), UNDEFINED)


def followers(*, vrs: bool) -> list[bytes]:
    """Elements behind pixel data, with a needle in each."""
    element = explicit if vrs else lambda tag, _vr, value: implicit(tag, value)
    signature = items([explicit(0x04000510, "UI", PLANTED) if vrs else implicit(0x04000510, PLANTED)])
    return [
        element(0x7FE10010, "LO", PLANTED + b" CREATOR"),
        element(0x7FE11010, "OB", PLANTED * 3),
        element(0xFFFAFFFA, "SQ", signature),
        element(0xFFFCFFFC, "OB", PLANTED + bytes(100)),
    ]


@st.composite
def images(draw: st.DrawFn) -> tuple[bytes, str]:
    """An MR image and its transfer syntax: native or encapsulated, with or without what may stand around the pixels."""
    syntax = draw(st.sampled_from([EXPLICIT, IMPLICIT, RLE]))
    vrs = syntax != IMPLICIT
    chosen = draw(st.lists(st.sampled_from(followers(vrs=vrs)), unique=True))
    if syntax == RLE:
        even = st.binary(max_size=60).map(lambda part: part + bytes(len(part) % 2))
        offsets = draw(st.sampled_from([b"", pack("<I", 0)]))
        pixels = encapsulated(*draw(st.lists(even, max_size=6)), offsets=offsets)
    else:
        value = draw(st.binary(min_size=8, max_size=300).map(lambda part: part + bytes(len(part) % 2)))
        pixels = (
            explicit(0x7FE00010, draw(st.sampled_from(["OW", "OB"])), value) if vrs else implicit(0x7FE00010, value)
        )
    name = explicit(0x00100010, "PN", PLANTED)
    if vrs:
        return image(name, *chosen, pixels=pixels), syntax
    return _without_vrs(image(name, pixels=explicit(0x7FE00010, "OW"))) + ordered(pixels, *chosen), syntax


def _without_vrs(data: bytes) -> bytes:
    """A flat explicit data set as an implicit one, without its last element."""
    out, at = b"", 0
    while at < len(data):
        tag = int.from_bytes(data[at : at + 2], "little") << 16 | int.from_bytes(data[at + 2 : at + 4], "little")
        if tag == 0x7FE00010:
            break
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        out += implicit(tag, data[at + 8 : at + 8 + length])
        at += 8 + length
    return out
