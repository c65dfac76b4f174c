"""Dates lose their day, or their day and month; what cannot be read as a date is written empty."""

import re
from datetime import date, timedelta

from scp.deidentify.functions.original import VALUES, Function, Original

# PS3.5 6.2: DA, DA as ACR-NEMA wrote it, and DT down to at least the day
_DATE = re.compile(r"(\d{4})(\.?)(\d{2})\2(\d{2})", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4})()(\d{2})(\d{2})\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?(?:[+-]\d{4})?", re.ASCII)
_LONGEST_DATE = len("1993.08.22")
SCAN_DATES = (0x00080022, 0x00080021, 0x00080020, 0x00080023, 0x0008002A)
"""AcquisitionDate, SeriesDate, StudyDate, ContentDate, AcquisitionDateTime."""


def parse(value: str) -> date | None:
    """The day of a DA or DT value; None where it is no day of the calendar."""
    match = (len(value) <= _LONGEST_DATE and _DATE.fullmatch(value)) or _DATE_TIME.fullmatch(value)
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def date_month(value: str, _original: Original) -> str:
    """Each date becomes the first of its month, a date and time too."""
    return VALUES.join(map(_month, value.split(VALUES))) if VALUES in value else _month(value)


def date_year(value: str, _original: Original) -> str:
    """Each date becomes the first of January of its year."""
    return VALUES.join(f"{day.year:04}0101" if (day := parse(one.strip(" \0"))) else "" for one in value.split(VALUES))


def scan_month(value: str, original: Original) -> str:
    """The first of the month of the scan: from the attribute itself, else from the dates that the scan has."""
    for candidate in (value, *(original.text(tag) for tag in SCAN_DATES)):
        if month := _month(candidate.split(VALUES)[0]):
            return month
    return ""


def jitter(days: int) -> Function:
    """A function that moves dates by so many days, forward or backward."""

    def moved(value: str, _original: Original) -> str:
        return VALUES.join(_moved(one.strip(" \0"), days) for one in value.split(VALUES))

    return moved


def _month(value: str) -> str:
    day = parse(value.strip(" \0"))
    return f"{day.year:04}{day.month:02}01" if day else ""


def _moved(value: str, days: int) -> str:
    day = parse(value)
    try:
        moved = day + timedelta(days) if day else None
    except OverflowError:
        return ""
    return f"{moved.year:04}{moved.month:02}{moved.day:02}" if moved else ""
