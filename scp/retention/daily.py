"""The steward's part: once a day everything that is due goes, a little in each of its rounds."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from scp import log, walks
from scp.outcome import Failure
from scp.retention.due import DAY
from scp.retention.retention import Done, Retention

SHARE_SECONDS = 1.0
"""How long publishing waits for it in one round, besides what the last thing takes."""

MOST_DAYS = 31.0
"""A clock that has gone further since the last time may be wrong: an operator has to say that it is not."""

_AGAIN_SECONDS = 3600.0

_logger = log.get("retention")


@dataclass(slots=True)
class Daily:
    """Asked in each round of the steward; what was begun and not finished is taken up in the first one."""

    retention: Retention
    clock: Callable[[], float] = time.monotonic
    _going: Iterator[Done] | None = field(default=None, init=False)
    _last: float | None = field(default=None, init=False)
    _not_before: float = field(default=float("-inf"), init=False)

    def turn(self, alive: Callable[[], None] = lambda: None) -> None:
        """Go on with today's, begin it, or do nothing; a failure is logged and tried again in an hour."""
        if self.clock() < self._not_before:
            return
        try:
            if self._going is None:
                self._begin()
            if self._going is not None:
                self._go_on(self._going, alive)
        except walks.Busy:  # an operator is at it
            self._going = None
        except Failure as failure:
            self._wait(failure.why)

    def _begin(self) -> None:
        if self.retention.expiry.unfinished():
            self.retention.finish()
        if self._is_due():
            self._going = self.retention.run()

    def _go_on(self, going: Iterator[Done], alive: Callable[[], None]) -> None:
        until = self.clock() + SHARE_SECONDS
        for _done in going:
            alive()
            if self.clock() > until:
                return
        self._going = self._last = None

    def _is_due(self) -> bool:
        now = self.retention.now()
        if self._last is None or abs(now - self._last) >= DAY:
            self._last = self.retention.expiry.last()  # an operator may have run it since
        if self._last is None or DAY <= abs(now - self._last) <= MOST_DAYS * DAY:
            return True
        if abs(now - self._last) > MOST_DAYS * DAY:
            self._wait("the clock has gone too far since the last time; `cloakroom retention run` says it is right")
        return False

    def _wait(self, why: str) -> None:
        self._going, self._not_before = None, self.clock() + _AGAIN_SECONDS
        _logger.error("retention_waits", why=why)
