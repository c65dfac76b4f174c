"""What a failpoint does once a test has armed it: kill this process, fail with an errno, or wait."""

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager

from scp import faults

_ACTIONS: dict[str, Callable[[], None]] = {}
_SEEN: Counter[str] = Counter()
_TURN = threading.Lock()
_HEARS: list[int] = []


def die() -> None:
    """As kill -9 from outside."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way


def fail(number: int) -> Callable[[], None]:
    """OSError, as a disk or a limit would raise it."""

    def action() -> None:
        raise OSError(number, os.strerror(number))

    return action


def pause(seconds: float) -> Callable[[], None]:
    """A moment that lasts."""
    return lambda: time.sleep(seconds)


def arm(name: str, action: Callable[[], None] = die, hit: int = 1) -> None:
    """At the `hit`th time from now that this process, or one forked from it, comes to the point."""
    if name not in faults.POINTS:
        raise ValueError(f"there is no point {name}")
    if not _HEARS:
        sys.addaudithook(_hear)  # for as long as the process lives; it does nothing while nothing is armed
        _HEARS.append(os.getpid())
    left = [hit]

    def countdown() -> None:
        with _TURN:
            left[0] -= 1
            due = left[0] == 0
        if due:
            action()

    _ACTIONS[name] = countdown


def disarm() -> None:
    """Nothing happens any more."""
    _ACTIONS.clear()
    _SEEN.clear()


@contextmanager
def armed(name: str, action: Callable[[], None] = die, hit: int = 1):
    """The same for a while."""
    arm(name, action, hit)
    try:
        yield
    finally:
        disarm()


def seen() -> Counter[str]:
    """How often each point was come to while any was armed."""
    return _SEEN.copy()


def _hear(event: str, args: tuple) -> None:
    if event == faults.EVENT and _ACTIONS:
        (name,) = args
        _SEEN[name] += 1
        if action := _ACTIONS.get(name):
            action()
