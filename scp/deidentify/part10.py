"""What stands before the data set in a file: preamble, prefix and file meta information, always made anew."""

from struct import Struct

from scp import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_PREAMBLE = bytes(128) + b"DICM"
_LONG = Struct("<HH2sHI")
_SHORT = Struct("<HH2sH")
_GROUP = 0x0002
_VERSION = _LONG.pack(_GROUP, 0x0001, b"OB", 0, 2) + b"\x00\x01"


def head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax: str) -> bytes:
    """Zero preamble, `DICM` and the elements of group 0002 (PS3.10 7.1); nothing of what was sent goes in but these."""
    meta = _VERSION + b"".join(
        (
            _text(0x0002, b"UI", sop_class_uid),
            _text(0x0003, b"UI", sop_instance_uid),
            _text(0x0010, b"UI", transfer_syntax),
            _IMPLEMENTATION,
        )
    )
    return _PREAMBLE + _SHORT.pack(_GROUP, 0x0000, b"UL", 4) + len(meta).to_bytes(4, "little") + meta


def _text(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    if len(value) & 1:
        value += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(_GROUP, element, vr, len(value)) + value


_IMPLEMENTATION = _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
