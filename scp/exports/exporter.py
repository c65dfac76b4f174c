"""The exporter's round: what was published is offered to each export, and what is due is made, one after the other."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from scp import log
from scp.db.exports import Due, Ledger
from scp.exports import EXPORTS, ExportError, Surroundings, Visit
from scp.metrics import Metrics
from scp.outcome import Failure
from scp.stop import Stopping
from scp.store import held

_logger = log.get("exports")

_OVERLAP_SECONDS = 60.0
"""How far the exporter looks back: a delivery's moment is taken before it is committed."""


@dataclass(slots=True)
class Exporter:
    """Makes the configured exports in a process of its own; one that fails holds up neither others nor publishing."""

    ledger: Ledger
    names: Sequence[str]
    where: Surroundings
    metrics: Metrics
    now: Callable[[], float] = time.time
    _since: float = field(default=0.0, init=False)

    def run(self, stop: Stopping, pause_seconds: float, alive: Callable[[], None] = lambda: None) -> None:
        """Go round until told to stop, calling `alive` each time; what a killed one had in hand is removed first."""
        shutil.rmtree(self.where.work, ignore_errors=True)
        while not stop.wait(pause_seconds):
            alive()
            self.round(stop, alive)

    def round(self, stop: Stopping | None = None, alive: Callable[[], None] = lambda: None) -> int:
        """One round; how many exports were made. At the first one everything ever published is looked at."""
        made = 0
        try:
            start = self.now()
            for name in self.names:
                self.ledger.offer(name, self._since)
            self._since = start - _OVERLAP_SECONDS
            for due in self.ledger.due():
                if stop is not None and stop.is_set():
                    break
                alive()
                made += self._make(due)
        except Failure as failure:
            _logger.error("round_failed", outcome=failure.outcome.label, why=failure.why)
        return made

    def _make(self, due: Due) -> bool:
        if due.name not in self.names:
            return False  # it was configured once; it waits until it is again
        try:
            visit = self._visit(due)
            with ExitStack() as reading:
                for folder in (visit.folder, *visit.others):  # retention waits; what it took before is missed below
                    reading.enter_context(held.shared(folder))
                said = EXPORTS[due.name](visit, self.where) or ""
        except (ExportError, Failure) as error:
            # Or it would stand there until the next start, however long the visit itself is kept.
            shutil.rmtree(self.where.in_hand(due.name, due.scan_research_id, due.number), ignore_errors=True)
            why = error.why if isinstance(error, Failure) else str(error)
            state = "waiting" if self.ledger.failed(due, why) else "failed"
            self.metrics.exports.labels(due.name, "failed").inc()
            _logger.error("export_failed", name=due.name, visit=due.scan_research_id, why=why, state=state)
            return False
        self.ledger.done(due, said)
        self.metrics.exports.labels(due.name, "done").inc()
        _logger.info("exported", name=due.name, visit=due.scan_research_id, why=said or None)
        return True

    def _visit(self, due: Due) -> Visit:
        """With the folders of its other days, for an export that makes one thing of all of them."""
        others = (path for path in self.ledger.places(due.scan_research_id) if path != due.path)
        folders = tuple(Path(self.where.root, path) for path in others)
        return Visit(due.scan_research_id, due.number, Path(self.where.root, due.path), folders)
