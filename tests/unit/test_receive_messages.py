"""P-DATA: ours against pynetdicom's codec, for any data and any size of fragment."""

from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from scp.config import Limits
from scp.outcome import Failure, Outcome
from scp.receive import commands
from scp.receive.budget import Budget
from scp.receive.commands import Command, Field
from scp.receive.messages import Control, Finished, Messages, encode
from scp.receive.wire import PDU, Overdue, ProtocolError, Reason, check

MR = "1.2.840.10008.5.1.4.1.1.4"
UID_SENT = "1.2.3.4"
EVEN = st.binary(max_size=3000).map(lambda data: data + b"\0" * (len(data) % 2))


class Tape:
    """In a wire's place: PDUs out of a list."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream

    def read_pdu(
        self, caps: Mapping[int, int], *, idle: float, until: float = 0, grace: float = 0
    ) -> tuple[int, memoryview]:
        assert idle > 0
        assert until > 0
        assert grace > 0
        if not self.stream:
            raise ConnectionResetError
        kind, length = self.stream[0], int.from_bytes(self.stream[2:6], "big")
        check(kind, length, caps)
        body, self.stream = self.stream[6 : 6 + length], self.stream[6 + length :]
        return kind, memoryview(body)


def messages(stream: bytes, contexts: tuple[int, ...] = (1, 3), **limits: int) -> Messages:
    return Messages(Tape(stream), Limits(**limits), contexts)  # type: ignore[arg-type]


def sent(data: bytes, context: int = 3, max_pdu: int = 16384) -> bytes:
    """A C-STORE as pynetdicom puts it on the wire."""
    primitive = C_STORE()
    primitive.MessageID = 9
    primitive.AffectedSOPClassUID = UID(MR)
    primitive.AffectedSOPInstanceUID = UID(UID_SENT)
    primitive.Priority = 2
    primitive.DataSet = BytesIO(data)
    request = C_STORE_RQ()
    request.primitive_to_message(primitive)
    return b"".join(P_DATA_TF(part).encode() for part in request.encode_msg(context, max_pdu))


def whole(stream: Messages, context: int) -> bytes:
    """A data set with all its pieces."""
    begun, rest = stream.data_set(context)
    return bytes(begun) + b"".join(bytes(piece) for piece in rest or ())


def pdv(context: int, control: int, data: bytes) -> bytes:
    body = (len(data) + 2).to_bytes(4, "big") + bytes((context, control)) + data
    return b"\4\0" + len(body).to_bytes(4, "big") + body


@given(data=EVEN.filter(bool), max_pdu=st.integers(80, 4000), context=st.sampled_from([1, 3]))
def test_what_pynetdicom_sends_is_what_we_read(data: bytes, max_pdu: int, context: int) -> None:
    stream = messages(sent(data, context, max_pdu))
    context_id, command = stream.command()
    assert (context_id, command.field, command.message_id) == (context, Field.C_STORE_RQ, 9)
    assert (command.sop_class_uid, command.sop_instance_uid) == (MR.encode(), UID_SENT.encode())
    assert bytes(whole(stream, context)) == data


@given(
    uid=st.integers(1, 10**30).map(lambda number: b"1.2." + str(number).encode()),
    max_pdu=st.just(0) | st.integers(7, 500),
    context=st.integers(0, 127).map(lambda number: 2 * number + 1),
)
def test_what_we_send_is_what_pynetdicom_reads(uid: bytes, max_pdu: int, context: int) -> None:
    answer = commands.respond(Command(Field.C_STORE_RQ, 5, True, MR.encode(), uid), 0xA900)  # noqa: FBT003  positional
    stream, message, whole = encode(context, answer, max_pdu), DIMSEMessage(), False
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        assert not max_pdu or length <= max_pdu
        assert max_pdu == 7 or not length & 1, "a fragment of an odd number of bytes (PS3.8 E.1)"
        part = P_DATA_TF()
        part.decode(stream[: 6 + length])
        assert not whole
        whole = message.decode_msg(part.to_primitive())
        stream = stream[6 + length :]
    assert whole
    assert message.context_id == context
    assert message.command_set.Status == 0xA900
    assert message.command_set.AffectedSOPInstanceUID == uid.decode()


@given(data=EVEN, cuts=st.lists(st.integers(0, 3000), max_size=20), joined=st.booleans())
def test_fragments_may_be_cut_and_packed_anyhow(data: bytes, cuts: list[int], joined: bool) -> None:  # noqa: FBT001
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(at)] or [b""]
    parts = [pdv(3, Control.LAST * (number == len(pieces) - 1), piece) for number, piece in enumerate(pieces)]
    command = sent(b"\0\0").split(pdv(3, Control.LAST, b"\0\0"))[0]
    body = b"".join(part[6:] for part in parts)
    packed = b"\4\0" + len(body).to_bytes(4, "big") + body if joined else b"".join(parts)
    stream = messages(command + packed)
    stream.command()
    assert bytes(whole(stream, 3)) == data


@given(data=EVEN.filter(bool), most=st.integers(1, 3000), max_pdu=st.integers(80, 4000))
def test_of_a_large_data_set_the_beginning_is_kept_and_the_rest_is_pulled(data: bytes, most: int, max_pdu: int) -> None:
    stream = messages(sent(data, 3, max_pdu) + sent(b"next"), stream_bytes=most)
    stream.command()
    begun, rest = stream.data_set(3)
    assert (rest is None) or len(begun) > most
    assert len(begun) <= most + max_pdu
    assert bytes(begun) + b"".join(bytes(piece) for piece in rest or ()) == data
    stream.command()
    assert whole(stream, 3) == b"next"


def test_the_rest_has_the_same_limits() -> None:
    stream = messages(sent(bytes(5000), max_pdu=500), stream_bytes=100, max_instance_bytes=4000)
    stream.command()
    _, rest = stream.data_set(3)
    with pytest.raises(ProtocolError, match="larger"):
        list(rest or ())
    assert list(rest or ()) == []


@given(st.binary(max_size=300))
def test_whatever_comes_ends_in_one_of_the_known_ways(data: bytes) -> None:
    stream = messages(b"\4\0" + len(data).to_bytes(4, "big") + data, contexts=tuple(range(1, 256, 2)))
    with pytest.raises((ProtocolError, ConnectionResetError)):
        listen(stream)


def listen(stream: Messages) -> None:
    while True:
        context, command = stream.command()
        if command.has_data_set:
            whole(stream, context)


def test_release_and_abort_end_what_is_between_messages() -> None:
    for kind in (PDU.RELEASE_RQ, PDU.ABORT):
        with pytest.raises(Finished) as end:
            messages(bytes((kind, 0, 0, 0, 0, 4)) + bytes(4)).command()
        assert end.value.kind is kind


def test_a_release_within_a_message_is_out_of_place() -> None:
    stream = messages(sent(b"\0\0")[:-14] + b"\5\0\0\0\0\4" + bytes(4))
    stream.command()
    with pytest.raises(ProtocolError) as error:
        whole(stream, 3)
    assert error.value.reason is Reason.UNEXPECTED_PDU


@pytest.mark.parametrize("length", [0, 1, 8, 100, 2**32 - 1])
def test_a_fragment_that_states_a_wrong_length_is_none(length: int) -> None:
    body = length.to_bytes(4, "big") + b"\3\3" + b"abcde"
    with pytest.raises(ProtocolError, match="longer than its PDU"):
        messages(b"\4\0" + len(body).to_bytes(4, "big") + body).command()


def test_what_is_passed_over_is_not_kept() -> None:
    stream = messages(sent(bytes(5000)))
    stream.command()
    stream.pass_over(3)


def test_even_what_is_passed_over_has_an_end() -> None:
    stream = messages(sent(bytes(5000)), max_instance_bytes=4000)
    stream.command()
    with pytest.raises(ProtocolError, match="larger"):
        stream.pass_over(3)


@pytest.mark.parametrize(("count", "fits"), [(1000, True), (1001, False)])
def test_crumbs_are_taken_only_so_long(count: int, fits: bool) -> None:  # noqa: FBT001
    crumbs = pdv(3, 0, b"x") * (count - 1) + pdv(3, Control.LAST, b"x")
    stream = messages(sent(b"\0\0")[:-14] + crumbs)
    stream.command()
    if fits:
        assert whole(stream, 3) == b"x" * count
    else:
        with pytest.raises(ProtocolError, match="crumbs"):
            whole(stream, 3)


def test_a_slow_data_set_is_given_up_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come says until when the next must: 30 s for nothing, and one more for each so many bytes."""
    asked: list[tuple[float, float]] = []
    now = 1000.0

    class Slow(Tape):
        def read_pdu(
            self, caps: Mapping[int, int], *, idle: float, until: float = 0, grace: float = 0
        ) -> tuple[int, memoryview]:
            asked.append((len(self.stream), until))
            if not self.stream:
                raise Overdue
            return super().read_pdu(caps, idle=idle, until=until, grace=grace)

    monkeypatch.setattr("scp.receive.messages.time.monotonic", lambda: now)
    stream = sent(bytes(50_000), max_pdu=10_006)[:-10_012]
    slow = Messages(Slow(stream), Limits(min_bytes_per_second=1000), (3,))  # type: ignore[arg-type]
    slow.command()
    with pytest.raises(Overdue) as late:
        whole(slow, 3)
    assert late.value.limit == "min_bytes_per_second"
    assert [round(until - now) for _, until in asked[2:]] == [40, 50, 60, 70]


def test_without_room_a_data_set_is_read_to_its_end_and_not_kept() -> None:
    limits = Limits(max_bytes_in_flight=20_000, in_flight_seconds=0.01)
    share = Budget(limits).share()
    stream = Messages(Tape(sent(bytes(50_000)) + sent(b"abcd")), limits, (3,), share)  # type: ignore[arg-type]
    stream.command()
    with pytest.raises(Failure) as caught:
        whole(stream, 3)
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    share.release()
    stream.command()
    assert whole(stream, 3) == b"abcd"
