"""Connections are spread over the workers: who has more leaves a newcomer to a sibling, for a moment."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from peer import ESTABLISHED, GOODBYE, Line, Node
from test_limits import say, until

from scp.receive import worker
from scp.receive.worker import Entrance, Worker


@pytest.fixture
def yielded(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the worker left newcomers to others."""
    slept: list[float] = []
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append))
    return slept


def test_who_has_no_sibling_waits_for_none(node: Callable[..., Node], yielded: list[float]) -> None:
    spoken = node()
    for _ in range(5):
        spoken.play([*ESTABLISHED, *GOODBYE])
    with spoken.connect().sock, spoken.connect().sock:
        spoken.play([*ESTABLISHED, *GOODBYE])
    assert not yielded


def test_a_sibling_that_has_fewer_may_come_first_and_need_not(node: Callable[..., Node], yielded: list[float]) -> None:
    spoken = node()
    spoken.board.register.open(1)
    with spoken.connect().sock as sock:
        say(Line(sock), *ESTABLISHED)
        assert not yielded, "both had none"
        spoken.play([*ESTABLISHED, *GOODBYE])
        until(lambda: spoken.worker.guests.associated == 1)
        assert yielded == [worker.YIELD_SECONDS]
        assert not spoken.board.register.join(1, "MODALITY", 9, 9)
        spoken.play([*ESTABLISHED, *GOODBYE])
        assert yielded == [worker.YIELD_SECONDS], "both had one"
        say(Line(sock), *GOODBYE)


@pytest.fixture
def pair(node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Node, Worker]]:
    """Two workers at one listener, who leave each other as much time as a loaded machine may need."""
    monkeypatch.setattr(worker, "YIELD_SECONDS", 1.0)
    spoken = node()
    sibling = Worker([Entrance(spoken.listener)], spoken.worker.door, spoken.board, 1)
    thread = threading.Thread(target=sibling.serve)
    thread.start()
    yield spoken, sibling
    sibling.leave()
    thread.join(60)
    assert not thread.is_alive()
    sibling.close()


def test_two_workers_have_as_many_each(pair: tuple[Node, Worker]) -> None:
    spoken, sibling = pair
    with ExitStack() as lines:
        for _ in range(10):
            line = spoken.connect()
            lines.enter_context(line.sock)
            say(line, *ESTABLISHED)
        assert (spoken.worker.guests.associated, sibling.guests.associated) == (5, 5)
