"""What a stranger makes dear waits in proportion: a long request is read alone, and its sender waits for that."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scp.receive.wire import Overdue

LONG_REQUEST_BYTES: Final = 48 * 1024  # 128 contexts of five transfer syntaxes each are half of it
REST: Final = 9  # times as long as it took: all long requests together take a tenth of one CPU
LONGEST_REST: Final = 1.0  # seconds


class Patience:
    """One for each worker; its associations' threads share it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    @contextmanager
    def reading(self, size: int, until: float) -> Iterator[None]:
        """Read a request of so many bytes within; a long one when it is its turn, and the turn ends after a rest.

        Raises Overdue when the turn does not come before `until`, of the monotonic clock.
        """
        if size <= LONG_REQUEST_BYTES:
            yield
            return
        if not self._turn.acquire(timeout=max(until - time.monotonic(), 0)):
            raise Overdue("artim_seconds")
        begun = time.thread_time()
        try:
            yield
        finally:  # whoever sends one that is no request waits as well
            try:
                time.sleep(min((time.thread_time() - begun) * REST, LONGEST_REST))
            finally:
                self._turn.release()
