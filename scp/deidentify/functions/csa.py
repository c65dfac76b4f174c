"""Siemens CSA headers: written anew with the numbers that no public attribute has, as CSA2 (SV10) whichever was sent.

The header a scanner sends repeats dates, serial numbers and the protocol, also in the gaps between its values. Here
only tags of a fixed list survive, only values that are numbers, in a block of bytes that was zero before.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from struct import Struct, error

from scp.deidentify.functions.phoenix import phoenix_lines

_SIGNATURE = b"SV10\4\3\2\1"
_COUNT = Struct("<II")
_TAG = Struct("<64si4siii")
_ITEM = Struct("<4i")
_CHECK = 77
_CHECKS = frozenset({77, 205})
_NUMBER = re.compile(rb"[+-]?\d{1,6}(?:\.\d{1,12})?(?:[eE][+-]?\d{1,3})?")
_MOST_TAGS, _MOST_ITEMS = 1024, 2048
_IMAGE: Mapping[bytes, bytes] = {
    b"Actual3DImaPartNumber": b"IS",
    b"B_matrix": b"FD",
    b"B_value": b"IS",
    b"BandwidthPerPixelPhaseEncode": b"FD",
    b"DiffusionGradientDirection": b"FD",
    b"EchoColumnPosition": b"IS",
    b"EchoLinePosition": b"IS",
    b"EchoPartitionPosition": b"IS",
    b"FlowVenc": b"FD",
    b"ImaRelTablePosition": b"IS",
    b"MosaicRefAcqTimes": b"FD",
    b"MultistepIndex": b"IS",
    b"NonPlanarImage": b"US",
    b"NumberOfImagesInMosaic": b"US",
    b"PhaseEncodingDirectionPositive": b"IS",
    b"ProtocolSliceNumber": b"IS",
    b"RBMoCoRot": b"FD",
    b"RBMoCoTrans": b"FD",
    b"RealDwellTime": b"IS",
    b"SliceMeasurementDuration": b"DS",
    b"SliceNormalVector": b"FD",
    b"TimeAfterStart": b"DS",
}
_SERIES: Mapping[bytes, bytes] = {
    b"EchoTrainLength": b"IS",
    b"GradientEchoTrainLength": b"US",
    b"RFEchoTrainLength": b"US",
    b"ReadoutOS": b"FD",
    b"RelTablePosition": b"IS",
    b"SliceArrayConcatenations": b"IS",
    b"SliceResolution": b"DS",
    b"TransmitterCalibration": b"DS",
}
_PROTOCOLS: Mapping[bytes, bytes] = {b"MrPhoenixProtocol": b"UN", b"MrProtocol": b"UN"}


def csa_numbers(sent: bytes) -> bytes:
    """The image header with its harmless numbers only; empty where it cannot be read to its end."""
    return _rewritten(sent, _IMAGE, _number)


def csa_protocol(sent: bytes) -> bytes:
    """The series header: its harmless numbers, and its protocol as `phoenix_lines` leaves it."""
    return _rewritten(sent, {**_SERIES, **_PROTOCOLS}, _number_or_protocol)


def _rewritten(sent: bytes, vrs: Mapping[bytes, bytes], cleaned: Callable[[bytes, bytes], bytes]) -> bytes:
    try:
        tags = [(name, values) for name, values in _tags(sent) if name in vrs]
    except (error, ValueError):
        return b""
    body = b"".join(_written(name, vrs[name], [cleaned(name, value) for value in values]) for name, values in tags)
    return _SIGNATURE + _COUNT.pack(len(tags), _CHECK) + body if tags else b""


def _number(_name: bytes, value: bytes) -> bytes:
    return value if _NUMBER.fullmatch(value) else b""


def _number_or_protocol(name: bytes, value: bytes) -> bytes:
    return phoenix_lines(value) if name in _PROTOCOLS else _number(name, value)


def _tags(sent: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Name and values of each tag. Raises ValueError or struct.error where the bytes are not what they should be."""
    first = not sent.startswith(_SIGNATURE)  # CSA1 has no signature, and adds to each length a constant of the file
    at = 0 if first else len(_SIGNATURE)
    count, check = _COUNT.unpack_from(sent, at)
    at += _COUNT.size
    if check not in _CHECKS or count > _MOST_TAGS:
        raise ValueError
    added: int | None = None
    for _ in range(count):
        name, _, _, _, items, check = _TAG.unpack_from(sent, at)
        at += _TAG.size
        if check not in _CHECKS or not 0 <= items <= _MOST_ITEMS:
            raise ValueError
        added = items if added is None else added
        values = []
        for _ in range(items):
            lengths = _ITEM.unpack_from(sent, at)
            length = lengths[0] - added if first else lengths[1]
            at += _ITEM.size
            if not 0 <= length <= len(sent) - at:
                raise ValueError
            values.append(sent[at : at + length].split(b"\0", 1)[0].strip())
            at += length + 3 & ~3
        yield name.split(b"\0", 1)[0], values


def _written(name: bytes, vr: bytes, values: list[bytes]) -> bytes:
    """A tag with as many items as were sent, which readers count on; those that did not pass are empty."""
    body = b"".join(_item(value) for value in values)
    return _TAG.pack(name, sum(map(bool, values)), vr, 0, len(values), _CHECK) + body


def _item(number: bytes) -> bytes:
    length = len(number) + 1 if number else 0
    return _ITEM.pack(length, length, _CHECK, length) + number.ljust(length + 3 & ~3, b"\0")
