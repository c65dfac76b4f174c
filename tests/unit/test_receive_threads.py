"""Threads that work one after the other, wait a moment, and are gone in the end."""

import gc
import threading
import weakref

import pytest
from running import wait

from scp.receive import threads
from scp.receive.threads import Threads


@pytest.fixture
def shared(monkeypatch):
    """Threads that wait as long as a test takes, unless it says otherwise."""
    monkeypatch.setattr(threads, "KEPT_SECONDS", 600.0)
    before = set(threading.enumerate())
    them = Threads()
    yield them
    them.close()
    wait(lambda: set(threading.enumerate()) <= before, "every thread has ended")


def waiting(shared, count):
    wait(lambda: len(shared._waiting) == count, f"{count} threads wait")


class Work:
    """Ends when it is told to."""

    def __init__(self):
        self.thread = None
        self.begun, self.end = threading.Event(), threading.Event()

    def __call__(self):
        self.thread = threading.get_ident()
        self.begun.set()
        assert self.end.wait(60)


def begun(shared, count):
    works = [Work() for _ in range(count)]
    for work in works:
        shared.run(work)
    for work in works:
        assert work.begun.wait(60)
    return works


def test_one_after_the_other_has_the_same_thread(shared):
    idents = []
    for number in range(20):
        shared.run(lambda: idents.append(threading.get_ident()))
        wait(lambda number=number: len(idents) == number + 1, "it was done")
        waiting(shared, 1)
    assert len(set(idents)) == 1


def test_side_by_side_each_has_its_own_and_no_more_wait_than_are_kept(shared, monkeypatch):
    monkeypatch.setattr(threads, "KEPT", 3)
    before = set(threading.enumerate())
    works = begun(shared, 8)
    assert len({work.thread for work in works}) == 8
    for work in works:
        work.end.set()
    wait(lambda: len(set(threading.enumerate()) - before) == 3, "all but three have ended")
    waiting(shared, 3)
    again = begun(shared, 3)
    assert {work.thread for work in again} <= {work.thread for work in works}
    for work in again:
        work.end.set()


def test_who_has_waited_long_enough_ends(monkeypatch):
    monkeypatch.setattr(threads, "KEPT_SECONDS", 0.01)
    before, done = set(threading.enumerate()), []
    shared = Threads()
    for number in range(50):  # some of them as the thread is about to end
        shared.run(lambda number=number: done.append(number))
        threading.Event().wait(0.005 * (number % 4))
    wait(lambda: sorted(done) == list(range(50)), "each was done, once")
    wait(lambda: set(threading.enumerate()) <= before, "every thread has ended")
    assert not shared._waiting


def test_an_exception_ends_its_thread_and_no_other(shared, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    shared.run(lambda: 1 // 0)
    wait(lambda: told == [ZeroDivisionError], "it was told of")
    assert not shared._waiting
    done = threading.Event()
    shared.run(done.set)
    assert done.wait(60)
    waiting(shared, 1)


def test_what_a_thread_worked_on_is_not_kept_with_it(shared):
    work = begun(shared, 1)[0]
    work.end.set()
    waiting(shared, 1)
    gone = weakref.ref(work)
    del work
    gc.collect()
    assert gone() is None


def test_after_closing_nobody_waits(shared):
    busy = begun(shared, 2)
    idle = begun(shared, 1)
    idle[0].end.set()
    waiting(shared, 1)
    shared.close()
    for work in busy:
        work.end.set()
    waiting(shared, 0)


def test_no_thread_is_said_and_leaves_nothing_behind(shared, monkeypatch):
    def start(_self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            shared.run(lambda: None)
    assert not shared._waiting
