"""How fast connections that come to nothing may follow one another: a bucket of tokens for each address."""

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scp.config import Limits

BURST_SECONDS: Final = 2.0  # of the rate may come at once
_ADDRESSES: Final = 4096  # remembered; strangers' addresses fill no memory


class Pace:
    """Every connection borrows from its address until it is an association; the debt of the others wears off.

    So a sender that makes an association of each connection never meets the limit, however fast it is. Not for two
    threads at once.
    """

    def __init__(self, limits: "Limits") -> None:
        self._rate = limits.max_fruitless_per_second
        self._most = self._rate * BURST_SECONDS
        self._debts: dict[str, tuple[float, float]] = {}

    def come(self, address: str) -> bool:
        """Whether one more may come in from there, which is then counted as one that came to nothing so far."""
        now = time.monotonic()
        debt = self._debt(address, now)
        if debt + 1 > self._most:
            return False
        if len(self._debts) >= _ADDRESSES:
            self._forget(now)
        self._debts[address] = debt + 1, now
        return True

    def associate(self, address: str) -> None:
        """One that came from there has become an association."""
        now = time.monotonic()
        debt = self._debt(address, now) - 1
        if debt > 0:
            self._debts[address] = debt, now
        else:
            self._debts.pop(address, None)

    def _debt(self, address: str, now: float) -> float:
        debt, since = self._debts.get(address, (0.0, now))
        return max(debt - (now - since) * self._rate, 0.0)

    def _forget(self, now: float) -> None:
        """Those who owe nothing any more, and everybody where all of them do."""
        self._debts = {address: owed for address, owed in self._debts.items() if self._debt(address, now)}
        if len(self._debts) >= _ADDRESSES:
            self._debts.clear()
