"""EHR/<yyyy>/<yyyymmdd>/mri_visits.csv: the visits of a day, for the Data Factory's mapping of clinical tables."""

import csv
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scp.exports.removal import Aside
from scp.exports.visit import Surroundings, Visit
from scp.steward.headers import Header
from scp.steward.publish import OWN
from scp.steward.report import write
from scp.store import held
from scp.store.files import answerable, make_folder, sync_folder

NAME = "mri_visits.csv"
_LEFT = f".{NAME}.*"
COLUMNS = ("PATIENT_ID", "VISIT_ID", "VISIT_DATE", "PATIENT_AGE")
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_AGE = re.compile(r"(\d{3})([DWMY])")
_IN_A_YEAR = {"D": 365, "W": 52, "M": 12, "Y": 1}


def catalog(visit: Visit, where: Surroundings) -> None:
    """Add the visit's line to today's table, or put it in the place of its earlier one; lines are in order of visits.

    VISIT_DATE is dd/mm/yyyy of AcquisitionDate, else SeriesDate; PATIENT_AGE is in whole years. What the headers do
    not say is empty.
    """
    header = visit.headers()[0]
    today = where.today()
    path = where.root / "EHR" / f"{today:%Y}" / f"{today:%Y%m%d}" / NAME
    with answerable("the table of visits"):
        make_folder(path.parent)
        with _alone(path.parent):
            lines = _lines(path) if path.exists() else {}
            lines[visit.scan_research_id] = _line(visit, header)
            _write(path, lines, where.group)
        if where.group != OWN:
            for made in (path.parent, path.parents[1], path.parents[2]):
                os.chown(made, OWN, where.group)


def forget(scan_research_id: str, where: Surroundings, _aside: Aside) -> None:
    """Take a visit's line out of every day's table; a table without lines goes, and so does a past day without one."""
    with answerable("the table of visits"):
        for left in where.root.glob(f"EHR/*/*/{_LEFT}"):
            with _alone(left.parent):  # which removes it
                pass
        for path in sorted(where.root.glob(f"EHR/*/*/{NAME}")):
            if scan_research_id.encode() in path.read_bytes():
                with _alone(path.parent):
                    _forget(scan_research_id, path, where)


def _forget(scan_research_id: str, path: Path, where: Surroundings) -> None:
    lines = _lines(path)
    if lines.pop(scan_research_id, None) is None:
        return
    if lines:
        _write(path, lines, where.group)
        return
    path.unlink()
    sync_folder(path.parent)
    if path.parent.name != f"{where.today():%Y%m%d}":  # today's may be written to at any moment
        with suppress(OSError):  # not empty: others write tables of their own
            path.parent.rmdir()


@contextmanager
def _alone(day: Path) -> Iterator[None]:
    """Nobody else changes the day's table: the exporter adds to it while retention takes away.

    What a killed one of them had half written, or whole and not in its place, is removed.
    """
    with held.waiting(day):
        for left in day.glob(_LEFT):
            left.unlink()
        yield


def _write(path: Path, lines: dict[str, list[str]], group: int) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(lines[number] for number in sorted(lines))
    write(path, text.getvalue().encode("utf-8"))
    if group != OWN:
        os.chown(path, OWN, group)


def _line(visit: Visit, header: Header) -> list[str]:
    date = header.text("AcquisitionDate") or header.text("SeriesDate")
    day = _DATE.fullmatch(date)
    written = f"{day[3]}/{day[2]}/{day[1]}" if day else ""
    return [header.text("PatientID"), visit.scan_research_id, written, _years(header.text("PatientAge"))]


def _years(age: str) -> str:
    found = _AGE.fullmatch(age)
    return str(int(found[1]) // _IN_A_YEAR[found[2]]) if found else ""


def _lines(path: Path) -> dict[str, list[str]]:
    """The lines of visits; whoever opened the table elsewhere may have saved it in another encoding."""
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8", "replace"))))
    return {row[1]: row for row in rows[1:] if len(row) == len(COLUMNS)}
