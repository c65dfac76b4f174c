"""Handing a visit over: one atomic rename into the export tree, then `.ready`; every step can be taken up again."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from scp import faults, log
from scp.db.index import Delivery, Index
from scp.layouts import Layout
from scp.state import State
from scp.steward.manifest import Manifests
from scp.store.files import FILE_MODE, answerable, make_folder, sync_folder
from scp.store.staging import Staging

READY = ".ready"
OWN = -1
UNCLAIMED = "unclaimed"

_logger = log.get("steward")


@dataclass(frozen=True, slots=True)
class Publisher:
    """Moves deliveries from staging into the export tree; one at a time, whichever process it is in."""

    export: Path
    staging: Staging
    index: Index
    layout: Layout
    manifests: Manifests | None = None
    group: int = OWN
    today: Callable[[], date] = date.today

    def publish(self, delivery: Delivery) -> PurePosixPath | None:
        """Publish an approved delivery; its path below the export root.

        None while a worker is adding to it, when an instance came since it was approved, and when its day is closed:
        the next day it may go. Raises Failure when the disk or the index will not; what was begun is finished by
        `resume`.
        """
        with self.staging.alone(), self.staging.publishing(delivery.folder) as folder:
            if folder is None or self.index.state(delivery) != State.APPROVED.label:
                return None
            path = self.layout(delivery.scan_research_id, self.today())
            if is_closed(self.export / path.parent) or not self.index.begin_publishing(delivery, str(path)):
                return None
            self._move(delivery, path)
        return path

    def resume(self, delivery: Delivery, path: str) -> PurePosixPath | None:
        """Finish a publication that a crash interrupted, wherever it stood; None when another process did."""
        with self.staging.alone():
            if self.index.state(delivery) != State.PUBLISHING.label:
                return None
            target = PurePosixPath(path)
            if not self._is_seen(delivery, target):  # so it need not go to a past day, nor to one that was closed
                target = self.layout(delivery.scan_research_id, self.today())
                if is_closed(self.export / target.parent):
                    return None
                self.index.begin_publishing(delivery, str(target))
            self._move(delivery, target)
        return target

    def _is_seen(self, delivery: Delivery, path: PurePosixPath) -> bool:
        """Whether any of it stands in the tree; a folder that was there before has its marker until something joins."""
        target, source = self.export / path, self.staging.root / delivery.folder
        if not (target / READY).exists():
            return target.exists()
        return not any((source / name).exists() for name in self.index.names(delivery))

    def _settle(self, folder: Path, delivery: Delivery) -> None:
        """Nothing unindexed goes out, and nothing is deleted: files never acknowledged are set aside.

        Only now that the delivery is closed: a row whose worker gave up waiting may come until then.
        """
        present = sorted(file.name for file in folder.iterdir())
        if self.group != OWN:
            for name in ("", *present):
                os.chown(folder / name, OWN, self.group)
        strays = sorted(set(present) - set(self.index.files(delivery)))
        for name in strays:
            aside = self.staging.root / UNCLAIMED
            make_folder(aside)
            (folder / name).rename(aside / name)
            sync_folder(aside)
            _logger.warning("unclaimed_file", visit=delivery.scan_research_id)
        if strays:
            sync_folder(folder)

    def _move(self, delivery: Delivery, path: PurePosixPath) -> None:
        source, target = self.staging.root / delivery.folder, self.export / path
        faults.point("publish.begun")
        with answerable("a visit's publication"):
            _unshell(source, target.name)
            if source.exists():
                self._settle(source, delivery)
                faults.point("publish.settled")
            if source.exists() and not target.exists():
                _rename(source, target, self.group)
            elif source.exists():
                _merge(source, target)
            faults.point("publish.shown")
            if self.manifests is not None:
                self.manifests.write(delivery, path, self.index.files(delivery))
                faults.point("publish.listed")
            _write_ready(target, self.group)
            faults.point("publish.marked")
        self.index.finish_publishing(delivery)


def is_closed(day: Path) -> bool:
    """Whether an operator closed this day's folder: the Data Factory takes it as it is, and nothing joins it."""
    return (day / READY).exists()


class HalfADayError(ValueError):
    """A day cannot be closed while a visit stands in it by half; its text is one sentence."""


def close_day(
    export: Path,
    staging: Staging,
    day: PurePosixPath,
    group: int = OWN,
    begun: Callable[[], Iterable[str | None]] = tuple,
) -> bool:
    """Write a day's marker while nothing is being published; False where there is no such day, which stays so.

    `begun` says where everything goes whose publication was begun and has not ended. Raises HalfADayError where that
    is in the day and not whole, for a crash or a full disk, and Failure when the disk will not.
    """
    with staging.alone(), answerable("a day's marker"):
        if not (export / day).is_dir():
            return False
        for path in (PurePosixPath(each) for each in begun() if each):
            if path.parent == day and (export / path).exists() and not (export / path / READY).exists():
                raise HalfADayError(f"visit {path.name} stands in it by half; the node finishes that, then try again")
        _write_ready(export / day, group)
    return True


def _unshell(source: Path, name: str) -> None:
    """Take the visit out of the day folder it was being wrapped in when a crash came."""
    shell = source.with_name(f"{source.name}.out")
    for wrapped in shell.rglob(name):
        wrapped.rename(source)
        sync_folder(source.parent)
    for folder in sorted(shell.rglob("*"), reverse=True):
        folder.rmdir()
    if shell.exists():
        shell.rmdir()


def _rename(source: Path, target: Path, group: int) -> None:
    """One rename makes the visit appear; where its day is new, both appear together: there is never an empty day."""
    top = target
    while not top.parent.exists():
        top = top.parent
    if top == target:
        source.rename(target)
        _sync(source.parent, target.parent)
        return
    shell = source.with_name(f"{source.name}.out")
    wrapped = shell / target.relative_to(top.parent)
    make_folder(wrapped.parent)
    if group != OWN:
        for folder in (shell, *shell.rglob("*")):
            os.chown(folder, OWN, group)
    source.rename(wrapped)
    faults.point("publish.wrapped")
    _sync(*[folder for folder in shell.rglob("*") if folder.is_dir()], shell)
    (shell / top.name).rename(top)
    shell.rmdir()
    _sync(shell.parent, top.parent)


def _merge(source: Path, target: Path) -> None:
    """The visit was published today already: its marker goes, the late files join it, the marker comes back."""
    with suppress(FileNotFoundError):
        (target / READY).unlink()
        sync_folder(target)
        faults.point("publish.unmarked")
    for file in sorted(source.iterdir()):
        with suppress(FileExistsError):  # linked before a crash, not yet unlinked
            os.link(file, target / file.name)
            faults.point("publish.joining")
        sync_folder(target)
        file.unlink()
    source.rmdir()
    sync_folder(source.parent)


def _sync(*folders: Path) -> None:
    for folder in folders:
        sync_folder(folder)


def _write_ready(folder: Path, group: int) -> None:
    descriptor = os.open(folder / READY, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
        if group != OWN:
            os.fchown(descriptor, OWN, group)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(folder)
