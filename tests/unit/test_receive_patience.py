"""Long requests are read one after the other, each followed by a rest; short ones never wait."""

import threading
import time

import pytest

from scp.receive import patience
from scp.receive.patience import LONG_REQUEST_BYTES, Patience
from scp.receive.wire import Overdue

LATER = time.monotonic() + 3600


@pytest.fixture
def rests(monkeypatch):
    """The rests that are taken, none of which takes time."""
    taken = []
    monkeypatch.setattr(patience.time, "sleep", taken.append)
    return taken


def busy(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_a_request_as_they_are_is_read_at_once(rests):
    shared = Patience()
    with shared.reading(LONG_REQUEST_BYTES + 1, LATER), shared.reading(LONG_REQUEST_BYTES, 0.0):
        pass  # the turn is somebody's, and nobody asked for it
    assert len(rests) == 1


def test_a_long_one_rests_in_proportion_to_what_it_took(rests):
    shared = Patience()
    with shared.reading(LONG_REQUEST_BYTES + 1, LATER):
        busy(0.02)
    (rest,) = rests
    assert 0.02 * patience.REST <= rest <= patience.LONGEST_REST


def test_no_rest_is_longer_than_the_longest(rests, monkeypatch):
    monkeypatch.setattr(patience, "LONGEST_REST", 0.01)
    with Patience().reading(LONG_REQUEST_BYTES + 1, LATER):
        busy(0.01)
    assert rests == [0.01]


def test_who_gets_no_turn_in_time_is_overdue(rests):
    shared = Patience()
    with shared.reading(LONG_REQUEST_BYTES + 1, LATER):
        for until in (0.0, time.monotonic() + 0.01):
            with pytest.raises(Overdue) as late, shared.reading(LONG_REQUEST_BYTES + 1, until):
                raise AssertionError("not its turn")
            assert late.value.limit == "artim_seconds"
    assert len(rests) == 1


def test_what_is_no_request_rests_as_well_and_passes_the_turn_on(rests):
    shared = Patience()

    def read():
        with shared.reading(LONG_REQUEST_BYTES + 1, LATER):
            busy(0.02)
            raise ValueError("no request")

    with pytest.raises(ValueError, match="no request"):
        read()
    (rest,) = rests
    assert rest >= 0.02 * patience.REST  # or it would be the cheaper attack
    with shared.reading(LONG_REQUEST_BYTES + 1, 0.0):
        pass


def test_they_come_one_after_the_other():
    shared, inside, most, turn = Patience(), [], [], threading.Lock()

    def read():
        with shared.reading(LONG_REQUEST_BYTES + 1, LATER):
            with turn:
                inside.append(1)
                most.append(len(inside))
            busy(0.001)
            with turn:
                inside.pop()

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6
