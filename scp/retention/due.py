"""What is due: everything that has been kept for as many days as its kind is to be kept, the oldest of a kind first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scp.config import Config
from scp.db.expiry import Expiry, Old
from scp.db.index import Delivery, Index
from scp.state import State

DAY = 86_400.0
_PAPER = re.compile(r"\.?[1-9][0-9]+-[1-9][0-9]*\.(?:json|sha256)(?:\.[0-9]+)?")
"""Whole, or as one that was killed while it wrote it left it."""


@dataclass(frozen=True, slots=True)
class Due:
    """One thing whose time is over; `kind` is one of `scp.metrics.EXPIRED`.

    `name` is a visit's number, a delivery's or a sealed original's id, or a file's name; `outcome` is the folder of a
    sealed original. It must have been as it is since `before` (s since the epoch) when it is taken away.
    """

    kind: str
    name: str
    since: float
    before: float
    instances: int = 0
    bytes: int = 0
    outcome: str = ""


def due(config: Config, index: Index, expiry: Expiry, now: float) -> list[Due]:
    """Everything that is due now. Raises Failure when the index does not answer, and OSError."""
    kept = config.retention
    found: list[Due] = []
    if (before := _before(kept.published_days, now)) is not None:
        found += [_of("published", old, before) for old in expiry.published(before)]
    if (before := _before(kept.staged_days, now)) is not None:
        found += [_of("staged", old, before) for _delivery, old in expiry.staged(before)]
    if (before := _before(kept.quarantine_days, now)) is not None:
        found += [_of("quarantine", old, before, outcome) for outcome, old in expiry.quarantine(before)]
    if (before := _before(kept.reports_days, now)) is not None:
        found += _papers("report", config.reports, index, before)
    if (before := _before(kept.manifests_days, now)) is not None:
        found += _papers("manifest", config.manifests, index, before)
    return found


def delivery_of(name: str) -> Delivery:
    """The delivery that a staging folder, a report or a manifest is named after."""
    visit, _, number = name.removeprefix(".").partition(".")[0].rpartition("-")
    return Delivery(visit, int(number))


def _before(days: int, now: float) -> float | None:
    """What is not younger than this is due; None where it is kept for ever."""
    return now - days * DAY if days else None


def _of(kind: str, old: Old, before: float, outcome: str = "") -> Due:
    return Due(kind, old.name, old.since, before, old.instances, old.bytes, outcome)


def _papers(kind: str, folder: Path, index: Index, before: float) -> list[Due]:
    """Files about deliveries that were written long ago; while a delivery is open a person may still need its own."""
    old = sorted((written, name, size) for written, name, size in _files(folder) if written <= before)
    return [
        Due(kind, name, written, before, bytes=size)
        for written, name, size in old
        if (state := index.state(delivery_of(name))) is None or not State[state.upper()].open
    ]


def _files(folder: Path) -> Iterator[tuple[float, str, int]]:
    """When each was written, its name, its size; files of other names are nobody's to remove."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if _PAPER.fullmatch(path.name):
            status = path.stat()
            yield status.st_mtime, path.name, status.st_size
