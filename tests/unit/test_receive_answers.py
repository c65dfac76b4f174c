"""What is kept of requests to associate is the same as what would be made anew, and nothing that must not be kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from struct import pack

import pytest
from doubles import metrics
from hypothesis import given
from hypothesis import strategies as st

from bench import wire
from scp.config import Limits
from scp.outcome import Outcome, Rejection
from scp.receive import answers, items, negotiation
from scp.receive.answers import Answer, Answers
from scp.receive.door import FrontDoor
from scp.receive.negotiation import STORAGE_CLASSES, Request
from scp.receive.wire import ProtocolError

MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"
HERE, NOBODY = "192.0.2.1", frozenset[str]()


def body(sop_class: str = MR, called: str = "CLOAKROOM", more: bytes = b"") -> bytes:
    """An A-ASSOCIATE-RQ from behind its header; `more` goes behind its items."""
    return wire.associate_rq(sop_class, called=called)[6:] + more


def accepted(request: Request) -> Answer:
    return negotiation.accept(request, STORAGE_CLASSES, 131_072)


def read(known: Answers, *sent: bytes) -> list[Request]:
    found = [known.read(each, HERE, NOBODY) for each in sent]
    assert all(isinstance(each, Request) for each in found)
    return [each for each in found if isinstance(each, Request)]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The requests that were read in earnest."""
    seen: list[bytes] = []
    real = negotiation.read

    def reading(sent: bytes, address: str, certificate: frozenset[str] = NOBODY) -> Request | Rejection:
        seen.append(sent)
        return real(sent, address, certificate)

    monkeypatch.setattr(negotiation, "read", reading)
    return seen


@given(st.lists(st.tuples(st.sampled_from((MR, CT, "1.2.3")), st.sampled_from(("A", "B"))), max_size=8))
def test_it_answers_as_if_nothing_was_kept(asked: list[tuple[str, str]]) -> None:
    known = Answers()
    for sop_class, called in asked:
        sent = body(sop_class, called)
        [request] = read(known, sent)
        anew = negotiation.read(sent, HERE)
        assert isinstance(anew, Request)
        assert request == anew
        assert known.accept(request, accepted) == accepted(anew)


def test_the_same_request_is_read_and_answered_once(made: list[bytes]) -> None:
    known, answered = Answers(), list[Request]()

    def answer(request: Request) -> Answer:
        answered.append(request)
        return accepted(request)

    for request in read(known, body(), body(), body(CT), body()):
        known.accept(request, answer)
    assert made == [body(), body(CT)]
    assert len(answered) == 2


def test_who_asks_is_a_part_of_the_question(made: list[bytes]) -> None:
    known = Answers()
    asked = [(HERE, NOBODY), ("192.0.2.2", NOBODY), (HERE, frozenset({"pacs.example"}))]
    found = [known.read(body(), *who) for who in asked * 2]
    assert len(made) == 3
    assert [(each.peer.address, each.peer.certificate) for each in found if isinstance(each, Request)] == asked * 2


def test_a_user_identity_is_not_kept(made: list[bytes]) -> None:
    secret = b"\2\1\0\4NAME\0\6SECRET"
    sent = body(more=items.item(items.USER_INFORMATION, pack(">BBH", 0x58, 0, len(secret)) + secret))
    known = Answers()
    for request in read(known, sent, sent):
        assert request.claim is not None
        known.accept(request, accepted)
    assert made == [sent, sent]
    assert not known._requests
    assert not known._answers


def test_what_is_long_is_not_kept(made: list[bytes]) -> None:
    sent = body(more=items.item(0x77, bytes(answers.LONGEST)))
    known = Answers()
    for request in read(known, sent, sent):
        known.accept(request, accepted)
    assert len(made) == 2
    assert not known._answers


@pytest.mark.parametrize("sent", [body(called=""), b"\0\2" + body()[2:]])
def test_a_rejection_is_not_kept(made: list[bytes], sent: bytes) -> None:
    known = Answers()
    assert all(isinstance(known.read(sent, HERE, NOBODY), Rejection) for _ in range(2))
    assert len(made) == 2


def test_what_is_no_request_is_told_each_time() -> None:
    known = Answers()
    for _ in range(2):
        with pytest.raises(ProtocolError):
            known.read(body()[:-1], HERE, NOBODY)


def test_strangers_fill_nothing() -> None:
    known = Answers()
    for number in range(5 * answers.KEPT):
        [request] = read(known, body(called=f"TITLE{number}"))
        known.accept(request, accepted)
        assert len(known._requests) <= answers.KEPT
        assert len(known._answers) <= answers.KEPT
    [first] = read(known, body(called="TITLE0"))
    assert known.accept(first, accepted) == accepted(first)


def test_threads_get_their_own_answers() -> None:
    known = Answers()

    def ask(number: int) -> bool:
        sent = body((MR, CT)[number % 2], f"TITLE{number % 100}")
        [request] = read(known, sent)
        anew = negotiation.read(sent, HERE)
        return isinstance(anew, Request) and request == anew and known.accept(request, accepted) == accepted(anew)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(1000)))
    assert len(known._answers) <= answers.KEPT + 8


def test_a_door_with_other_settings_keeps_other_answers() -> None:
    door = FrontDoor(Limits(), STORAGE_CLASSES, lambda _peer: None, lambda _arrival: Outcome.STORED, metrics())
    other = replace(door, sop_classes=frozenset({CT}))
    assert other.answers is not door.answers
    [request] = read(door.answers, body())
    door.answers.accept(request, accepted)
    [again] = read(other.answers, body())
    assert other.answers.accept(again, lambda each: negotiation.accept(each, other.sop_classes, 7))[1] == {}
