"""The items and sub-items that an A-ASSOCIATE PDU is made of (PS3.8 9.3.2 and 9.3.3)."""

import struct
from collections.abc import Iterator
from typing import Final

from scp.receive.wire import PDU, ProtocolError, Reason

FIXED_BYTES: Final = 68  # of the body before its variable items
USER_INFORMATION: Final = 0x50
_ITEM: Final = struct.Struct(">BBH")
_PDU: Final = struct.Struct(">BBI")
HEADER_BYTES: Final = _ITEM.size


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each item's type and the item with its header; raises ProtocolError where they do not fill the data."""
    at = 0
    while at < len(data):
        if at + _ITEM.size > len(data):
            raise ProtocolError(Reason.INVALID_PARAMETER, "an association request that ends within an item")
        kind, _, length = _ITEM.unpack_from(data, at)
        end = at + _ITEM.size + length
        if end > len(data):
            raise ProtocolError(Reason.INVALID_PARAMETER, "an item longer than its association request")
        yield kind, data[at:end]
        at = end


def item(kind: int, body: bytes) -> bytes:
    """An item or sub-item."""
    return _ITEM.pack(kind, 0, len(body)) + body


def pdu(kind: PDU, body: bytes) -> bytes:
    """A PDU."""
    return _PDU.pack(kind, 0, len(body)) + body


def extend(answer: bytes, more: bytes) -> bytes:
    """An A-ASSOCIATE-AC with further user sub-items: its user information is the last of its items."""
    if not more:
        return answer
    fixed = answer[_PDU.size : _PDU.size + FIXED_BYTES]
    *others, (_, last) = split(answer[_PDU.size + FIXED_BYTES :])
    information = item(USER_INFORMATION, last[_ITEM.size :] + more)
    return pdu(PDU.ASSOCIATE_AC, fixed + b"".join(other for _, other in others) + information)
