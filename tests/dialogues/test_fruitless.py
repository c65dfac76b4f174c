"""Connections that come to nothing: so many, and then the door is shut to their address until time has passed."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from peer import ABORT, ECHO_RQ, ESTABLISHED, GOODBYE, Answered, Closed, Node, Send, Shut, Step, associate, rejected
from test_limits import say, until

from scp.config import Limits
from scp.receive import pace


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1000.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


FRUITLESS: dict[str, list[Step]] = {
    "says nothing": [Shut()],
    "aborts": [Send(ABORT), Closed()],
    "is rejected": [Send(associate(called=b"NOBODY")), *rejected(1, 1, 7)],
}


@pytest.mark.parametrize("steps", FRUITLESS.values(), ids=FRUITLESS)
def test_whoever_never_associates_is_turned_away_and_comes_in_again_later(
    node: Callable[..., Node], now: list[float], steps: list[Step]
) -> None:
    spoken = node(limits=Limits(max_fruitless_per_second=2))
    for _ in range(4):
        spoken.play(steps)
        spoken.settle()
    for _ in range(3):
        assert spoken.is_shut()
    until(lambda: spoken.count("limits_total", limit="max_fruitless_per_second") == 3)
    now[0] += 1.0
    spoken.play([*ESTABLISHED, *GOODBYE])


def test_a_sender_that_makes_an_association_of_each_connection_never_meets_it(
    node: Callable[..., Node], now: list[float]
) -> None:
    spoken = node(limits=Limits(max_fruitless_per_second=1))
    for _ in range(20):
        spoken.play([*ESTABLISHED, *GOODBYE])
    spoken.settle()
    assert not spoken.count("limits_total", limit="max_fruitless_per_second")


def test_a_flood_ends_no_association_that_is_there(node: Callable[..., Node], now: list[float]) -> None:
    spoken = node(limits=Limits(max_fruitless_per_second=1))
    served = spoken.connect()
    with served.sock:
        say(served, *ESTABLISHED)
        for _ in range(2):
            spoken.play([Shut()])
        assert all(spoken.is_shut() for _ in range(28))
        until(lambda: spoken.count("limits_total", limit="max_fruitless_per_second") == 28)
        say(served, Send(ECHO_RQ), Answered(0x8030, 0, number=1), *GOODBYE)
