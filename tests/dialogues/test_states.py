"""The acceptor's part of the state machine as one table (PS3.8 9.2.3, Table 9-10), walked whole against a real node.

The acceptor is one thread: it answers a request before it reads on. What comes in Sta3 and Sta8, which the standard
has for waiting on a local user, is therefore seen in the state that follows. A release collision (Sta7, Sta9 to Sta12)
takes an acceptor that asks for release itself, and Sta4 and Sta5 are the requestor's: this one does neither.
"""

import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto

import pytest
from peer import (
    ABORT,
    DATA,
    ECHO_RQ,
    ESTABLISHED,
    PATIENCE,
    RELEASE_RQ,
    RELEASED,
    STORE_RQ,
    Answered,
    Closed,
    Line,
    Node,
    Send,
    Shut,
    Step,
    Told,
    associate,
    pdu,
    pdv,
    rejected,
)

from scp.config import Limits
from scp.instance import Peer
from scp.outcome import Rejection


class State(Enum):
    """Those an acceptor can be in once it has a connection."""

    STA2 = "awaiting an A-ASSOCIATE-RQ"
    STA3 = "awaiting its own user's answer to it"
    STA6 = "established"
    STA6_MESSAGE = "established, within a message"
    STA8 = "awaiting its own user's answer to a release"
    STA13 = "awaiting the end of the connection"


class Event(Enum):
    """What can come from outside: the PDUs, good and bad, the connection's end and the timer."""

    EVT3 = "A-ASSOCIATE-AC"
    EVT4 = "A-ASSOCIATE-RJ"
    EVT6 = "A-ASSOCIATE-RQ that is accepted"
    EVT6_NO = "A-ASSOCIATE-RQ that is rejected"
    EVT10 = "P-DATA-TF"
    EVT12 = "A-RELEASE-RQ"
    EVT13 = "A-RELEASE-RP"
    EVT16 = "A-ABORT"
    EVT17 = "the connection's end"
    EVT18 = "the timer's end"
    EVT19 = "a PDU of no known type"
    EVT19_LENGTH = "a PDU of an impossible length"


class Action(Enum):
    """The actions of Tables 9-6 to 9-9 as a peer sees them."""

    AE6 = auto()  # accept: A-ASSOCIATE-AC
    AE6_NO = auto()  # reject: A-ASSOCIATE-RJ, and wait for the end
    DT2 = auto()  # take the data
    AR2 = auto()  # release: A-RELEASE-RP, and wait for the end
    AR5 = auto()  # the connection is gone: nothing is left to do
    AA1 = auto()  # A-ABORT of the service user
    AA2 = auto()  # close without a word
    AA3 = auto()  # the peer has aborted: close
    AA4 = auto()  # the connection has failed
    AA6 = auto()  # ignore
    AA8 = auto()  # A-ABORT of the service provider


