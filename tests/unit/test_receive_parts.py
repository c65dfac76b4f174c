"""The small parts: the board, the counts of guests, the drain, and a wire over a real connection."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scp.config import Limits
from scp.receive.board import Board, State, Status
from scp.receive.drain import Drain
from scp.receive.guests import Guests
from scp.receive.supervisor import bind
from scp.receive.wire import PDU, ProtocolError, Reason, Wire, check

SHORT = 0.05
CAPS = {PDU.DATA: 1000, PDU.RELEASE_RQ: 4, PDU.ABORT: 4}


def test_the_board_shows_what_was_entered() -> None:
    board = Board(["worker-0", "worker-1", "steward"])
    assert board.state is State.STARTING
    board.started(1, 77)
    board.beat(1)
    board.associations(1, 5)
    board.restarted(1)
    board.state = State.READY
    first, second, third = board.children()
    assert first == Status("worker-0", 0, 0, 0.0, 0)
    assert (second.name, second.pid, second.restarts, second.associations) == ("worker-1", 77, 1, 5)
    assert 0 < second.heartbeat <= time.monotonic()
    assert third.name == "steward"
    assert board.state is State.READY


def test_who_is_started_again_begins_anew_but_its_restarts_are_kept() -> None:
    board = Board(["worker-0"])
    board.started(0, 1)
    board.beat(0)
    board.associations(0, 3)
    board.restarted(0)
    board.started(0, 2)
    assert board.children() == (Status("worker-0", 2, 1, 0.0, 0),)


@pytest.mark.parametrize("slot", [-1, 1])
def test_a_slot_that_is_none_is_an_error(slot: int) -> None:
    with pytest.raises(IndexError):
        Board(["worker-0"]).beat(slot)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**31)), max_size=30))
def test_slots_do_not_touch_each_other(entries: list[tuple[int, int]]) -> None:
    board, expected = Board(["a", "b", "c", "d"]), [0, 0, 0, 0]
    for slot, count in entries:
        board.associations(slot, count)
        expected[slot] = count
    assert [status.associations for status in board.children()] == expected
    assert board.state is State.STARTING


class GuestsMachine(RuleBasedStateMachine):
    """The counts against a list that is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(max_associations=3, max_unassociated=4, max_unassociated_per_address=2)
        self.guests = Guests(self.limits)
        self.waiting: list[str] = []
        self.associated: list[str] = []

    @rule(address=st.sampled_from("abcd"))
    def come(self, address: str) -> None:
        allowed = len(self.waiting) < 4 and self.waiting.count(address) < 2
        assert self.guests.come(address) is allowed
        if allowed:
            self.waiting.append(address)

    @rule(number=st.integers(0, 5))
    def associate(self, number: int) -> None:
        if number < len(self.waiting):
            allowed = len(self.associated) < 3
            assert self.guests.associate(self.waiting[number]) is allowed
            if allowed:
                self.associated.append(self.waiting.pop(number))

    @rule(number=st.integers(0, 5), associated=st.booleans())
    def go(self, number: int, associated: bool) -> None:  # noqa: FBT001
        those = self.associated if associated else self.waiting
        if number < len(those):
            self.guests.go(those.pop(number), associated=associated)

    @invariant()
    def counts(self) -> None:
        assert self.guests.associated == len(self.associated)
        assert self.guests.gone(0, 0) is (not self.waiting and not self.associated)


TestGuests = GuestsMachine.TestCase


def test_whoever_waits_for_the_last_guest_is_woken() -> None:
    guests = Guests(Limits())
    assert guests.come("a")
    leaving = threading.Timer(SHORT, guests.go, ["a"], {"associated": False})
    leaving.start()
    assert guests.gone(time.monotonic() + 30, 30)
    leaving.join()


