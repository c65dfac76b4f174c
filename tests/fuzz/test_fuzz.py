"""The campaign itself, in small: it speaks, it finds nothing in a node, and it would find what is to be found."""

import pytest
import talk
from conversations import conversations, mutated
from peer import Node

from scp.instance import Arrival
from scp.outcome import Outcome


def test_a_conversation_follows_from_its_number():
    good = conversations()
    spoken = [mutated(good, 1, number) for number in range(300)]
    assert spoken == [mutated(conversations(), 1, number) for number in range(300)]
    assert len(set(spoken)) > 250
    assert spoken != [mutated(good, 2, number) for number in range(300)]


def test_some_are_left_as_they_are_and_most_are_not():
    good = conversations()
    whole = {b"".join(parts) for parts in good}
    intact = sum(mutated(good, 1, number) in whole for number in range(1000))
    assert 20 < intact < 300


def test_the_good_ones_are_understood():
    taken: list[Arrival] = []

    def answer(arrival: Arrival) -> Outcome:
        taken.append(arrival)
        return Outcome.STORED

    node = Node(answer=answer, admit=lambda _peer: None)
    try:
        heard = [talk.speak(node.address[1], b"".join(parts)) for parts in conversations()]
        assert talk.probe(node.address[1]) < talk.PATIENCE
    finally:
        node.stop()
    assert all(answer[:1] == b"\2" for answer in heard)
    assert [answer.endswith(b"\6\0\0\0\0\4\0\0\0\0") for answer in heard] == [True, True, False, True, True, True]
    assert len(taken) == 1 + 2 + 1 + 1 + 1 + 5
    assert len({arrival.sop_instance_uid for arrival in taken}) == 3


def test_what_is_wrong_with_an_answer_is_told(monkeypatch):
    monkeypatch.setattr(talk, "FIRST_BYTES", (b"",))
    node = Node(admit=lambda _peer: None)
    try:
        finds = talk.batch(node.address[1], 1, range(50))
    finally:
        node.stop()
    assert 20 < len(finds) <= 50
    assert {find.why for find in finds} >= {"an answer that begins with b'\\x02'"}
    assert {find.number for find in finds} <= set(range(50))


@pytest.mark.parametrize(
    ("now", "left"),
    [((5, 100, 0), False), ((5, 130, 0), False), ((6, 100, 0), True), ((5, 300, 0), True), ((5, 100, 1), True)],
)
def test_what_is_left_behind_is_noticed(now, left):
    assert talk.Vitals(5, 100, 0).left(talk.Vitals(*now)) is left


def test_what_is_wrong_with_the_node_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(talk, "FORBIDDEN", ("node_ready",))
    monkeypatch.setattr(talk, "GROWTH", -(2**40))
    wrong = talk.campaign(tmp_path, 1, 1)
    assert any(line.startswith("the log says: ") and "node_ready" in line for line in wrong)
    assert any(line.startswith("a process grew by ") for line in wrong)
    assert len(wrong) == 2


def test_a_small_campaign_finds_nothing(tmp_path):
    assert talk.campaign(tmp_path, 500, 2) == []
