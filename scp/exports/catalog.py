"""EHR/<yyyy>/<yyyymmdd>/mri_visits.csv: the visits of a day, for the Data Factory's mapping of clinical tables."""

import csv
import io
import os
import re

from scp.exports.visit import Surroundings, Visit
from scp.steward.headers import Header
from scp.steward.publish import OWN
from scp.steward.report import write
from scp.store.files import answerable

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
    path = where.root / "EHR" / f"{today:%Y}" / f"{today:%Y%m%d}" / "mri_visits.csv"
    with answerable("the table of visits"):
        lines = _lines(path.read_text("utf-8")) if path.exists() else {}
        lines[visit.scan_research_id] = _line(visit, header)
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(lines[number] for number in sorted(lines))
        write(path, text.getvalue().encode("utf-8"))
        if where.group != OWN:
            for made in (path, path.parent, path.parents[1], path.parents[2]):
                os.chown(made, OWN, where.group)


def _line(visit: Visit, header: Header) -> list[str]:
    date = header.text("AcquisitionDate") or header.text("SeriesDate")
    day = _DATE.fullmatch(date)
    written = f"{day[3]}/{day[2]}/{day[1]}" if day else ""
    return [header.text("PatientID"), visit.scan_research_id, written, _years(header.text("PatientAge"))]


def _years(age: str) -> str:
    found = _AGE.fullmatch(age)
    return str(int(found[1]) // _IN_A_YEAR[found[2]]) if found else ""


def _lines(text: str) -> dict[str, list[str]]:
    rows = list(csv.reader(io.StringIO(text)))
    return {row[1]: row for row in rows[1:] if len(row) == len(COLUMNS)}