def test_a_drain_wakes_everybody_and_only_its_first_call_counts() -> None:
    drain = Drain()
    assert (drain.is_on, drain.deadline) == (False, inf)
    assert not select.select([drain], [], [], 0)[0]
    drain.begin(100)
    deadline = drain.deadline
    drain.begin(0)
    assert drain.deadline == deadline
    for _ in range(2):
        assert select.select([drain], [], [], 0)[0] == [drain]
    drain.close()


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket, Drain]]:
    drain = Drain()
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), 10) as peer:
        select.select([listener], [], [], 10)
        sock, _ = listener.accept()
        with sock:
            yield Wire(sock, Limits(header_seconds=SHORT, body_seconds=SHORT), drain), peer, drain
    drain.close()


def later() -> float:
    return time.monotonic() + 10


def test_a_pdu_is_read_to_its_last_byte_and_no_further(ends: tuple[Wire, socket.socket, Drain]) -> None:
    wire, peer, _ = ends
    peer.sendall(b"\4\0\0\0\0\3abc\5\0\0\0\0\4\0\0\0\0")
    kind, body = wire.read_pdu(CAPS, idle=later())
    assert (kind, bytes(body)) == (PDU.DATA, b"abc")
    kind, body = wire.read_pdu(CAPS, idle=later())
    assert (kind, bytes(body)) == (PDU.RELEASE_RQ, bytes(4))


def test_quick_acknowledgement_is_asked_for_after_every_read(ends: tuple[Wire, socket.socket, Drain]) -> None:
    """What stops the 40 ms stall of a sender with Nagle's algorithm; the kernel shows it while it is armed."""
    wire, peer, _ = ends
    for _ in range(20):
        peer.sendall(b"\4\0\0\0\0\1x")
        wire.read_pdu(CAPS, idle=later())
        wire.send(b"answer")  # which makes the kernel delay its acknowledgements again
        peer.sendall(b"\4\0\0\0\0\1x")
        wire.read_pdu(CAPS, idle=later())
        assert wire._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
    assert wire._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("sent", [b"", b"\4", b"\4\0\0\0\0\4ab"])
def test_a_peer_that_closes_is_a_connection_error(ends: tuple[Wire, socket.socket, Drain], sent: bytes) -> None:
    wire, peer, _ = ends
    peer.sendall(sent)
    peer.close()
    with pytest.raises(ConnectionError):
        wire.read_pdu(CAPS, idle=later())


@pytest.mark.parametrize("sent", [b"", b"\4", b"\4\0\0\0\0\4ab"])
def test_a_peer_that_is_silent_is_a_timeout(ends: tuple[Wire, socket.socket, Drain], sent: bytes) -> None:
    wire, peer, _ = ends
    peer.sendall(sent)
    with pytest.raises(TimeoutError):
        wire.read_pdu(CAPS, idle=time.monotonic() + SHORT)


def test_a_leaving_worker_waits_for_a_message_only_so_long(ends: tuple[Wire, socket.socket, Drain]) -> None:
    wire, peer, drain = ends
    threading.Timer(SHORT, drain.begin, [60]).start()
    with pytest.raises(TimeoutError):
        wire.read_pdu(CAPS, idle=inf, grace=SHORT)
    peer.sendall(b"\4\0\0\0\0\1x")
    select.select([wire._socket], [], [], 10)
    assert bytes(wire.read_pdu(CAPS, idle=inf, grace=SHORT)[1]) == b"x"


@given(kind=st.integers(0, 255), length=st.integers(0, 2**32 - 1))
def test_a_header_is_judged_before_anything_is_read(kind: int, length: int) -> None:
    fits = (kind == PDU.DATA and length <= 1000) or (kind in {PDU.RELEASE_RQ, PDU.ABORT} and length == 4)
    if fits:
        check(kind, length, CAPS)
        return
    with pytest.raises(ProtocolError) as error:
        check(kind, length, CAPS)
    if kind in CAPS:
        assert error.value.reason is Reason.INVALID_PARAMETER
    else:
        assert error.value.reason is (Reason.UNEXPECTED_PDU if 1 <= kind <= 7 else Reason.UNRECOGNIZED_PDU)