S, E, A = State, Event, Action
TABLE: dict[State, dict[Event, Action]] = {
    S.STA2: {
        E.EVT3: A.AA1,
        E.EVT4: A.AA1,
        E.EVT6: A.AE6,
        E.EVT6_NO: A.AE6_NO,
        E.EVT10: A.AA1,
        E.EVT12: A.AA1,
        E.EVT13: A.AA1,
        E.EVT16: A.AA2,
        E.EVT17: A.AR5,  # the standard's AA-5: stop the timer, which dies with the thread
        E.EVT18: A.AA2,
        E.EVT19: A.AA1,
        E.EVT19_LENGTH: A.AA1,
    },
    # Read once the answer is given, so they find Sta6; the standard has AA-8 for data that comes before the answer.
    S.STA3: {
        E.EVT3: A.AA8,
        E.EVT4: A.AA8,
        E.EVT6: A.AA8,
        E.EVT6_NO: A.AA8,
        E.EVT10: A.DT2,
        E.EVT12: A.AR2,
        E.EVT13: A.AA8,
        E.EVT16: A.AA3,
        E.EVT17: A.AA4,
        E.EVT18: A.AA8,  # its ARTIM is over by then; what ends is the wait for a message
        E.EVT19: A.AA8,
        E.EVT19_LENGTH: A.AA8,
    },
    S.STA6: {
        E.EVT3: A.AA8,
        E.EVT4: A.AA8,
        E.EVT6: A.AA8,
        E.EVT6_NO: A.AA8,
        E.EVT10: A.DT2,
        E.EVT12: A.AR2,
        E.EVT13: A.AA8,
        E.EVT16: A.AA3,
        E.EVT17: A.AA4,
        E.EVT18: A.AA8,
        E.EVT19: A.AA8,
        E.EVT19_LENGTH: A.AA8,
    },
    # A release is for when nothing is under way (PS3.8 7.2.1.1): within a message it breaks it off.
    S.STA6_MESSAGE: {
        E.EVT3: A.AA8,
        E.EVT4: A.AA8,
        E.EVT6: A.AA8,
        E.EVT6_NO: A.AA8,
        E.EVT10: A.DT2,
        E.EVT12: A.AA8,
        E.EVT13: A.AA8,
        E.EVT16: A.AA3,
        E.EVT17: A.AA4,
        E.EVT18: A.AA8,
        E.EVT19: A.AA8,
        E.EVT19_LENGTH: A.AA8,
    },
    # The answer to a release goes out at once and the connection is shut for sending: what follows finds Sta13.
    S.STA8: dict.fromkeys(Event, A.AA6) | {E.EVT17: A.AR5, E.EVT18: A.AA2},
    # The standard's AA-7 repeats the A-ABORT for an A-ASSOCIATE-RQ; nobody would hear it, so it is ignored as well.
    S.STA13: dict.fromkeys(Event, A.AA6) | {E.EVT17: A.AR5, E.EVT18: A.AA2},
}

PDUS: dict[Event, bytes] = {
    E.EVT3: pdu(2, bytes(68)),
    E.EVT4: pdu(3, bytes(4)),
    E.EVT6: associate(),
    E.EVT6_NO: associate(called=b"SOMEBODY"),
    E.EVT10: ECHO_RQ,
    E.EVT12: RELEASE_RQ,
    E.EVT13: pdu(6, bytes(4)),
    E.EVT16: ABORT,
    E.EVT19: pdu(0x77, bytes(4)),
    E.EVT19_LENGTH: pdu(5, bytes(5)),
}
UNEXPECTED, UNRECOGNIZED, INVALID = 2, 1, 6
REASONS = {E.EVT18: 0, E.EVT19: UNRECOGNIZED, E.EVT19_LENGTH: INVALID}
ECHOED = Answered(0x8030, 0, number=1)
STORE_REST = pdu(4, pdv(3, 2, DATA))


def heard(state: State, event: Event) -> Sequence[Step]:
    """What the peer hears when the action of the table is carried out."""
    taken = Answered(0x8001, 0, uid="1.2.826.0.1.3680043.8.498.77") if state is S.STA6_MESSAGE else ECHOED
    return {
        A.AE6: (ESTABLISHED[1], Send(ECHO_RQ), ECHOED),
        A.AE6_NO: rejected(1, 1, 7),
        A.DT2: (taken,),
        A.AR2: (RELEASED, Closed()),
        A.AR5: (),
        A.AA1: (Told(7, bytes(4)), Closed()),
        A.AA2: (Closed(),),
        A.AA3: (Closed(),),
        A.AA4: (),
        A.AA6: (Closed(),),
        A.AA8: (Told(7, bytes((0, 0, 2, REASONS.get(event, UNEXPECTED)))), Closed()),
    }[TABLE[state][event]]


RESULTS = {
    A.AE6: "failed",  # the peer goes without a release once it was served
    A.DT2: "failed",
    A.AR2: "released",
    A.AA3: "aborted",
    A.AA4: "failed",
    A.AA8: "aborted",
}


