"""A process hears that it is to stop, whatever it is doing when the signal comes."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scp.cli import serve
from scp.stop import Stop


@pytest.fixture
def stop():
    stop = Stop()
    yield stop
    stop.close()


def test_it_is_said_once_and_for_ever(stop):
    assert not stop.is_set()
    assert not stop.wait(0.001)
    stop.set()
    stop.set()
    assert stop.is_set()
    assert stop.wait(0)
    assert stop.wait(3600)
    assert stop.wait(1e9), "longer than poll(2) can wait"


def test_who_waits_in_another_thread_hears_it(stop):
    heard = []
    threads = [threading.Thread(target=lambda: heard.append(stop.wait(60))) for _ in range(3)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(60)
    assert heard == [True] * 3


def test_a_signal_ends_a_long_wait(stop):
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: stop.set())
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        assert stop.wait(60)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


@settings(max_examples=50, deadline=None)
@given(microseconds=st.integers(0, 2000))
def test_a_signal_at_any_moment_of_a_loop_of_short_waits(microseconds):
    """With an event of `threading` most of these loops would wait for themselves: its handler needs a lock."""
    pid = os.fork()
    if not pid:
        stop = Stop()
        signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
        while not stop.wait(0):
            pass
        os._exit(7)
    time.sleep(0.005 + microseconds / 1e6)
    codes = set()
    deadline = time.monotonic() + 60
    while not codes and time.monotonic() < deadline:
        os.kill(pid, signal.SIGTERM)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            codes.add(os.waitstatus_to_exitcode(status))
        else:
            time.sleep(0.001)
    if not codes:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert codes <= {7, -signal.SIGTERM}  # the second where it came before there was a handler
    assert codes


def test_its_descriptor_is_not_inherited(stop):
    assert not os.get_inheritable(stop._fd)


def test_what_serve_hands_to_signal_handlers_is_no_event():
    assert "Event(" not in Path(serve.__file__).read_text("utf-8")
