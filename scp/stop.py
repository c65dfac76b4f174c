"""How a process hears that it is to stop, from a signal handler or from another thread."""

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

LONGEST_POLL: Final = 2**31 - 1  # milliseconds that poll(2) takes, a C int


def renewing(renew: Callable[[], None]) -> None:
    """Call `renew` on SIGHUP, in the main thread, from now on, and for one that has come since the fork as well.

    Until then the supervisor has a child hold it back, whose configuration is that of the fork: what has been read anew
    while it was still opening its databases must not pass it by.
    """
    signal.signal(signal.SIGHUP, lambda _number, _frame: renew())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


class Stopping(Protocol):
    """What a loop asks between two rounds; `threading.Event` is one too, where no signal handler sets it."""

    def is_set(self) -> bool:
        """Whether it is to stop."""

    def wait(self, timeout: float) -> bool:
        """Whether it is to stop, waiting so many seconds for it."""


class Stop:
    """Set once, and for ever, by whoever may: a signal handler too.

    `threading.Event` cannot be set by one: the handler runs in the thread that waits, which may hold the event's lock
    at that moment, and would wait for itself for ever.
    """

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def set(self) -> None:
        """Say that it is to stop."""
        with suppress(BlockingIOError):  # said 2^64 times already
            os.eventfd_write(self._fd, 1)

    def is_set(self) -> bool:
        """Whether it was said."""
        return self.wait(0)

    def wait(self, timeout: float) -> bool:
        """Whether it was said, waiting so many seconds for it, 24 days at most."""
        poll = select.poll()  # of its own, for no two threads may ask one at a time
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(min(timeout * 1000, LONGEST_POLL)))

    def close(self) -> None:
        """Give the descriptor back; a process that ends need not."""
        os.close(self._fd)
