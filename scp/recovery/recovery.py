"""Finishes what was begun, adopts or seals what was never indexed, and tells what is not there any more."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scp import faults, log
from scp.bounds import Bounds
from scp.db.index import Delivery, Index, Standing
from scp.instance import Arrival, Part, Peer
from scp.outcome import Failure, Outcome
from scp.recovery.orphan import NotOursError, Orphan
from scp.state import State
from scp.steward.publish import UNCLAIMED, Publisher
from scp.store.files import TEMPORARY, answerable, sync_folder
from scp.store.quarantine import Quarantine
from scp.verify import Audit, Report

_NOBODY = Peer("", "", "")
_PIECE = 1 << 20
_SHOWN = 20

_logger = log.get("recovery")


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a start found and did: publications finished, files adopted, sealed and listed; what is lost is named."""

    resumed: int = 0
    adopted: int = 0
    sealed: int = 0
    listed: int = 0
    report: Report = field(default_factory=Report)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Runs when no other process of the node does: temporaries are gone, and whoever would add a file is not there yet.

    `recipe` is the one that everything unindexed was made with, None where that is not known: nothing is adopted then.
    """

    export: Path
    index: Index
    quarantine: Quarantine
    publisher: Publisher
    recipe: str | None
    bounds: Bounds

    def run(self) -> Recovered:
        """Put everything right that can be; raises Failure when disk or index will not.

        Every step may be stopped at any moment and is taken up again by the next run. Nothing that is whole is
        deleted: a file is adopted into the index, or sealed into the quarantine and only then taken away.
        """
        faults.point("recovery.begun")
        begun = [standing for standing in self.index.deliveries() if standing.state is State.PUBLISHING]
        resumed = sum(self._resume(standing) for standing in begun)
        faults.point("recovery.resumed")
        adopted = sealed = 0
        for orphan, receiving in self._orphans():
            faults.point("recovery.claiming")
            if receiving and self._adopt(orphan):
                adopted += 1
            else:
                self._seal(orphan)
                sealed += 1
        self._tidy()
        listed = self._list_sealed()
        report = Audit(self.export, self.quarantine.root, self.index, digests=False).run()
        faults.point("recovery.done")
        done = Recovered(resumed, adopted, sealed, listed, report)
        self._tell(done)
        return done

    def _resume(self, standing: Standing) -> bool:
        return self.publisher.resume(standing.delivery, standing.path or "") is not None

    def _orphans(self) -> Iterator[tuple[Orphan, bool]]:
        """Files in staging without a row, each with whether its delivery still takes files."""
        states = {each.delivery.folder: each for each in self.index.deliveries()}
        root = self.publisher.staging.root
        with answerable("the staging folder"):
            apart = (self.publisher.staging.work, self.publisher.staging.expired)
            folders = sorted(path for path in root.iterdir() if path.is_dir() and path not in apart)
        for folder in folders:
            standing = states.get(folder.name)
            delivery = standing.delivery if standing else Delivery("", 0)
            rows = self.index.files(delivery) if standing else {}
            with answerable("the staging folder"):
                names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
            for name in names:
                if name not in rows and not name.startswith(TEMPORARY):
                    yield Orphan(folder / name, delivery), bool(standing and standing.state.open)

    def _adopt(self, orphan: Orphan) -> bool:
        """Give an orphan the row it was about to have; False when what it is cannot be told truthfully."""
        if self.recipe is None:
            return False
        try:
            with answerable("an orphan"):
                row = orphan.row(self.recipe, self.bounds)
                _sync(orphan.path)
            recorded = self.index.adopt(row)
        except NotOursError:
            return False
        except Failure as failure:
            if failure.outcome is Outcome.CONFLICTING:
                return False
            raise
        return recorded.outcome is Outcome.STORED

    def _seal(self, orphan: Orphan) -> None:
        """Seal an orphan into the quarantine, and take it away when that is durable and indexed."""
        failure = Failure(Outcome.UNCLAIMED, "found at start without a row, and not to be adopted")
        with answerable("an orphan"):
            digest, size = orphan.digest(), orphan.path.stat().st_size
        if not self.index.quarantined(failure.outcome, digest):
            with answerable("an orphan"):
                entry = self.quarantine.seal(Arrival(_NOBODY, "", "", "", "", b""), failure, _pieces(orphan.path))
            self.index.record_quarantine(entry, failure, digest, size)
        faults.point("recovery.sealed")
        with answerable("an orphan"):
            orphan.path.unlink()
            sync_folder(orphan.path.parent)

    def _tidy(self) -> None:
        """Empty folders of deliveries that were published meanwhile, and the one of what nobody claimed."""
        receiving = {each.delivery.folder for each in self.index.deliveries() if each.state.open}
        for folder in [path for path in self.publisher.staging.root.iterdir() if path.is_dir()]:
            if folder.name == UNCLAIMED or folder.name not in receiving:
                with suppress(OSError):
                    folder.rmdir()

    def _list_sealed(self) -> int:
        """Sealed originals without a row get one; what is in them only the officer can say."""
        rows = {str(row["id"]) for row in self.index.listing("quarantine")}
        count = 0
        for file in sorted(self.quarantine.root.glob("*/*.age")):
            known = Outcome.__members__.get(file.parent.name.upper())
            if file.stem in rows or known is None:
                continue
            failure = Failure(known, "sealed before a crash; the sender heard nothing")
            entry = Orphan(file, Delivery("", 0))
            with answerable("a sealed original"):
                digest, size = entry.digest(), file.stat().st_size
            count += self.index.record_quarantine(file.stem, failure, digest, size)
        return count

    def _tell(self, done: Recovered) -> None:
        """A line for what was put right, and one for each loss: it has to be looked at."""
        counts = {"resumed": done.resumed, "adopted": done.adopted, "sealed": done.sealed, "listed": done.listed}
        for what, count in counts.items():
            if count:
                _logger.warning("recovered", result=what, count=count)
        if done.report.lost:
            _logger.error("lost", count=done.report.lost)
        for finding in done.report.findings[:_SHOWN]:
            level = _logger.error if finding.kind.lost else _logger.warning
            level("recovery_finding", reason=finding.kind.label, path=finding.where)


def _sync(path: Path) -> None:
    """Make an orphan durable before its row is: the crash may have come before its folder was."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _pieces(path: Path) -> Iterator[Part]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
