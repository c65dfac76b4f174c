"""Going through everything that is kept, and taking away what is due: one thing after the other."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from scp import log, walks
from scp.config import Config
from scp.db.expiry import Expiry
from scp.db.index import Index
from scp.metrics import Metrics
from scp.outcome import Failure
from scp.retention.due import Due, due
from scp.retention.sealed import Sealed
from scp.retention.visits import Visits
from scp.store.files import answerable

_ONE_BY_ONE = frozenset({"published", "staged"})
_AT_ONCE = 100
"""Sealed originals and papers that go together; visits go one by one."""

_logger = log.get("retention")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one thing that was due; `why` says what keeps it, and is empty where it is gone."""

    due: Due
    why: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """Takes away what has been kept long enough; one process at a time does, the steward's or an operator's."""

    config: Config
    index: Index
    expiry: Expiry
    visits: Visits
    metrics: Metrics
    now: Callable[[], float] = time.time

    def plan(self) -> list[Due]:
        """Everything that is due now; nothing is changed. Raises Failure when the index or a disk does not answer."""
        with answerable("the look at what is due"):
            return due(self.config, self.index, self.expiry, self.now())

    def run(self) -> Iterator[Done]:
        """Take away everything that is due, telling of each; what cannot go now is told and holds no other up.

        Raises Busy while another process does the same, and Failure when the index does not answer.
        """
        start = self.now()
        with walks.expiring(self.config.state):
            self.try_to_resume()
            of_kind: dict[str, list[Due]] = defaultdict(list)
            for each in self.plan():
                of_kind[each.kind].append(each)
            for kind, entries in of_kind.items():
                size = 1 if kind in _ONE_BY_ONE else _AT_ONCE
                for at in range(0, len(entries), size):
                    yield from self._take(kind, entries[at : at + size])
            self.expiry.ran(start)

    def finish(self) -> int:
        """`resume` for a process beside others; raises Busy while another one goes through everything."""
        with walks.expiring(self.config.state):
            return self.resume()

    def resume(self) -> int:
        """Finish what was begun before a crash; how many things that were. What is in use stays begun."""
        sealed = Sealed(self.expiry, self.config.quarantine)
        try:
            return self.visits.resume() + sealed.resume()
        except walks.Busy:
            return 0

    def try_to_resume(self) -> None:
        """`resume`, where what fails is logged and stays begun: it holds up neither others nor a start."""
        try:
            self.resume()
        except Failure as failure:
            _logger.error("retention_failed", outcome=failure.outcome.label, why=failure.why)

    def _take(self, kind: str, entries: Sequence[Due]) -> list[Done]:
        why = ""
        try:
            # A start that puts right what a crash left waits for this, as it does for an import's instance.
            with walks.instance(self.config.state):
                gone = self._away(kind, entries)
        except walks.Busy:
            gone, why = False, "it is in use"
        except Failure as failure:
            gone, why = False, failure.why
            _logger.error("retention_failed", name=kind, outcome=failure.outcome.label, why=failure.why)
        if gone:
            self.metrics.expired.labels(kind).inc(len(entries))
            visit = entries[0].name.partition("-")[0] if kind in _ONE_BY_ONE else None
            _logger.info("expired", name=kind, count=len(entries), visit=visit)
        return [Done(each, why if why or gone else "it has changed meanwhile") for each in entries]

    def _away(self, kind: str, entries: Sequence[Due]) -> bool:
        ways: dict[str, Callable[[], bool]] = {
            "published": lambda: self.visits.published(entries[0]),
            "staged": lambda: self.visits.staged(entries[0]),
            "quarantine": partial(self._sealed, entries),
            "report": partial(self._papers, entries),
            "manifest": partial(self._papers, entries),
        }
        return ways[kind]()

    def _sealed(self, entries: Sequence[Due]) -> bool:
        Sealed(self.expiry, self.config.quarantine).forget(entries)
        return True

    def _papers(self, entries: Sequence[Due]) -> bool:
        """Reports and manifests; nothing knows of them, so that one left by a crash is simply due again."""
        folders = {"report": self.config.reports, "manifest": self.config.manifests}
        with answerable("the removal of a report or manifest"):
            for each in entries:
                (folders[each.kind] / each.name).unlink(missing_ok=True)
        return True
