"""The audit: every folder once, every row once, and with digests every byte once."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from scp.db.index import Index, Standing
from scp.outcome import Outcome
from scp.state import State
from scp.steward.publish import READY
from scp.store.files import TEMPORARY, digest_of
from scp.store.staging import LOCK, MARK, Staging
from scp.verify import volumes
from scp.verify.finding import Finding, Kind, Report

Progress = Callable[[int, int], None]
"""Told how many instances were looked at, of how many."""

_TREE = "DICOM"
_GONE = frozenset({State.EXPIRED, State.MERGED})
_RUNNING = frozenset({Kind.TEMPORARY, Kind.ORPHAN, Kind.UNLISTED, Kind.UNFINISHED})


@dataclass(frozen=True, slots=True)
class Audit:
    """Holds the index against the disks; it reads only, and raises Failure when the index does not answer.

    Without `digests` no file is opened and the database's pages are not looked through: what is there is taken for
    whole. Where a node is `running`, what may be on its way is not reported, and what is found is looked at twice.
    """

    export: Path
    quarantine: Path
    index: Index
    digests: bool = True
    running: bool = False

    def run(self, progress: Progress = lambda _done, _all: None) -> Report:
        """Look at everything."""
        report = Report()
        if self.digests and not self.index.is_sound():
            report.add(Kind.CORRUPT, "index.db")
        self._pass(report, progress)
        if self.running and report.findings:
            again = Report()
            self._pass(again, lambda _done, _all: None)
            still = set(again.findings)
            report.findings = [found for found in report.findings if found in still and found.kind not in _RUNNING]
        return report

    def _pass(self, report: Report, progress: Progress) -> None:
        total = int(self.index.listing("totals")[0]["instances"])
        known: set[PurePosixPath] = set()
        for place, standing in self._places():
            if any(each.state in {State.EXPIRING, State.MOVING} for each in standing):
                report.add(Kind.UNFINISHED, place)  # what of it has to be there is not said
            else:
                self._folder(report, place, standing)
            known.add(place)
            report.visits += 1
            progress(report.instances, total)
        report.findings += self._unknown(known)
        report.findings += volumes.look(self.export, self.index, digests=self.digests)
        self._sealed(report)

    def _places(self) -> Iterator[tuple[PurePosixPath, list[Standing]]]:
        """Every folder that should stand somewhere, with the deliveries in it: those of one day share one."""
        there = [each for each in self.index.deliveries() if each.state not in _GONE]
        standing = sorted(((_place(each), each) for each in there), key=lambda pair: pair[0])
        for place, pairs in groupby(standing, key=lambda pair: pair[0]):
            yield place, [each for _, each in pairs]

    def _folder(self, report: Report, place: PurePosixPath, standing: list[Standing]) -> None:
        """One folder against the rows that stand in it."""
        rows: dict[str, bytes] = {}
        for each in standing:
            rows |= self.index.files(each.delivery) if self.digests else self.index.names(each.delivery)
            if each.state is State.PUBLISHING:
                report.add(Kind.UNFINISHED, place)
        report.instances += len(rows)
        try:
            names = set(os.listdir(self.export / place))  # noqa: PTH208  a million names are no million paths
        except FileNotFoundError:
            names = set()
        except OSError:
            report.add(Kind.UNREADABLE, place)
            return
        for name in sorted(rows.keys() - names):
            report.add(Kind.MISSING, place / name)
        for name in sorted(names.difference(rows, (READY,))):
            report.add(self._extra(name, place, standing[0]), place / name)
        published = standing[0].state is State.PUBLISHED
        if published and rows and READY not in names:
            report.add(Kind.UNMARKED, place)
        elif not published and READY in names:
            report.add(Kind.MARKED, place)
        if self.digests:
            self._compare(report, place, {name: rows[name] for name in rows.keys() & names})

    def _extra(self, name: str, place: PurePosixPath, first: Standing) -> Kind:
        """What a file without a row in this folder is."""
        if name.startswith(TEMPORARY):
            return Kind.TEMPORARY
        if self.index.knows(first.delivery.scan_research_id, name):
            return Kind.DOUBLED
        return Kind.STRAY if place.parts[0] == _TREE else Kind.ORPHAN

    def _compare(self, report: Report, place: PurePosixPath, rows: dict[str, bytes]) -> None:
        """Every byte of what is there."""
        try:
            folder = os.open(self.export / place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            for name, digest in sorted(rows.items()):
                try:
                    report.bytes += os.stat(name, dir_fd=folder).st_size
                    if digest_of(folder, name) != digest:
                        report.add(Kind.ALTERED, place / name)
                except OSError:
                    report.add(Kind.UNREADABLE, place / name)
        finally:
            os.close(folder)

    def _unknown(self, known: set[PurePosixPath]) -> Iterator[Finding]:
        """What stands in the tree or in staging outside every folder that should be there."""
        above = {parent for place in known for parent in place.parents}
        closed = {place.parent / READY for place in known if len(place.parts) > 2}  # noqa: PLR2004  in a day's folder
        staging = Staging(self.export)
        tops = [PurePosixPath(_TREE), PurePosixPath(staging.root.name)]
        apart = {PurePosixPath(each.relative_to(self.export)) for each in (staging.work, staging.expired)}
        while tops:
            place = tops.pop()
            try:
                with os.scandir(self.export / place) as scanned:
                    entries = sorted(scanned, key=lambda entry: entry.name)
            except FileNotFoundError:  # published meanwhile, where a node runs
                continue
            except OSError:  # nobody can look into it; where anything of ours should be, that is worse than a stray
                yield Finding(Kind.UNREADABLE if place in above else Kind.STRAY, str(place))
                continue
            if not entries and place not in above and place.parent.parts:
                yield Finding(Kind.STRAY, str(place))
            for entry in entries:
                path = place / entry.name
                if path in known or path in apart or path in closed:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    tops.append(path)
                elif entry.name not in {LOCK, MARK}:
                    yield Finding(_loose(path), str(path))

    def _sealed(self, report: Report) -> None:
        """The quarantine's rows against its sealed files."""
        rows = {(str(row["outcome"]), str(row["id"])) for row in self.index.listing("quarantine")}
        found = set()
        for file in sorted(self.quarantine.glob("*/*")):
            entry = (file.parent.name, file.stem)
            if file.name.startswith(TEMPORARY):
                report.add(Kind.TEMPORARY, _shown(*entry))
            elif file.suffix != ".age" or file.parent.name not in {outcome.label for outcome in Outcome}:
                report.add(Kind.STRAY, PurePosixPath("quarantine", file.parent.name, file.name))
            else:
                found.add(entry)
        for entry in sorted(rows - found):
            report.add(Kind.UNSEALED, _shown(*entry))
        removable = {(str(row["outcome"]), str(row["id"])) for row in self.index.listing("unremoved_quarantine")}
        for entry in sorted(found - rows - removable):
            report.add(Kind.UNLISTED, _shown(*entry))
        report.sealed += len(rows)


def _place(standing: Standing) -> PurePosixPath:
    """Where a delivery's files should be, below the export root."""
    if standing.state.open or not standing.path:
        return PurePosixPath(".tmp", standing.delivery.folder)
    return PurePosixPath(standing.path)


def _loose(path: PurePosixPath) -> Kind:
    """What a file outside every known folder is."""
    if path.parts[0] == _TREE:
        return Kind.STRAY
    return Kind.TEMPORARY if path.name.startswith(TEMPORARY) else Kind.ORPHAN


def _shown(outcome: str, entry: str) -> PurePosixPath:
    return PurePosixPath("quarantine", outcome, f"{entry}.age")
