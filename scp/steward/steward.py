"""The steward's round: finish what was begun, then publish each visit to which nothing has come for a while."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from scp import log
from scp.db.index import Delivery, Index
from scp.metrics import Metrics
from scp.outcome import Failure
from scp.steward.publish import Publisher
from scp.stop import Stopping

_logger = log.get("steward")


@dataclass(frozen=True, slots=True)
class Steward:
    """Publishes quiet visits, one after the other, in a process of its own."""

    index: Index
    publisher: Publisher
    metrics: Metrics
    quiet_seconds: float
    now: Callable[[], float] = time.time

    def run(self, stop: Stopping, pause_seconds: float, alive: Callable[[], None] = lambda: None) -> None:
        """Go round until told to stop, calling `alive` each time; a visit that fails is tried again next time."""
        while not stop.wait(pause_seconds):
            alive()
            self.round()

    def round(self) -> int:
        """One round; returns how many deliveries were published. A failure of one holds no other up."""
        done = 0
        try:
            begun = self.index.in_state("publishing")
            quiet = self.index.quiet(self.now() - self.quiet_seconds)
        except Failure as failure:
            _logger.error("round_failed", outcome=failure.outcome.label, why=failure.why)
            return 0
        for entry in begun:
            done += self._one(entry.delivery, partial(self.publisher.resume, entry.delivery, entry.path or ""))
        for entry in quiet:
            done += self._one(entry.delivery, partial(self.publisher.publish, entry.delivery))
        return done

    def publish_now(self, scan_research_id: str) -> bool:
        """Publish a visit's receiving delivery without waiting, at an operator's word; False if there is nothing to."""
        for entry in self.index.quiet(self.now()):
            if entry.delivery.scan_research_id == scan_research_id:
                return self._one(entry.delivery, partial(self.publisher.publish, entry.delivery))
        return False

    def _one(self, delivery: Delivery, publish: Callable[[], object]) -> bool:
        try:
            path = publish()
        except Failure as failure:
            _logger.error(
                "publish_failed", visit=delivery.scan_research_id, outcome=failure.outcome.label, why=failure.why
            )
            return False
        if path is None:
            return False
        count = len(self.index.files(delivery))
        self.metrics.published_visits.inc()
        self.metrics.published_instances.inc(count)
        _logger.info("published", visit=delivery.scan_research_id, path=str(path), count=count)
        return True
