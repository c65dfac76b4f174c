"""The small parts: the board, the counts of guests, the drain, and a wire over a real connection."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scp.config import Limits
from scp.receive import worker
from scp.receive.board import Board, State, Status
from scp.receive.budget import Budget
from scp.receive.drain import Drain
from scp.receive.guests import Guests
from scp.receive.register import Register
from scp.receive.supervisor import bind
from scp.receive.wire import PDU, Overdue, ProtocolError, Reason, Wire, check

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
    """The counts of two workers that share a register, against lists that are counted."""

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(
            max_associations=4, max_associations_per_title=3, max_unassociated=4, max_unassociated_per_address=2
        )
        self.register = Register(2, 10)
        for slot in range(2):
            self.register.open(slot)
        self.guests = [Guests(limits, self.register, slot) for slot in range(2)]
        self.waiting: list[list[str]] = [[], []]
        self.associated: list[list[tuple[str, str]]] = [[], []]

    @rule(slot=st.integers(0, 1), address=st.sampled_from("abcd"))
    def come(self, slot: int, address: str) -> None:
        waiting = self.waiting[slot]
        full = "max_unassociated" if len(waiting) >= 4 else ""
        full = full or ("max_unassociated_per_address" if waiting.count(address) >= 2 else "")
        assert self.guests[slot].come(address) == full
        if not full:
            waiting.append(address)

    @rule(slot=st.integers(0, 1), number=st.integers(0, 5), title=st.sampled_from(["PACS", "MR1", "SIXTEEN_LETTERS_"]))
    def associate(self, slot: int, number: int, title: str) -> None:
        waiting = self.waiting[slot]
        if number < len(waiting):
            titles = [each for _, each in self.associated[0] + self.associated[1]]
            full = "max_associations" if len(titles) >= 4 else ""
            full = full or ("max_associations_per_title" if titles.count(title) >= 3 else "")
            assert self.guests[slot].associate(waiting[number], title) == full
            if not full:
                self.associated[slot].append((waiting.pop(number), title))

    @rule(slot=st.integers(0, 1), number=st.integers(0, 5))
    def go_unassociated(self, slot: int, number: int) -> None:
        if number < len(self.waiting[slot]):
            self.guests[slot].go(self.waiting[slot].pop(number), None)

    @rule(slot=st.integers(0, 1), number=st.integers(0, 5))
    def go(self, slot: int, number: int) -> None:
        if number < len(self.associated[slot]):
            self.guests[slot].go(*self.associated[slot].pop(number))

    @invariant()
    def counts(self) -> None:
        for slot in range(2):
            assert self.guests[slot].associated == len(self.associated[slot])
            mine, others = len(self.waiting[slot]) + len(self.associated[slot]), len(self.associated[1 - slot])
            assert self.guests[slot].are_more() is (mine > others)
            assert self.guests[slot].gone(0, 0) is (not self.waiting[slot] and not self.associated[slot])
        assert self.register.count() == len(self.associated[0]) + len(self.associated[1])

    def teardown(self) -> None:
        self.register.close()


TestGuests = GuestsMachine.TestCase


def test_whoever_waits_for_the_last_guest_is_woken() -> None:
    guests = Guests(Limits(), Register(1, 1), 0)
    assert not guests.come("a")
    leaving = threading.Timer(SHORT, guests.go, ["a", None])
    leaving.start()
    assert guests.gone(time.monotonic() + 30, 30)
    leaving.join()


def test_what_a_dead_worker_had_is_free_again() -> None:
    board = Board(["worker-0", "worker-1"], 3)
    for slot in (0, 0, 1):
        assert not board.register.join(slot, "PACS", 10, 10)
    assert board.register.join(1, "MR1", 10, 10) == "max_associations", "there are no more rows than associations"
    board.started(0, 0)
    assert board.register.count() == 1
    assert board.register.join(1, "PACS", 10, 1) == "max_associations_per_title"
    assert not board.register.join(1, "PACS", 10, 2)


def test_newcomers_are_left_only_to_those_who_serve() -> None:
    register = Register(3, 10)
    register.open(0)
    assert not register.join(0, "PACS", 10, 10)
    assert not register.has_fewer(0, 1), "nobody else serves"
    register.open(2)
    assert register.has_fewer(0, 1)
    assert not register.has_fewer(2, 1), "it is not asked of itself"
    assert not register.join(2, "PACS", 10, 10)
    assert not register.has_fewer(0, 1)
    assert register.has_fewer(0, 2)
    register.clear(2)
    assert not register.has_fewer(0, 2), "it has died"
    assert register.count() == 1
    register.close()


def test_processes_that_join_at_once_never_pass_the_limit() -> None:
    register = Register(4, 100)
    children = []
    for slot in range(4):
        pid = os.fork()
        if not pid:
            joined = sum(not register.join(slot, "PACS", 100, 50) for _ in range(40))
            os._exit(joined)
        children.append(pid)
    joined = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert sum(joined) == register.count() == 50


def test_a_worker_that_hangs_or_dies_with_the_lock_in_its_hand_blocks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scp.receive.register.LOCK_SECONDS", SHORT)
    register = Register(2, 10)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        with register._locked:
            os.write(write, b"!")
            signal.pause()
    assert os.read(read, 1) == b"!"
    assert not register._locked.now()
    assert not register.join(0, "PACS", 2, 2)
    register.leave(0, "PACS")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert register._locked.now()
    assert not register.join(0, "PACS", 1, 1)
    os.close(read)
    os.close(write)


def test_room_is_waited_for_and_given_back() -> None:
    budget = Budget(Limits(max_bytes_in_flight=1000, in_flight_seconds=30))
    first, second = budget.share(), budget.share()
    assert first.holds(900)
    giving = threading.Timer(SHORT, first.release)
    giving.start()
    assert second.holds(800), "it came once the other was answered"
    giving.join()
    assert budget.taken == 1000
    second.release()
    assert budget.taken == 0


def test_without_room_a_share_gives_up_what_it_has_and_stays_refused_until_it_is_answered() -> None:
    budget = Budget(Limits(max_bytes_in_flight=1000, in_flight_seconds=SHORT))
    share = budget.share()
    assert share.holds(1000)
    assert not share.holds(1001)
    assert (share.refused, budget.taken) == (True, 0)
    assert not share.holds(1)
    share.release()
    assert share.holds(1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4000)), max_size=40))
def test_no_more_is_in_flight_than_allowed(asked: list[tuple[int, int]]) -> None:
    budget = Budget(Limits(max_bytes_in_flight=3000, in_flight_seconds=1e-9))
    shares = [budget.share() for _ in range(3)]
    for number, size in asked:
        if not shares[number].holds(size):
            shares[number].release()
        assert 0 <= budget.taken <= 3000
    for share in shares:
        share.release()
    assert budget.taken == 0


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


class Looking:
    """A poll object that notes, each time it is waited at, whether the kernel acknowledges at once."""

    def __init__(self, poll: Any, sock: socket.socket, then: Callable[[], None]) -> None:
        self._poll, self._socket, self._then = poll, sock, then
        self.seen: list[int] = []

    def poll(self, timeout: float | None) -> Any:
        self.seen.append(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))
        self._then()
        return self._poll.poll(timeout)


def test_quick_acknowledgement_is_asked_for_before_every_wait(ends: tuple[Wire, socket.socket, Drain]) -> None:
    """What stops the 40 ms stall of a sender with Nagle's algorithm; the kernel shows it while it is armed."""
    wire, peer, _ = ends
    looking = Looking(wire._poll, wire._socket, lambda: peer.sendall(b"\4\0\0\0\0\1x"))
    wire._poll = looking  # type: ignore[assignment]
    for _ in range(20):
        wire.read_pdu(CAPS, idle=later())
        wire.send(b"answer")  # which makes the kernel delay its acknowledgements again
    assert len(looking.seen) >= 20
    assert all(looking.seen)
    assert wire._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("sent", [b"", b"\4", b"\4\0\0\0\0\4ab"])
