"""What stands before the data set in a file: preamble, prefix and file meta information, always made anew."""

from functools import lru_cache
from struct import Struct

from scp import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_PREAMBLE = bytes(128) + b"DICM"
_LONG = Struct("<HH2sHI")
_SHORT = Struct("<HH2sH")
_GROUP = 0x0002
_VERSION = _LONG.pack(_GROUP, 0x0001, b"OB", 0, 2) + b"\x00\x01"


def head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Zero preamble, `DICM` and the elements of group 0002 (PS3.10 7.1); nothing of what was sent goes in but these."""
    instance = _text(0x0003, b"UI", sop_instance_uid)
    before, behind = _around(sop_class_uid, transfer_syntax, len(instance))
    return b"".join((before, instance, behind))


@lru_cache(64)
def _around(sop_class_uid: str, transfer_syntax: str, size: int) -> tuple[bytes, bytes]:
    """What stands before and behind the element that names the instance, which has this size."""
    before = _VERSION + _text(0x0002, b"UI", sop_class_uid)
    behind = _text(0x0010, b"UI", transfer_syntax) + _IMPLEMENTATION
    length = (len(before) + size + len(behind)).to_bytes(4, "little")
    return _PREAMBLE + _SHORT.pack(_GROUP, 0x0000, b"UL", 4) + length + before, behind


def _text(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    if len(value) & 1:
        value += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(_GROUP, element, vr, len(value)) + value


_IMPLEMENTATION = _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
