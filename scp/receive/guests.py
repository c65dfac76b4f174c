"""How many are in: caps on sockets that have not associated yet, in all and from one address, and on associations."""

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scp.config import Limits


class Guests:
    """Counts of one worker, shared by its threads."""

    def __init__(self, limits: "Limits") -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._waiting: Counter[str] = Counter()
        self._associated = 0

    @property
    def associated(self) -> int:
        """How many associations are open."""
        with self._changed:
            return self._associated

    def come(self, address: str) -> bool:
        """Count a new socket; False when too many wait already, of all or of this address."""
        with self._changed:
            if self._waiting.total() >= self._limits.max_unassociated:
                return False
            if self._waiting[address] >= self._limits.max_unassociated_per_address:
                return False
            self._waiting[address] += 1
            return True

    def associate(self, address: str) -> bool:
        """Move a socket from those that wait to the associations; False when there are as many as there may be."""
        with self._changed:
            if self._associated >= self._limits.max_associations:
                return False
            self._forget(address)
            self._associated += 1
            return True

    def go(self, address: str, *, associated: bool) -> None:
        """Count a socket as closed."""
        with self._changed:
            if associated:
                self._associated -= 1
            else:
                self._forget(address)
            self._changed.notify_all()

    def gone(self, deadline: float, most: float) -> bool:
        """Wait until nobody is in, at most `most` seconds and not past the monotonic `deadline`; whether it is so."""
        with self._changed:
            left = min(deadline - time.monotonic(), most)
            return self._changed.wait_for(lambda: not self._associated and not self._waiting, max(left, 0))

    def _forget(self, address: str) -> None:
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]