def test_a_peer_that_closes_is_a_connection_error(ends: tuple[Wire, socket.socket, Drain], sent: bytes) -> None:
    wire, peer, _ = ends
    peer.sendall(sent)
    peer.close()
    with pytest.raises(ConnectionError):
        wire.read_pdu(CAPS, idle=later())


@pytest.mark.parametrize(
    ("sent", "limit"), [(b"", "idle_seconds"), (b"\4", "header_seconds"), (b"\4\0\0\0\0\4ab", "body_seconds")]
)
def test_a_peer_that_is_silent_is_overdue(ends: tuple[Wire, socket.socket, Drain], sent: bytes, limit: str) -> None:
    wire, peer, _ = ends
    peer.sendall(sent)
    with pytest.raises(Overdue) as late:
        wire.read_pdu(CAPS, idle=time.monotonic() + SHORT)
    assert late.value.limit == limit


@pytest.mark.parametrize("sent", [b"", b"\4", b"\4\0\0\0\0\4ab"])
def test_the_deadline_of_the_whole_has_no_name_here(ends: tuple[Wire, socket.socket, Drain], sent: bytes) -> None:
    wire, peer, _ = ends
    peer.sendall(sent)
    with pytest.raises(Overdue) as late:
        wire.read_pdu(CAPS, idle=later(), until=time.monotonic() + SHORT / 10)
    assert late.value.limit == ""


def test_a_deadline_may_be_further_away_than_one_poll_can_wait(ends: tuple[Wire, socket.socket, Drain]) -> None:
    """Whoever sets idle_seconds to a year means that nobody is to be hung up on."""
    wire, peer, _ = ends
    wire._poll = Looking(wire._poll, wire._socket, lambda: peer.sendall(b"\4\0\0\0\0\1x"))  # type: ignore[assignment]
    kind, body = wire.read_pdu(CAPS, idle=time.monotonic() + 365 * 86_400)
    assert (kind, bytes(body)) == (PDU.DATA, b"x")


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


def test_refused_connections_are_told_of_once_a_second_for_each_address_and_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[str, str]] = []
    now = [100.0]
    monkeypatch.setattr(
        worker, "_logger", SimpleNamespace(warning=lambda _, address, limit: told.append((address, limit)))
    )
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(worker, "_TOLD", 3)
    door = SimpleNamespace(limits=Limits())
    busy = worker.Worker([], door, Board(["worker-1"]), 0)  # type: ignore[arg-type]
    for _ in range(50):
        busy._tell_refused("192.0.2.1", "max_unassociated")
    busy._tell_refused("192.0.2.1", "max_unassociated_per_address")
    busy._tell_refused("192.0.2.2", "max_unassociated")
    assert told == [
        ("192.0.2.1", "max_unassociated"),
        ("192.0.2.1", "max_unassociated_per_address"),
        ("192.0.2.2", "max_unassociated"),
    ]
    now[0] += worker.TELL_SECONDS
    busy._tell_refused("192.0.2.1", "max_unassociated")
    assert len(told) == 4
    for number in range(20):
        busy._tell_refused(f"198.51.100.{number}", "max_unassociated")
        assert len(busy._told) <= 3, "strangers' addresses fill no memory"
    assert len(told) == 24
    busy.close()
