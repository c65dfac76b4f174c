"""Siemens CSA headers (SV10): written anew with the few numbers that no public attribute has.

The header a scanner sends repeats dates, serial numbers and the protocol, also in the gaps between its values. Here
only tags of a fixed list survive, only values that are numbers, in a block of bytes that was zero before.
"""

import re
from collections.abc import Iterator, Mapping
from struct import Struct, error

_SIGNATURE = b"SV10\4\3\2\1"
_COUNT = Struct("<II")
_TAG = Struct("<64si4siii")
_ITEM = Struct("<4i")
_CHECK = 77
_CHECKS = frozenset({77, 205})
_NUMBER = re.compile(rb"[+-]?\d{1,6}(?:\.\d{1,12})?(?:[eE][+-]?\d{1,3})?")
_MOST_TAGS, _MOST_ITEMS = 1024, 2048
_VRS: Mapping[bytes, bytes] = {
    b"B_value": b"IS",
    b"BandwidthPerPixelPhaseEncode": b"FD",
    b"DiffusionGradientDirection": b"FD",
    b"MosaicRefAcqTimes": b"FD",
    b"NumberOfImagesInMosaic": b"US",
    b"PhaseEncodingDirectionPositive": b"IS",
    b"ProtocolSliceNumber": b"IS",
    b"SliceMeasurementDuration": b"DS",
    b"SliceNormalVector": b"FD",
}


def csa_numbers(sent: bytes) -> bytes:
    """The header with its harmless numbers only; empty where it is no CSA header or cannot be read to its end."""
    try:
        tags = [(name, values) for name, values in _tags(sent) if name in _VRS]
    except (error, ValueError):
        return b""
    body = b"".join(_written(name, values) for name, values in tags)
    return _SIGNATURE + _COUNT.pack(len(tags), _CHECK) + body if tags else b""


def _tags(sent: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Name and values of each tag. Raises ValueError or struct.error where the bytes are not what they should be."""
    if not sent.startswith(_SIGNATURE):
        raise ValueError
    at = len(_SIGNATURE)
    count, check = _COUNT.unpack_from(sent, at)
    at += _COUNT.size
    if check not in _CHECKS or count > _MOST_TAGS:
        raise ValueError
    for _ in range(count):
        name, _, _, _, items, check = _TAG.unpack_from(sent, at)
        at += _TAG.size
        if check not in _CHECKS or not 0 <= items <= _MOST_ITEMS:
            raise ValueError
        values = []
        for _ in range(items):
            length = _ITEM.unpack_from(sent, at)[1]
            at += _ITEM.size
            if not 0 <= length <= len(sent) - at:
                raise ValueError
            values.append(sent[at : at + length].split(b"\0", 1)[0].strip())
            at += length + 3 & ~3
        yield name.split(b"\0", 1)[0], values


def _written(name: bytes, values: list[bytes]) -> bytes:
    """A tag with as many items as were sent, which readers count on; those that were no number are empty."""
    numbers = [value if _NUMBER.fullmatch(value) else b"" for value in values]
    body = b"".join(_item(number) for number in numbers)
    return _TAG.pack(name, sum(map(bool, numbers)), _VRS[name], 0, len(numbers), _CHECK) + body


def _item(number: bytes) -> bytes:
    length = len(number) + 1 if number else 0
    return _ITEM.pack(length, length, _CHECK, length) + number.ljust(length + 3 & ~3, b"\0")
