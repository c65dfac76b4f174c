"""Command sets: ours against pynetdicom's codec, and against anything at all."""

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE
from pynetdicom.dsutils import decode, encode

from scp.outcome import Outcome
from scp.receive import commands
from scp.receive.commands import Command, Field
from scp.receive.wire import ProtocolError, Reason

MR = "1.2.840.10008.5.1.4.1.1.4"

components = st.integers(0, 10**12).map(str)
uids = st.lists(components, min_size=1, max_size=4).map(lambda parts: ".".join(["1", *parts]))
words = st.integers(0, 0xFFFF)
titles = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=1, max_size=16)


def encoded(message: C_STORE_RQ | C_ECHO_RQ | C_FIND_RQ) -> bytes:
    data = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert data is not None
    return bytes(data)


@given(uid=uids, sop_class=uids, message=words, priority=st.sampled_from([0, 1, 2]), mover=st.none() | titles)
def test_a_store_request_is_read_as_pynetdicom_wrote_it(
    uid: str, sop_class: str, message: int, priority: int, mover: str | None
) -> None:
    primitive = C_STORE()
    primitive.MessageID = message
    primitive.AffectedSOPClassUID = UID(sop_class)
    primitive.AffectedSOPInstanceUID = UID(uid)
    primitive.Priority = priority
    primitive.DataSet = BytesIO(b"\0\0")
    if mover:
        primitive.MoveOriginatorApplicationEntityTitle = mover
        primitive.MoveOriginatorMessageID = message
    request = C_STORE_RQ()
    request.primitive_to_message(primitive)
    assert commands.read(encoded(request)) == Command(
        Field.C_STORE_RQ, message, has_data_set=True, sop_class_uid=sop_class.encode(), sop_instance_uid=uid.encode()
    )


@given(message=words)
def test_an_echo_request_is_read_as_pynetdicom_wrote_it(message: int) -> None:
    primitive = C_ECHO()
    primitive.MessageID = message
    primitive.AffectedSOPClassUID = UID("1.2.840.10008.1.1")
    request = C_ECHO_RQ()
    request.primitive_to_message(primitive)
    command = commands.read(encoded(request))
    assert (command.field, command.message_id, command.has_data_set) == (Field.C_ECHO_RQ, message, False)
    assert (command.sop_class_uid, command.sop_instance_uid) == (b"1.2.840.10008.1.1", b"")


def test_a_find_request_announces_its_identifier() -> None:
    primitive = C_FIND()
    primitive.MessageID = 1
    primitive.AffectedSOPClassUID = UID("1.2.840.10008.5.1.4.31")
    primitive.Priority = 0
    primitive.Identifier = BytesIO(b"\0\0")
    request = C_FIND_RQ()
    request.primitive_to_message(primitive)
    command = commands.read(encoded(request))
    assert (command.field, command.has_data_set) == (Field.C_FIND_RQ, True)


@given(uid=uids, sop_class=uids, message=words, outcome=st.sampled_from(Outcome))
def test_a_store_response_is_read_by_pynetdicom_as_we_wrote_it(
    uid: str, sop_class: str, message: int, outcome: Outcome
) -> None:
    command = Command(Field.C_STORE_RQ, message, True, sop_class.encode(), uid.encode())  # noqa: FBT003  positional
    data = commands.respond(command, outcome.status)
    response = C_STORE_RSP()
    response.command_set = decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True)
    response.data_set = BytesIO()
    primitive = response.message_to_primitive()
    assert primitive.MessageIDBeingRespondedTo == message
    assert primitive.Status == outcome.status
    assert (primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID) == (sop_class, uid)
    assert response.command_set.CommandGroupLength == len(data) - 12
    assert response.command_set.CommandField == 0x8001
    assert response.command_set.CommandDataSetType == commands.NO_DATA_SET


@pytest.mark.parametrize("field", Field)
def test_every_request_has_its_response(field: Field) -> None:
    data = commands.respond(Command(field, 5, False, b"1.2", b""), 0x0211)  # noqa: FBT003  positional
    dataset = decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True)
    assert dataset.CommandField == field | 0x8000
    assert dataset.Status == 0x0211


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_command_or_a_protocol_error(data: bytes) -> None:
    reason = None
    try:
        field: Field | None = commands.read(data).field
    except ProtocolError as error:
        field, reason = None, error.reason
    assert (field is not None) != (reason in {Reason.INVALID_PARAMETER, Reason.UNRECOGNIZED_PARAMETER})


@given(st.data())
def test_a_command_set_cut_anywhere_is_none(data: st.DataObject) -> None:
    whole = commands.respond(Command(Field.C_STORE_RQ, 1, False, b"1.2", b"1.2.3"), 0)  # noqa: FBT003  positional
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ProtocolError):
        commands.read(whole[:cut])


def test_elements_of_another_group_are_no_command() -> None:
    data = commands.respond(Command(Field.C_ECHO_RQ, 1, False, b"1.2", b""), 0)  # noqa: FBT003  positional
    with pytest.raises(ProtocolError, match="none"):
        commands.read(data + struct.pack("<HHI", 8, 0xFFFF, 0))


def test_the_requested_uids_stand_in_for_the_affected_ones() -> None:
    values = [(3, b"1.2\0"), (0x100, b"\x20\1"), (0x110, b"\1\0"), (0x800, b"\1\1"), (0x1001, b"1.23")]
    data = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in values)
    command = commands.read(data)
    assert (command.field, command.sop_class_uid, command.sop_instance_uid) == (Field.N_SET_RQ, b"1.2", b"1.23")


@pytest.mark.parametrize("uid", [b"", b"1.2\n", b"1.2 ", b"1" * 65, b"NAME", b"1.2\0.3"])
def test_only_what_looks_like_a_uid_goes_back(uid: bytes) -> None:
    data = commands.respond(Command(Field.C_STORE_RQ, 1, True, b"1.2.840", uid), 0)  # noqa: FBT003  positional
    dataset = decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True)
    assert "AffectedSOPInstanceUID" not in dataset
    assert dataset.AffectedSOPClassUID == "1.2.840"


def test_a_command_shows_nothing_of_itself() -> None:
    assert "NAME" not in repr(Command(Field.C_STORE_RQ, 1, True, b"NAME", b"NAME"))  # noqa: FBT003  positional


def test_a_command_does_not_tell_its_uids() -> None:
    command = Command(Field.C_STORE_RQ, 1, has_data_set=True, sop_class_uid=b"1.2", sop_instance_uid=b"1.2.3.4")
    assert repr(command) == str(command) == "<C_STORE_RQ>"


@pytest.mark.parametrize("field", Field)
def test_every_field_that_dimse_knows_is_read(field: Field) -> None:
    number = 0x0120 if field is Field.C_CANCEL_RQ else 0x0110
    values = ((0x0100, field), (number, 7), (0x0800, 0x0101))
    data = b"".join(struct.pack("<HHIH", 0, tag, 2, value) for tag, value in values)
    assert commands.read(data) == commands.read(bytearray(data)) == Command(field, 7, False, b"", b"")  # noqa: FBT003


@given(field=words.filter(lambda field: field not in set(Field)))
def test_a_field_that_dimse_does_not_know_is_refused(field: int) -> None:
    data = struct.pack("<HHIH", 0, 0x0100, 2, field) + struct.pack("<HHIH", 0, 0x0800, 2, 0x0101)
    with pytest.raises(ProtocolError) as refused:
        commands.read(data)
    assert refused.value.reason is Reason.UNRECOGNIZED_PARAMETER
