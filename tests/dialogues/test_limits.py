"""Peers that are slow, silent, many or greedy; and a worker that leaves while they are there."""

import errno
import io
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from encoded import explicit
from peer import (
    ABORT,
    DATA,
    ECHO_RQ,
    ESTABLISHED,
    GOODBYE,
    PATIENCE,
    STORE_ALL,
    STORE_RQ,
    STORED,
    UID,
    UNHEARD,
    Accepted,
    Answered,
    Closed,
    Line,
    Node,
    Send,
    Shut,
    Step,
    Told,
    aborted,
    associate,
    data_set,
    pdu,
    pdv,
    rejected,
)

from scp.config import Limits
from scp.instance import Arrival
from scp.intake import examine
from scp.metrics import LIMITS
from scp.outcome import Failure, Outcome
from scp.receive.threads import KEPT
from scp.receive.worker import Entrance

BY_PROVIDER = Told(7, b"\0\0\2\0")
BY_US = Told(7, bytes(4))
SHORT = 0.05

SILENCES: dict[str, tuple[str, tuple[Step, ...]]] = {
    "no request": ("artim_seconds", (Closed(),)),
    "half a request header": ("header_seconds", (Send(associate()[:3]), Closed())),
    "half a request": ("artim_seconds", (Send(associate()[:90]), Closed())),
    "no message": ("idle_seconds", (*ESTABLISHED, BY_PROVIDER, Closed())),
    "half a header": ("header_seconds", (*ESTABLISHED, Send(ECHO_RQ[:3]), BY_PROVIDER, Closed())),
    "half a body": ("body_seconds", (*ESTABLISHED, Send(ECHO_RQ[:30]), BY_PROVIDER, Closed())),
    "no data set": ("idle_seconds", (*ESTABLISHED, Send(STORE_RQ), BY_PROVIDER, Closed())),
    "half a data set": (
        "instance_seconds",
        (*ESTABLISHED, Send(STORE_RQ + pdu(4, pdv(3, 0, DATA))), BY_PROVIDER, Closed()),
    ),
}


@pytest.mark.parametrize("name", SILENCES)
def test_silence_ends_by_the_deadline_that_covers_it(node: Callable[..., Node], name: str) -> None:
    limit, steps = SILENCES[name]
    spoken = node(limits=Limits(**{limit: SHORT}))
    spoken.play(steps)
    spoken.settle()
    assert not spoken.taken
    met = {each: spoken.count("limits_total", limit=each) for each in LIMITS}
    assert met == {each: float(each == limit) for each in LIMITS}


@pytest.mark.parametrize("slow", [ECHO_RQ, associate()])
def test_no_deadline_is_moved_by_a_trickle(node: Callable[..., Node], slow: bytes) -> None:
    spoken = node(limits=Limits(header_seconds=SHORT * 4, artim_seconds=SHORT * 4, body_seconds=SHORT * 4))
    line = spoken.connect()
    with line.sock:
        say(line, *(ESTABLISHED if slow == ECHO_RQ else ()))
        line.sock.settimeout(SHORT)
        said = None
        for byte in slow:
            line.sock.sendall(bytes((byte,)))
            with suppress(TimeoutError, ConnectionResetError):
                said = line.sock.recv(6)
                break
        assert said in {b"", b"\7\0\0\0\0\4"}
    spoken.settle()


def test_a_data_set_larger_than_allowed_is_aborted(node: Callable[..., Node]) -> None:
    spoken = node(limits=Limits(max_instance_bytes=1000))
    spoken.play([*ESTABLISHED, Send(STORE_RQ + data_set(3, bytes(1000))), STORED, *GOODBYE])
    spoken.play([*ESTABLISHED, Send(STORE_RQ + pdu(4, pdv(3, 0, bytes(600)) * 2)), *aborted(6)])
    spoken.settle()
    assert [len(arrival.data) for arrival in spoken.taken] == [1000]
    assert spoken.count("limits_total", limit="max_instance_bytes") == 1


@pytest.mark.parametrize("before", [(), ESTABLISHED])
def test_a_length_of_4_gib_makes_no_memory_grow(node: Callable[..., Node], before: tuple[Step, ...]) -> None:
    """The header is answered; what follows it is thrown away, and not much of that."""
    spoken = node()
    chunk = bytes(64 * 1024)
    line = spoken.connect()
    with line.sock:
        say(line, *before)
        tracemalloc.start()
        line.sock.sendall(pdu(4 if before else 1, length=0xFFFFFFF0))
        with suppress(ConnectionError):
            for _ in range(1024):
                line.sock.sendall(chunk)
        spoken.settle()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1 << 20
    assert spoken.count("limits_total", limit="max_pdu_bytes") == 1


