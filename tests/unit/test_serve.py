import types

import pytest

from scp.cli import signs
from scp.receive.board import Board, State


@pytest.fixture
def board():
    board = Board(["worker-1", "worker-2", *signs.OTHERS])
    board.state = State.READY
    return board


@pytest.fixture
def glance():
    return types.SimpleNamespace(troubles=list)


def slot(board, name):
    return [child.name for child in board.children()].index(name)


def beat(board, *names):
    for name in names:
        board.beat(slot(board, name))


def test_one_worker_and_the_index_writer_are_enough(board, glance):
    beat(board, "worker-2", "writer")
    assert signs.health(board, glance).ready


@pytest.mark.parametrize(
    ("alive", "reason"),
    [
        (["writer", "steward", "web"], "no worker serves"),
        (["worker-1", "worker-2", "steward", "web"], "the index writer does not serve"),
    ],
)
def test_without_a_worker_or_the_writer_nothing_can_be_stored(board, glance, alive, reason):
    beat(board, *alive)
    health = signs.health(board, glance)
    assert (health.ready, tuple(health.reasons)) == (False, (reason,))


def test_a_writer_that_went_silent_is_told(board, glance, monkeypatch):
    beat(board, "worker-1", "writer")
    assert signs.health(board, glance).ready
    monkeypatch.setattr(signs.time, "monotonic", lambda: float("inf"))
    assert not signs.health(board, glance).ready


@pytest.mark.parametrize("state", [State.STARTING, State.DRAINING])
def test_a_node_that_starts_or_drains_is_not_ready(board, glance, state):
    beat(board, "worker-1", "writer")
    board.state = state
    assert not signs.health(board, glance).ready
