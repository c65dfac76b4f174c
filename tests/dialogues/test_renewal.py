"""A worker takes another door while it serves, and may be told so at any moment."""

import signal
import threading
from collections.abc import Callable
from dataclasses import replace

from peer import Node
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from running import wait

from scp.outcome import Rejection
from scp.receive.door import FrontDoor


def closed(door: FrontDoor) -> FrontDoor:
    """The same door, through which nobody comes."""
    return replace(door, admit=lambda _peer: Rejection.CALLING_AE_TITLE)


def comes_in(node: Node) -> bool:
    entity = AE("MODALITY")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", node.address[1], ae_title="CLOAKROOM")
    established = bool(association.is_established)
    if established:
        association.release()
    if association.ident is not None:
        association.join(10)
    node.settle()
    return established


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
