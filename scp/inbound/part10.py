"""Where the data set of a file begins, and what it is said to be (PS3.10 7.1), also without preamble or meta."""

from struct import Struct
from typing import Final, NamedTuple

from scp.dataset import HEADER, HEADER_SIZE, LONG_HEADER_SIZE, UNDEFINED, VRS

MOST: Final = 131_072  # bytes looked at: file meta information is some hundred, and the UIDs stand right behind it
EXPLICIT: Final = "1.2.840.10008.1.2.1"
IMPLICIT: Final = "1.2.840.10008.1.2"
DICOMDIR: Final = "1.2.840.10008.1.3.10"

_PREAMBLE, _PREFIX = 128, b"DICM"
_META = 0x0002
_CLASS, _INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_LENGTH = Struct("<I")


class Head(NamedTuple):
    """What a file says of its data set, as a C-STORE-RQ would: `begins` is the data set's offset in the file."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    begins: int


def head(start: bytes) -> Head | None:
    """Read the first `MOST` bytes of a file, or all of a shorter one; None where it is no DICOM file.

    What has the prefix is one, whatever follows: what it lacks stays empty, and the walk refuses it. Without the
    prefix it is one if it has a SOP class and instance UID where they belong.
    """
    prefixed = start[_PREAMBLE : _PREAMBLE + len(_PREFIX)] == _PREFIX
    at = _PREAMBLE + len(_PREFIX) if prefixed else len(_PREFIX) * start.startswith(_PREFIX)
    meta, begins = _elements(start, at, explicit=True, upto=(_META + 1) << 16)
    syntax = meta.get(_SYNTAX) or (EXPLICIT if _is_explicit(start, begins) else IMPLICIT)
    own, _ = _elements(start, begins, explicit=syntax != IMPLICIT, upto=_SOP_INSTANCE_UID + 1)
    found = Head(
        meta.get(_CLASS) or own.get(_SOP_CLASS_UID, ""),
        meta.get(_INSTANCE) or own.get(_SOP_INSTANCE_UID, ""),
        syntax,
        begins,
    )
    return found if prefixed or _is_uid(found.sop_class_uid, found.sop_instance_uid) else None


def _is_explicit(start: bytes, at: int) -> bool:
    """Whether an element with a VR stands there; as a length the same bytes would be larger than any file."""
    return len(start) - at >= HEADER_SIZE and start[at + 4 : at + 6] in VRS


def _elements(start: bytes, at: int, *, explicit: bool, upto: int) -> tuple[dict[int, str], int]:
    """The short texts of ascending elements of one group, and where the first stands that is not below `upto`."""
    group, last, texts = (upto - 1) >> 16, 0, dict[int, str]()
    while len(start) - at >= HEADER_SIZE:
        (one, number, code, length), value = HEADER.unpack_from(start, at), at + HEADER_SIZE
        tag = one << 16 | number
        if one != group or not last < tag < upto:
            break
        if not explicit:
            length = _LENGTH.unpack_from(start, at + 4)[0]
        elif code not in VRS:
            break
        elif VRS[code][1] == LONG_HEADER_SIZE:
            if len(start) - at < LONG_HEADER_SIZE:
                break
            length, value = _LENGTH.unpack_from(start, at + HEADER_SIZE)[0], at + LONG_HEADER_SIZE
        if length == UNDEFINED or value + length > len(start):
            break
        texts[tag] = start[value : value + length].decode("latin-1").strip(" \0")
        last, at = tag, value + length
    return texts, at


def _is_uid(*texts: str) -> bool:
    return all(text and set(text) <= set("0123456789.") for text in texts)
