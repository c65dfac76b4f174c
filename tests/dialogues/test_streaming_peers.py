"""Large data sets over the wire: pulled while the house takes them, and passed over when it does not want them."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peer import (
    ABORT,
    DATA,
    ECHO_RQ,
    ESTABLISHED,
    GOODBYE,
    PATIENCE,
    RELEASE_RQ,
    STORE_RQ,
    STORED,
    UID,
    Answered,
    Closed,
    Line,
    Node,
    Send,
    Step,
    Told,
    aborted,
    pdu,
    pdv,
)
from test_mutated import CONVERSATION, STORE_RSP_FIELD, damaged, say

from scp.config import Limits
from scp.instance import Arrival, Broken
from scp.outcome import Outcome

LIMITS = Limits(stream_bytes=50, max_instance_bytes=4000)
LARGE = bytes(range(256)) * 8
ECHOED = Answered(0x8030, 0, number=1)


def fragments(data: bytes, size: int = 100, *, whole: bool = True) -> bytes:
    """The data set in PDUs of two fragments each; the last one says so if it is whole."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    values = [pdv(3, 2 * (whole and at == len(parts) - 1), part) for at, part in enumerate(parts)]
    return b"".join(pdu(4, b"".join(values[at : at + 2])) for at in range(0, len(values), 2))


def pulled(arrival: Arrival) -> bytes:
    """All of a data set."""
    return bytes(arrival.data) + b"".join(bytes(piece) for piece in arrival.rest or ())


def test_a_large_data_set_is_pulled_by_who_takes_it(node: Callable[..., Node]) -> None:
    found: list[tuple[int, bytes]] = []

    def keep(arrival: Arrival) -> Outcome:
        found.append((len(arrival.data), pulled(arrival)))
        return Outcome.STORED

    spoken = node(limits=LIMITS, answer=keep)
    again = Send(STORE_RQ + fragments(LARGE)), STORED
    spoken.play(
        [*ESTABLISHED, *again, Send(STORE_RQ + fragments(DATA)), STORED, *again, Send(ECHO_RQ), ECHOED, *GOODBYE]
    )
    assert found == [(100, LARGE), (len(DATA), DATA), (100, LARGE)]
    assert [arrival.rest is None for arrival in spoken.taken] == [False, True, False]
    assert spoken.count("received_bytes_total") == 2 * len(LARGE) + len(DATA)


@pytest.mark.parametrize("wanted", [0, 1, 3])
@pytest.mark.parametrize("outcome", [Outcome.OUT_OF_RESOURCES, Outcome.SOP_CLASS_REFUSED, Outcome.UNCHANGED])
def test_what_is_not_wanted_is_passed_over(node: Callable[..., Node], wanted: int, outcome: Outcome) -> None:
    def leave(arrival: Arrival) -> Outcome:
        assert arrival.rest is not None
        for _ in range(wanted):
            next(arrival.rest)
        return outcome

    spoken = node(limits=LIMITS, answer=leave)
    answered = Answered(0x8001, outcome.status, uid=UID)
    spoken.play([*ESTABLISHED, Send(STORE_RQ + fragments(LARGE)), answered, Send(ECHO_RQ), ECHOED, *GOODBYE])
    assert spoken.count("received_bytes_total") == len(LARGE)


def test_a_defect_is_answered_behind_the_whole_data_set(node: Callable[..., Node]) -> None:
    def break_down(arrival: Arrival) -> Outcome:
        next(arrival.rest or iter(()))
        raise ZeroDivisionError

    spoken = node(limits=LIMITS, answer=break_down)
    answered = Answered(0x8001, Outcome.FAILED.status, uid=UID)
    spoken.play([*ESTABLISHED, Send(STORE_RQ + fragments(LARGE)), answered, Send(ECHO_RQ), ECHOED, *GOODBYE])
    assert spoken.count("instances_total", outcome="failed") == 1


ENDS: dict[str, tuple[dict[str, float], tuple[Step, ...], str]] = {
    "the connection is lost": ({}, (), "ConnectionResetError"),
    "an abort": ({}, (Send(ABORT), Closed()), "Finished"),
    "a release": ({}, (Send(RELEASE_RQ), *aborted(2)), "ProtocolError"),
    "a command": ({}, (Send(ECHO_RQ), *aborted(6)), "ProtocolError"),
    "too much": ({}, (Send(fragments(LARGE)), *aborted(6)), "ProtocolError"),
    "silence": ({"instance_seconds": 0.2}, (Told(7, b"\0\0\2\0"), Closed()), "Overdue"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("taking", [False, True])
def test_an_association_that_ends_within_it_is_told_as_what_it_is(
    node: Callable[..., Node],
    end: str,
    taking: bool,  # noqa: FBT001  parametrized
) -> None:
    """Whether the house pulls or the front door passes over: no answer, and no thread that dies of it."""
    limits, steps, error = ENDS[end]
    met: list[str] = []

    def take(arrival: Arrival) -> Outcome:
        try:
            if taking:
                pulled(arrival)
        except Broken as broken:
            met.append(type(broken.error).__name__)
            raise
        return Outcome.STORED

    spoken = node(limits=LIMITS.model_copy(update=limits), answer=take)
    spoken.play([*ESTABLISHED, Send(STORE_RQ + fragments(LARGE, whole=False)), *steps])
    spoken.settle()
    assert met == ([error] if taking else [])
    assert spoken.count("instances_total", outcome="failed") == 0
    assert spoken.count("received_bytes_total") > 0


def test_the_sender_waits_for_a_house_that_is_slow(node: Callable[..., Node]) -> None:
    """What nobody pulls stays with the sender: the node holds one PDU of it."""
    gate = threading.Event()

    def wait(arrival: Arrival) -> Outcome:
        gate.wait(PATIENCE)
        return Outcome.STORED

    size = 64 << 20
    spoken = node(limits=Limits(stream_bytes=1000), answer=wait)
    line: Line = spoken.connect()
    with line.sock:
        for step in ESTABLISHED:
            step.play(line)
        line.sock.sendall(STORE_RQ)
        line.sock.settimeout(0.5)
        sent = 0
        with suppress(TimeoutError):
            while sent < size:
                line.sock.sendall(pdu(4, pdv(3, 0, bytes(100_000))))
                sent += 100_000
        assert sent < size // 2
        gate.set()
        line.sock.shutdown(socket.SHUT_RDWR)
    deadline = time.monotonic() + PATIENCE
    while not spoken.taken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(spoken.taken[0].data) <= 131_072


def test_damage_within_what_is_pulled_stays_with_its_association(node: Callable[..., Node]) -> None:
    """As in test_mutated, with a house that pulls as much as it likes."""
    wanted = [0]

    def take(arrival: Arrival) -> Outcome:
        for _, _piece in zip(range(wanted[0]), arrival.rest or (), strict=False):
            pass
        return Outcome.STORED

    spoken = node(limits=Limits(stream_bytes=4), answer=take)

    @settings(max_examples=150, deadline=None)
    @given(data=damaged(), pulls=st.integers(0, 3))
    def hear(data: bytes, pulls: int) -> None:
        wanted[0] = pulls
        spoken.taken.clear()
        heard = say(spoken, data)
        spoken.settle()
        assert heard[:1] in {b"", b"\2", b"\3", b"\7"}
        assert heard.count(STORE_RSP_FIELD) <= len(spoken.taken)

    hear()
    assert say(spoken, CONVERSATION).count(STORE_RSP_FIELD) == 2
