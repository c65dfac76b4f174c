"""Command sets (PS3.7 6.3 and Annex E): the handful of elements that a Storage SCP reads and writes."""

import re
import struct
from enum import IntEnum
from typing import Final, NamedTuple

from scp.receive.wire import ProtocolError, Reason

MAX_BYTES: Final = 16 * 1024
NO_DATA_SET: Final = 0x0101
RESPONSE: Final = 0x8000
UNRECOGNIZED_OPERATION: Final = 0x0211  # PS3.7 C.5.20

_UID: Final = re.compile(rb"[0-9.]{1,64}")
_HEADER: Final = struct.Struct("<HHI")
_LENGTH: Final = struct.Struct("<HHII")
_FIXED: Final = struct.Struct("<" + 4 * "HHIH")


class Field(IntEnum):
    """The Command Field of each request (PS3.7 E.1-1)."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    N_DELETE_RQ = 0x0150
    C_CANCEL_RQ = 0x0FFF


class Tag(IntEnum):
    """The elements of group 0000 that are read; others are skipped."""

    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001


_FIELDS: Final = {int(field): field for field in Field}


class Command(NamedTuple):
    """A request as its command set states it; the UIDs as sent, without their padding."""

    field: Field
    message_id: int
    has_data_set: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes

    def __repr__(self) -> str:
        """Without the UIDs, which are a patient's."""
        return f"<{self.field.name}>"


def read(data: bytes | bytearray) -> Command:
    """Read a request's command set (implicit VR little endian); raises ProtocolError where it is not one."""
    values = _values(bytes(data))
    field = _FIELDS.get(_us(values, Tag.COMMAND_FIELD))
    if field is None:
        raise ProtocolError(Reason.UNRECOGNIZED_PARAMETER, "a command that DIMSE does not know")
    cancel = field is Field.C_CANCEL_RQ
    return Command(
        field=field,
        message_id=_us(values, Tag.MESSAGE_ID_BEING_RESPONDED_TO if cancel else Tag.MESSAGE_ID),
        has_data_set=_us(values, Tag.COMMAND_DATA_SET_TYPE) != NO_DATA_SET,
        sop_class_uid=_uid(values, Tag.AFFECTED_SOP_CLASS_UID, Tag.REQUESTED_SOP_CLASS_UID),
        sop_instance_uid=_uid(values, Tag.AFFECTED_SOP_INSTANCE_UID, Tag.REQUESTED_SOP_INSTANCE_UID),
    )


def respond(command: Command, status: int) -> bytes:
    """The command set that answers a request without a data set (PS3.7 9.3 and 10.3), ready to be fragmented.

    A UID is repeated only where it looks like one: nothing else that a stranger sent goes back.
    """
    body = b"".join(
        (
            _ui(Tag.AFFECTED_SOP_CLASS_UID, command.sop_class_uid),
            _FIXED.pack(
                *(0, Tag.COMMAND_FIELD, 2, RESPONSE | command.field),
                *(0, Tag.MESSAGE_ID_BEING_RESPONDED_TO, 2, command.message_id),
                *(0, Tag.COMMAND_DATA_SET_TYPE, 2, NO_DATA_SET),
                *(0, Tag.STATUS, 2, status),
            ),
            _ui(Tag.AFFECTED_SOP_INSTANCE_UID, command.sop_instance_uid),
        )
    )
    return _LENGTH.pack(0, 0, 4, len(body)) + body


def _values(data: bytes) -> dict[int, bytes]:
    """Element number to value; group length is not needed, because fragments say where a command set ends."""
    values: dict[int, bytes] = {}
    at, last, size, header = 0, -1, len(data), _HEADER.unpack_from
    while at < size:
        start = at + 8
        if start > size:
            raise ProtocolError(Reason.INVALID_PARAMETER, "a command set that ends within an element")
        group, element, length = header(data, at)
        at = start + length
        if group or element <= last or at > size:
            raise ProtocolError(Reason.INVALID_PARAMETER, "a command set that is none")
        values[element] = data[start:at]
        last = element
    return values


def _us(values: dict[int, bytes], tag: Tag) -> int:
    value = values.get(tag, b"")
    if len(value) != 2:  # noqa: PLR2004  a US has two bytes
        raise ProtocolError(Reason.INVALID_PARAMETER, f"a command set without {tag.name}")
    return int.from_bytes(value, "little")


def _uid(values: dict[int, bytes], affected: Tag, requested: Tag) -> bytes:
    return values.get(affected, values.get(requested, b"")).removesuffix(b"\0")


def _ui(tag: Tag, uid: bytes) -> bytes:
    if not _UID.fullmatch(uid):
        return b""
    padded = uid + b"\0" * (len(uid) % 2)
    return _HEADER.pack(0, tag, len(padded)) + padded
