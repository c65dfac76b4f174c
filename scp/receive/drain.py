"""A worker's word to its associations that it is leaving: no one polls for it, it wakes whoever waits."""

import os
import time
from math import inf


class Drain:
    """A file descriptor that becomes readable once the worker leaves, and the time by which all must be gone.

    Times are of the monotonic clock; `begun` and `deadline` are infinite while the worker stays.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.begun = inf
        self.deadline = inf

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._read

    @property
    def is_on(self) -> bool:
        """Whether the worker is leaving."""
        return self.begun < inf

    def begin(self, seconds: float) -> None:
        """Let everybody know that the worker goes within `seconds`; a second call changes nothing."""
        if self.is_on:
            return
        now = time.monotonic()
        self.deadline = now + seconds
        self.begun = now
        os.close(self._write)

    def close(self) -> None:
        """Give the descriptors back, when nobody waits any more."""
        if not self.is_on:
            os.close(self._write)
        os.close(self._read)
