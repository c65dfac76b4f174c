"""A worker takes another door while it serves, and may be told so at any moment."""

import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from peer import EXPLICIT, MR, PATIENCE, RELEASE_RQ, Node, associate, context
from running import wait

from scp.outcome import Rejection
from scp.receive.door import FrontDoor

ACCEPTED = b"\2"  # A-ASSOCIATE-AC (PS3.8 9.3.3)


def closed(door: FrontDoor) -> FrontDoor:
    """The same door, through which nobody comes."""
    return replace(door, admit=lambda _peer: Rejection.CALLING_AE_TITLE)


def comes_in(node: Node) -> bool:
    """Whether an association is accepted; spoken by hand, because pynetdicom sometimes misses what it is answered."""
    line = node.connect()
    with line.sock:
        line.sock.sendall(associate(context(1, MR, EXPLICIT)))
        kind = line.sock.recv(1)
        if kind == ACCEPTED:
            line.sock.sendall(RELEASE_RQ)
        while line.sock.recv(4096):
            pass
    node.settle()
    return kind == ACCEPTED


def test_who_comes_next_goes_through_the_new_door(node: Callable[..., Node]) -> None:
    spoken = node()
    assert comes_in(spoken)
    before = spoken.worker.door
    spoken.worker.renew(closed)
    wait(lambda: spoken.worker.door is not before, "the door is another one")
    assert not comes_in(spoken)


def test_several_are_taken_one_after_the_other(node: Callable[..., Node]) -> None:
    spoken = node()
    seen: list[FrontDoor] = []

    def another(door: FrontDoor) -> FrontDoor:
        seen.append(door)
        return replace(door)

    first = spoken.worker.door
    for _ in range(5):
        spoken.worker.renew(another)
    wait(lambda: len(seen) == 5, "all five are asked")
    wait(lambda: id(spoken.worker.door) not in map(id, seen), "the last one stands")
    assert seen[0] is first
    assert len({id(door) for door in seen}) == 5


def test_where_no_thread_can_be_had_the_worker_goes_on_and_it_is_tried_again(
    node: Callable[..., Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = node()
    start, refused = threading.Thread.start, threading.Event()

    def full(thread: threading.Thread) -> None:
        if thread.name == "renew" and not refused.is_set():
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    spoken.worker.renew(closed)
    assert refused.wait(PATIENCE)
    before = spoken.worker.door
    wait(lambda: spoken.worker.door is not before or not spoken.thread.is_alive(), "it is tried again")
    assert spoken.thread.is_alive()
    assert not comes_in(spoken)


def test_a_signal_handler_may_ask_while_its_thread_starts_another(node: Callable[..., Node]) -> None:
    """`threading` has one lock for all starts; whoever is interrupted while holding it would wait for itself."""
    spoken, asked = node(), []

    def told(_number: int, _frame: object) -> None:
        spoken.worker.renew(lambda door: door)
        asked.append(1)

    before = signal.signal(signal.SIGUSR1, told)
    try:
        with threading._active_limbo_lock:  # type: ignore[attr-defined]  as Thread.start holds it
            signal.raise_signal(signal.SIGUSR1)
            assert asked
    finally:
        signal.signal(signal.SIGUSR1, before)
    wait(lambda: not spoken.worker._renewals, "it is taken")
