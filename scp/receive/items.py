"""The items and sub-items that an A-ASSOCIATE PDU is made of (PS3.8 9.3.2 and 9.3.3)."""

import struct
from typing import Final

from scp.receive.wire import PDU, ProtocolError, Reason

FIXED_BYTES: Final = 68  # of the body before its variable items
USER_INFORMATION: Final = 0x50
_ITEM: Final = struct.Struct(">BBH")
_PDU: Final = struct.Struct(">BBI")
HEADER_BYTES: Final = _ITEM.size


def values(data: bytes) -> list[tuple[int, bytes]]:
    """Each item's type and value; raises ProtocolError where they do not fill the data."""
    found = []
    at, size, unpack = 0, len(data), _ITEM.unpack_from
    try:
        while at < size:
            kind, _, length = unpack(data, at)
            start = at + HEADER_BYTES
            at = start + length
            found.append((kind, data[start:at]))
    except struct.error:
        raise ProtocolError(Reason.INVALID_PARAMETER, "an association request that ends within an item") from None
    if at > size:
        raise ProtocolError(Reason.INVALID_PARAMETER, "an item longer than its association request")
    return found


def item(kind: int, body: bytes) -> bytes:
    """An item or sub-item."""
    return _ITEM.pack(kind, 0, len(body)) + body


def pdu(kind: PDU, body: bytes) -> bytes:
    """A PDU."""
    return _PDU.pack(kind, 0, len(body)) + body
