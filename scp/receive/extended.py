"""SOP class extended negotiation (PS3.7 D.3.3.5) for the storage service (PS3.4 B.3.1)."""

import struct
from collections.abc import Collection, Iterable
from typing import Final

from scp.receive import items
from scp.receive.wire import ProtocolError, Reason

ITEM: Final = 0x56
# Byte 1, level of support: 0 (local). A recipe takes attributes away, so "level 1 or 2" would not be true.
# Byte 3, digital signatures: 0 (none). Byte 5, element coercion: 1 (attributes may be changed).
CAPABILITIES: Final = bytes((0, 0, 0, 0, 1, 0))
_LENGTH: Final = struct.Struct(">H")


def read(body: bytes) -> str:
    """The SOP class that a sub-item is about, from behind its header; raises ProtocolError."""
    if len(body) < _LENGTH.size:
        raise _malformed()
    (length,) = _LENGTH.unpack_from(body)
    uid = body[_LENGTH.size : _LENGTH.size + length]
    if len(uid) != length:
        raise _malformed()
    return uid.decode("latin-1").rstrip("\0")


def answer(asked: Iterable[str], accepted: Collection[str]) -> bytes:
    """One sub-item for each accepted storage class that was asked about."""
    return b"".join(_item(uid.encode()) for uid in sorted(set(asked) & set(accepted)))


def _item(uid: bytes) -> bytes:
    return items.item(ITEM, _LENGTH.pack(len(uid)) + uid + CAPABILITIES)


def _malformed() -> ProtocolError:
    return ProtocolError(Reason.INVALID_PARAMETER, "an extended negotiation that is malformed")