def test_a_data_set_without_memory_for_it_ends_its_association_only(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Arrival:
        raise MemoryError

    spoken = node()
    with monkeypatch.context() as patched:
        patched.setattr("scp.receive.storage.receive", fail)
        spoken.play([*ESTABLISHED, Send(STORE_ALL), BY_US, Closed()])
    spoken.play([*ESTABLISHED, Send(STORE_ALL), STORED, *GOODBYE])
    spoken.settle()
    assert spoken.count("associations_total", result="aborted") == 1


def test_a_connection_without_a_thread_for_it_is_closed(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.receive.worker.BEAT_SECONDS", SHORT)
    spoken = node()
    until_beat(spoken)

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("threading.Thread.start", fail)
        spoken.play([Closed()])
    spoken.play([*ESTABLISHED, *GOODBYE])
    spoken.settle()


def test_as_many_associations_as_allowed(node: Callable[..., Node]) -> None:
    spoken = node(limits=Limits(max_associations=2))
    with ExitStack() as open_lines:
        lines = [spoken.connect() for _ in range(2)]
        for line in lines:
            open_lines.enter_context(line.sock)
            say(line, *ESTABLISHED)
        assert spoken.count("associations_open") == 2
        spoken.play([Send(associate()), *rejected(2, 3, 1)])
        say(lines[0], *GOODBYE)
        until(lambda: spoken.worker.guests.associated == 1)
        spoken.play([*ESTABLISHED, *GOODBYE])
    spoken.settle()
    assert spoken.count("associations_open") == 0
    assert spoken.count("limits_total", limit="max_associations") == 1


def test_as_many_associations_of_a_title_as_allowed_on_the_whole_node(node: Callable[..., Node]) -> None:
    """One of them is another worker's."""
    spoken = node(limits=Limits(max_associations_per_title=2), admit=lambda _peer: None)
    assert not spoken.board.register.join(1, "MODALITY", 10, 10)
    line = spoken.connect()
    with line.sock:
        say(line, *ESTABLISHED)
        spoken.play([Send(associate()), *rejected(2, 3, 1)])
        spoken.play([Send(associate(calling=b"ANOTHER")), ESTABLISHED[1], *GOODBYE])
        say(line, *GOODBYE)
    spoken.settle()
    spoken.play([*ESTABLISHED, *GOODBYE])
    assert spoken.count("limits_total", limit="max_associations_per_title") == 1


def test_without_room_for_its_bytes_a_store_is_answered_a700_and_the_association_goes_on(
    node: Callable[..., Node],
) -> None:
    spoken = node(limits=Limits(max_bytes_in_flight=2000, in_flight_seconds=SHORT))
    refused = Answered(0x8001, 0xA700, uid=UID)
    spoken.play([*ESTABLISHED, Send(STORE_RQ + data_set(3, bytes(2001))), refused, Send(STORE_ALL), STORED, *GOODBYE])
    spoken.settle()
    assert [len(arrival.data) for arrival in spoken.taken] == [len(DATA)]
    assert spoken.count("limits_total", limit="max_bytes_in_flight") == 1
    assert spoken.count("instances_total", outcome="out_of_resources") == 1
    assert spoken.worker.budget.taken == 0


def test_the_header_of_a_large_data_set_counts_too_and_is_not_kept_where_there_is_no_room(
    node: Callable[..., Node],
) -> None:
    """What stands before the pixels gathers in memory: of each association up to max_header_bytes."""
    held: list[int] = []

    def read(arrival: Arrival) -> Outcome:
        try:
            examine(arrival)
        except Failure as failure:
            held.append(len(arrival.data))
            return failure.outcome
        return Outcome.STORED

    spoken = node(limits=Limits(stream_bytes=5000, max_bytes_in_flight=20_000, in_flight_seconds=SHORT), answer=read)
    header = explicit(0x00104000, "UT", bytes(60_000))
    pdus = b"".join(pdu(4, pdv(3, 0, header[at : at + 1000])) for at in range(0, len(header), 1000))
    refused = Answered(0x8001, 0xA700, uid=UID)
    spoken.play([*ESTABLISHED, Send(STORE_RQ + pdus + pdu(4, pdv(3, 2, b""))), refused, *GOODBYE])
    spoken.settle()
    assert held
    assert held[0] <= 20_000
    assert [len(arrival.data) for arrival in spoken.taken] == [0], "it is not kept while the rest is passed over"
    assert spoken.count("limits_total", limit="max_bytes_in_flight") == 1
    assert spoken.worker.budget.taken == 0


def test_who_finds_no_room_is_not_read_from_until_there_is(node: Callable[..., Node]) -> None:
    """The one holds the room while it is taken in; the other's bytes stay in the sockets meanwhile."""
    entered, go = threading.Event(), threading.Event()

    def wait(arrival: Arrival) -> Outcome:
        if not entered.is_set():
            entered.set()
            assert go.wait(PATIENCE)
        return Outcome.STORED if arrival.data else Outcome.FAILED

    size = 8 << 20
    limits = Limits(max_bytes_in_flight=size, stream_bytes=2 * size, in_flight_seconds=PATIENCE)
    spoken = node(limits=limits, answer=wait)
    pdus = b"".join(pdu(4, pdv(3, 2 * (at == 63), bytes(size // 64 - 6))) for at in range(64))
    first, second = spoken.connect(), spoken.connect()
    with first.sock, second.sock:
        for line in (first, second):
            say(line, *ESTABLISHED)
        first.sock.sendall(STORE_RQ + pdus)
        assert entered.wait(PATIENCE)
        sender = threading.Thread(target=second.sock.sendall, args=(STORE_RQ + pdus,))
        sender.start()
        sender.join(SHORT * 4)
        assert sender.is_alive(), "it was read though there was no room"
        assert spoken.worker.budget.taken <= size
        go.set()
        say(first, STORED, *GOODBYE)
        say(second, STORED, *GOODBYE)
        sender.join()
    spoken.settle()
    assert spoken.worker.budget.taken == 0


@pytest.mark.parametrize("end", [Send(ABORT), Shut()])
def test_an_association_that_breaks_off_gives_its_room_back(node: Callable[..., Node], end: Step) -> None:
    spoken = node()
    spoken.play([*ESTABLISHED, Send(STORE_RQ + pdu(4, pdv(3, 0, DATA))), end])
    spoken.settle()
    assert spoken.worker.budget.taken == 0


@pytest.mark.parametrize("limit", ["max_unassociated", "max_unassociated_per_address"])
def test_silent_connections_leave_room_for_associations(node: Callable[..., Node], limit: str) -> None:
    spoken = node(limits=Limits(**{limit: 2}))
    with ExitStack() as open_lines:
        served = spoken.connect()
        open_lines.enter_context(served.sock)
        say(served, *ESTABLISHED)
        for _ in range(2):
            open_lines.enter_context(spoken.connect().sock)
        until(lambda: spoken.worker.guests._waiting.total() == 2)
        assert spoken.is_shut()
        until(lambda: spoken.count("limits_total", limit=limit) == 1)
        say(served, Send(ECHO_RQ), Answered(0x8030, 0, number=1), *GOODBYE)
    spoken.settle()
    spoken.play([*ESTABLISHED, *GOODBYE])


def test_a_peer_that_reads_no_answers_is_left(node: Callable[..., Node]) -> None:
    spoken = node(limits=Limits(body_seconds=SHORT, idle_seconds=SHORT))
    line = spoken.connect()
    with line.sock:
        say(line, *ESTABLISHED)
        line.sock.settimeout(SHORT)
        with suppress(OSError):
            while True:  # until both directions are full, or the node has gone
                line.sock.sendall(ECHO_RQ * 100)
        spoken.settle()


def test_a_leaving_worker_ends_idle_associations_and_takes_no_new_ones(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.receive.messages.GRACE_SECONDS", SHORT)
    spoken = node()
    line = spoken.connect()
    with line.sock:
        say(line, *ESTABLISHED)
        spoken.worker.leave()
        say(line, BY_US, Closed())
    spoken.stop_serving()
    with pytest.raises(ConnectionRefusedError):
        spoken.connect()


def test_a_leaving_worker_rejects_who_is_at_the_door(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.receive.association.GRACE_SECONDS", PATIENCE)
    spoken = node()
    line = spoken.connect()
    with line.sock:
        until(lambda: spoken.worker.guests._waiting.total() == 1)
        spoken.worker.leave()
        until(lambda: spoken.worker.drain.is_on)
        say(line, Send(associate()), *rejected(2, 3, 2))
    spoken.stop_serving()


def test_a_store_in_flight_is_finished_and_answered(node: Callable[..., Node]) -> None:
    entered, go = threading.Event(), threading.Event()

    def wait(_arrival: Arrival) -> Outcome:
        entered.set()
        assert go.wait(PATIENCE)
        return Outcome.STORED

    spoken = node(answer=wait)
    line = spoken.connect()
    with line.sock:
        say(line, *ESTABLISHED, Send(STORE_ALL))
        assert entered.wait(PATIENCE)
        spoken.worker.leave()
        until(lambda: spoken.worker.drain.is_on)
        go.set()
        say(line, STORED, *GOODBYE)
    spoken.stop_serving()


def test_at_the_end_of_the_drain_even_a_busy_association_ends(node: Callable[..., Node]) -> None:
    spoken = node(limits=Limits(drain_seconds=SHORT))
    line = spoken.connect()
    with line.sock:
        say(line, *ESTABLISHED, Send(STORE_RQ + pdu(4, pdv(3, 0, DATA))))
        until(lambda: spoken.worker.guests.associated == 1)
        spoken.worker.leave()
        say(line, BY_US, Closed())
    spoken.stop_serving()
    assert not spoken.taken


def test_a_failing_disk_is_answered_and_then_the_worker_leaves(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.receive.messages.GRACE_SECONDS", SHORT)
    spoken = node(answer=lambda _arrival: Outcome.STORAGE_FAULT)
    spoken.play([*ESTABLISHED, Send(STORE_ALL), Answered(0x8001, 0xA700, uid=UID), BY_US, Closed()])
    spoken.stop_serving()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENETDOWN, errno.EPROTO])
def test_accepting_rests_when_it_fails(node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The listener stays readable then; the worker must neither die nor spin."""
    monkeypatch.setattr("scp.receive.worker.BEAT_SECONDS", SHORT)
    spoken = node()
    refusing = Refusing(spoken.listener, number)
    spoken.worker._entrances[spoken.listener.fileno()] = Entrance(refusing)  # type: ignore[arg-type]
    start = time.monotonic()
    with spoken.connect().sock:
        until(lambda: refusing.asked >= 3)
        time.sleep(SHORT)
        assert refusing.asked <= 3 + (time.monotonic() - start) / SHORT
        refusing.over = True
        spoken.play([*ESTABLISHED, *GOODBYE])
    spoken.settle()


class Refusing:
    """A listener whose `accept` fails until it is over."""

    def __init__(self, listener: socket.socket, number: int) -> None:
        self._listener = listener
        self._number = number
        self.over = False
        self.asked = 0

    def accept(self) -> object:
        if not self.over:
            self.asked += 1
            raise OSError(self._number, "refused")
        return self._listener.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)


def test_nothing_is_left_of_many_dialogues(node: Callable[..., Node]) -> None:
    """The fixture counts threads and descriptors at the end."""
    spoken = node()
    for _ in range(50):
        spoken.play([*ESTABLISHED, Send(STORE_ALL), STORED, *GOODBYE])
        spoken.play([*ESTABLISHED, Send(STORE_RQ), Shut()])
        spoken.play([Send(associate()), Accepted({1: "1.2.840.10008.1.2", 3: "1.2.840.10008.1.2.1"}), *GOODBYE])
    spoken.settle()
    assert len(spoken.taken) == 50
    assert len([thread for thread in threading.enumerate() if thread.name == "association"]) <= KEPT
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "association"])


def say(line: Line, *steps: Step) -> None:
    for step in steps:
        step.play(line)


@pytest.mark.parametrize(
    ("steps", "level"),
    [
        ((), "debug"),
        ((Send(associate()[:20]),), "debug"),
        ((Send(b"GET / HTTP/1.1"), *UNHEARD), "warning"),
        ((*ESTABLISHED,), "warning"),
        ((*ESTABLISHED, *GOODBYE), "info"),
    ],
)
def test_how_loud_an_end_is_told(
    node: Callable[..., Node], told: io.StringIO, steps: tuple[Step, ...], level: str
) -> None:
    """A probe that connects and leaves is no news; an association that breaks off is."""
    spoken = node()
    spoken.play(steps)
    until(lambda: "association_ended" in told.getvalue())
    [line] = [json.loads(line) for line in told.getvalue().splitlines() if "association_ended" in line]
    assert line["level"] == level


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def until_beat(spoken: Node) -> None:
    before = spoken.board.children()[0].heartbeat
    until(lambda: spoken.board.children()[0].heartbeat > before)