class Driven:
    """A node that is brought into a state, and its peer."""

    def __init__(self, start: Callable[..., Node], state: State, event: Event) -> None:
        self.asked, self.go = threading.Event(), threading.Event()
        timed = {"artim_seconds": 0.3, "idle_seconds": 0.3} if event is E.EVT18 else {}
        if state is S.STA3 and timed:
            timed = {"idle_seconds": 0.3}
        self.state = state
        self.node = start(limits=Limits(**timed), admit=self._admit)
        self.line: Line = self.node.connect()

    def _admit(self, peer: Peer) -> Rejection | None:
        """The local user, who takes his time in Sta3."""
        if self.state is S.STA3:
            self.asked.set()
            assert self.go.wait(PATIENCE)
        return None if peer.called == "CLOAKROOM" else Rejection.CALLED_AE_TITLE

    def say(self, *steps: Step) -> None:
        for step in steps:
            step.play(self.line)

    def reach(self) -> None:
        if self.state is S.STA3:
            self.say(ESTABLISHED[0])
            assert self.asked.wait(PATIENCE)
        elif self.state is S.STA8:
            self.say(*ESTABLISHED, Send(RELEASE_RQ))
        elif self.state is S.STA13:
            self.say(*ESTABLISHED, Send(pdu(0x77)), Told(7, bytes((0, 0, 2, UNRECOGNIZED))))
        elif self.state is not S.STA2:
            self.say(*ESTABLISHED)
        if self.state is S.STA6_MESSAGE:
            self.say(Send(STORE_RQ))

    def happen(self, event: Event) -> None:
        if event is E.EVT17:
            self.say(Shut())
        elif event is E.EVT10 and self.state is S.STA6_MESSAGE:
            self.say(Send(STORE_REST))
        elif event is not E.EVT18:
            with suppress(ConnectionError):  # in Sta13 the node may have gone already
                self.say(Send(PDUS[event]))
        self.go.set()
        if event is not E.EVT17:
            if self.state is S.STA3:
                self.say(ESTABLISHED[1])
            elif self.state is S.STA8:
                self.say(RELEASED)


def test_the_table_is_whole() -> None:
    assert set(TABLE) == set(State)
    assert all(set(row) == set(Event) for row in TABLE.values())
    assert {action for row in TABLE.values() for action in row.values()} == set(Action)


@pytest.mark.parametrize("event", Event, ids=lambda event: event.name)
@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_every_event_in_every_state(node: Callable[..., Node], state: State, event: Event) -> None:
    driven = Driven(node, state, event)
    with driven.line.sock:
        driven.reach()
        driven.happen(event)
        driven.say(*heard(state, event))
    driven.node.settle()
    results = {each: driven.node.count("associations_total", result=each) for each in ("released", "aborted", "failed")}
    ended = {S.STA8: "released", S.STA13: "aborted"}.get(state) or RESULTS.get(TABLE[state][event], "")
    assert results == {each: float(each == ended) for each in results}
    assert driven.node.count("associations_open") == 0
    assert driven.node.board.register.count() == 0


def test_the_timer_of_sta13_ends_a_peer_that_does_not_leave(node: Callable[..., Node]) -> None:
    """It goes on sending after the abort; the node listens for a second, then it is gone."""
    spoken = node()
    line = spoken.connect()
    with line.sock:
        for step in (*ESTABLISHED, Send(pdu(0x77)), Told(7, bytes((0, 0, 2, UNRECOGNIZED)))):
            step.play(line)
        with suppress(ConnectionError):
            while not spoken.worker.guests.gone(0, 0):
                line.sock.sendall(ECHO_RQ)
                time.sleep(0.01)
    spoken.settle()
    assert spoken.count("dimse_total", command="c_echo") == 0


def test_no_reason_beyond_the_standards_is_given() -> None:
    """PS3.8 Table 9-26: reasons 0, 1, 2, 4, 5 and 6 of the service provider; none of the service user."""
    told = [step for state in State for event in Event for step in heard(state, event) if isinstance(step, Told)]
    aborts = {struct.unpack(">BB", step.body[2:]) for step in told if step.kind == 7}
    assert aborts == {(0, 0), (2, 0), (2, 1), (2, 2), (2, 6)}
