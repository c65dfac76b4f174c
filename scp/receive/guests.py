"""How many are in: caps on sockets that have not associated yet, in all and from one address, and on associations.

Those that never associate are capped in how fast they follow one another as well (`Pace`).

A question whether somebody may come in is answered with the limit that forbids it, or with nothing.
"""

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from scp.receive.pace import Pace

if TYPE_CHECKING:
    from scp.config import Limits
    from scp.receive.register import Register


class Guests:
    """Counts of one worker, shared by its threads; associations are counted in the node's register as well."""

    def __init__(self, limits: "Limits", register: "Register", slot: int) -> None:
        self._limits = limits
        self._register = register
        self._slot = slot
        self._changed = threading.Condition()
        self._waiting: Counter[str] = Counter()
        self._pace = Pace(limits)
        self._associated = 0

    @property
    def associated(self) -> int:
        """How many associations are open."""
        with self._changed:
            return self._associated

    def are_more(self) -> bool:
        """Whether more connections are open here than another worker of the node has associations."""
        with self._changed:
            mine = self._associated + self._waiting.total()
        return self._register.has_fewer(self._slot, mine)

    def come(self, address: str) -> str:
        """Count a new socket, unless too many wait already, of all or of this address, or came to nothing of late."""
        with self._changed:
            if self._waiting.total() >= self._limits.max_unassociated:
                return "max_unassociated"
            if self._waiting[address] >= self._limits.max_unassociated_per_address:
                return "max_unassociated_per_address"
            if not self._pace.come(address):
                return "max_fruitless_per_second"
            self._waiting[address] += 1
            return ""

    def associate(self, address: str, title: str) -> str:
        """Move a socket from those that wait to the associations, unless there are too many, in all or of the title."""
        limits = self._limits
        with self._changed:
            full = self._register.join(self._slot, title, limits.max_associations, limits.max_associations_per_title)
            if not full:
                self._forget(address)
                self._pace.associate(address)
                self._associated += 1
            return full

    def go(self, address: str, title: str | None) -> None:
        """Count a socket as closed; `title` is that of its association, None where there was none."""
        with self._changed:
            if title is None:
                self._forget(address)
            else:
                self._register.leave(self._slot, title)
                self._associated -= 1
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
