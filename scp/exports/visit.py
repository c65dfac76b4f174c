"""What an export is given: a published visit's folder, and where it may write."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from scp.config.bids import DEFAULT
from scp.steward.headers import Header, of_visit


class ExportError(Exception):
    """An export could not be made of a visit; its text is one sentence without any value of the visit."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A published visit: the folder holds all its files of that day, the others those of other days."""

    scan_research_id: str
    number: int
    folder: Path
    others: tuple[Path, ...] = ()

    def headers(self) -> tuple[Header, ...]:
        """Of all files in the folder, in the order of their names; raises ExportError where there is none."""
        files = sorted(path.name for path in self.folder.glob("*.dcm"))
        if not files:
            raise ExportError("the published folder is gone, or empty")
        return of_visit(self.folder, files)

    def every(self) -> dict[Path, Header]:
        """Of all files of all days, by file; raises ExportError, with its day, where one of the folders is gone."""
        days = [Visit(self.scan_research_id, self.number, folder) for folder in (self.folder, *self.others)]
        for day in days:
            if day.folder in self.others and not any(day.folder.glob("*.dcm")):
                # Only layouts by days have several folders of a visit.
                name = day.folder.parent.name
                raise ExportError(f"the folder of {name} is gone or empty, so what came later cannot join the session")
        return {day.folder / header.file: header for day in days for header in day.headers()}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The export root, a folder on the same disk to work in, the group of what is written, and the settings."""

    root: Path
    work: Path
    group: int
    today: Callable[[], date] = date.today
    gzip: bool = False
    bids: Mapping[str, str] = field(default_factory=lambda: DEFAULT)

    def in_hand(self, name: str, scan_research_id: str, number: int | str) -> Path:
        """Where an export of a delivery is made before it is shown."""
        return self.work / f"{name}-{scan_research_id}-{number}"
