"""Whether a data set is encoded as it says, so far as what leaves of it depends on that."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from struct import Struct

from scp import dictionary
from scp.dataset import PIXEL_DATA, SHORT_VRS, DataSet
from scp.deidentify.step import Action, Step
from scp.deidentify.values import TEXT_VRS
from scp.outcome import Failure, Outcome
from scp.pixels import PIXELS
from scp.table import Element

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNREADABLE = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})  # deflated, big endian
_OVERLAYS, _OVERLAY_BIT_POSITION = range(0x6000, 0x6100), 0x0102
_SPECIFIC_CHARACTER_SET = 0x00080005
_CHARACTER_SET = b"\x08\0\x05\0CS"
_LENGTH = Struct("<H")
_TERMS = re.compile(
    rb"[A-Za-z0-9_. \\-]*+[\0 ]*+"
)  # never tried twice: a long row of blanks takes the square of its length
_TEXTS = TEXT_VRS.keys() & SHORT_VRS - {"LT", "ST"}  # those may be in any alphabet, and the guard reads them
_SENT = TEXT_VRS.keys() | {"UN"}
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f][^\0 ]")
_LEAST = 12
"""Bytes that a value needs to hold another element."""


def check(dataset: DataSet, transfer_syntax: str, steps: Mapping[int, Step]) -> None:
    """Raises Failure where what leaves could not be read, or a kept text holds elements that a wrong length swallowed.

    A value that begins before its neighbours and ends behind them hides them from every rule and from the guard.
    """
    if transfer_syntax in _UNREADABLE:
        raise Failure(Outcome.NOT_DEIDENTIFIED, "deflated and big endian data sets are not read")
    if not _TERMS.fullmatch(dataset.value(_SPECIFIC_CHARACTER_SET)):
        raise Failure(Outcome.MALFORMED, "SpecificCharacterSet is no row of terms")
    if any(value.strip(b"\0") for value in _overlay_positions(dataset)):
        raise Failure(Outcome.NOT_DEIDENTIFIED, "an overlay is embedded in the pixel data")
    check_pixels(dataset, transfer_syntax)
    check_texts(dataset, dataset.elements, steps)


def check_pixels(dataset: DataSet, transfer_syntax: str) -> None:
    """What `check` asks of the pixel data alone."""
    if sum(dataset.find(tag) is not None for tag in PIXELS) > 1:
        raise Failure(Outcome.MALFORMED, "there is pixel data of more than one kind")  # PS3.3 C.7.6.3, C.7.6.24
    pixels = dataset.find(PIXEL_DATA)
    if pixels and (pixels.end == pixels.stop) != (transfer_syntax in {IMPLICIT, EXPLICIT}):
        raise Failure(Outcome.MALFORMED, "the pixel data is not encoded as the transfer syntax says")


def check_written(output: bytes) -> None:
    """Raises Failure MALFORMED where a SpecificCharacterSet that leaves, in an item as well, is no row of terms.

    There are readers that give up the whole file because of it.
    """
    at = output.find(_CHARACTER_SET)
    while at >= 0:
        value = at + len(_CHARACTER_SET) + _LENGTH.size
        if value > len(output) or not _TERMS.fullmatch(
            output, value, value + _LENGTH.unpack_from(output, value - 2)[0]
        ):
            raise Failure(Outcome.MALFORMED, "SpecificCharacterSet is no row of terms")
        at = output.find(_CHARACTER_SET, value)


def check_texts(dataset: DataSet, elements: Iterable[Element], steps: Mapping[int, Step]) -> None:
    """What `check` asks of each of the elements; what another VR was sent with is still the text of its attribute."""
    for tag, vr, _, value, end, _ in elements:
        if end - value < _LEAST or vr not in _SENT or not (step := steps.get(tag)) or step.action is not Action.KEEP:
            continue
        if (vr in _TEXTS or step.vrs[0] in _TEXTS) and _BINARY.search(dataset.data, value, end):
            raise Failure(Outcome.NOT_DEIDENTIFIED, f"{dictionary.write(tag)} is kept and holds what is no text")


def _overlay_positions(dataset: DataSet) -> Iterator[bytes]:
    """OverlayBitPosition of each overlay: not 0 where its bits are those of the pixels that stay (PS3.5 8.1.2)."""
    for element in dataset.elements[bisect_left(dataset.elements, (_OVERLAYS[0] << 16,)) :]:
        if element.tag >> 16 not in _OVERLAYS:
            return
        if element.tag & 0xFFFF == _OVERLAY_BIT_POSITION:
            yield bytes(dataset.data[element.value : element.end])
