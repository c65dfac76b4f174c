"""How many bytes of data sets a worker holds in memory: who finds no room stops reading, and is refused at last."""

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scp.config import Limits

STEP: Final = 256 * 1024  # taken at once, so that small fragments do not ask one by one


class Budget:
    """The worker's bytes in flight, shared by its associations' threads."""

    def __init__(self, limits: "Limits") -> None:
        self._most = limits.max_bytes_in_flight
        self.step = min(STEP, self._most)
        self.seconds = limits.in_flight_seconds
        self._taken = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """How many bytes are spoken for."""
        with self._changed:
            return self._taken

    def take(self, count: int, seconds: float) -> bool:
        """Wait for room for so many bytes, which the sender feels as a full window; False when none came in time."""
        with self._changed:
            there = self._changed.wait_for(lambda: self._taken + count <= self._most, seconds)
            if there:
                self._taken += count
            return there

    def give(self, count: int) -> None:
        """Give room back."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()

    def share(self) -> "Share":
        """One association's part, empty."""
        return Share(self)


class Share:
    """What one association holds for the data set it is receiving; it belongs to one thread."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0
        self._patience = budget.seconds
        self.refused = False

    def holds(self, size: int) -> bool:
        """Whether there is room for a data set of so many bytes so far; once there was none, not until `release`."""
        if size > self._held and not self.refused:
            self._grow(max(self._budget.step, size - self._held))
        return not self.refused

    def release(self) -> None:
        """The data set is answered: its room is free, and the next one may ask anew."""
        self._give_back()
        self._patience = self._budget.seconds
        self.refused = False

    def _grow(self, step: int) -> None:
        start = time.monotonic()
        if self._budget.take(step, self._patience):
            self._held += step
            self._patience -= time.monotonic() - start  # all the waiting for one data set together is bounded
        else:
            self._give_back()
            self.refused = True

    def _give_back(self) -> None:
        if self._held:
            self._budget.give(self._held)
            self._held = 0
