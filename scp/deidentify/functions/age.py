"""The age at the scan, computed from the true dates before they are reduced."""

import re
from datetime import date

from scp.deidentify.functions.dates import parse
from scp.deidentify.functions.original import Original

_AGE = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_BIRTH_DATE, _PATIENT_AGE = 0x00100030, 0x00101010
_SCAN_DATES = (0x00080020, 0x00080021, 0x00080022, 0x00080023)  # StudyDate first: the visit has one age
_OLDEST_YEARS = 150
_IN_MONTHS_BELOW = 24
_GROUPED = "090Y"
_YEAR_IN = {"D": 366, "W": 53, "M": 12, "Y": 1}


def age(_value: str, original: Original) -> str:
    """AS: whole years from the age of two on (`034Y`), before that months (`014M`), before one month days (`012D`).

    Without a birth date or a scan date, PatientAge as sent where it is valid; below zero or above 150 years, nothing.
    """
    born = parse(original.text(_BIRTH_DATE))
    scanned = next((day for tag in _SCAN_DATES if (day := parse(original.text(tag)))), None)
    if born and scanned:
        return _between(born, scanned)
    sent = original.text(_PATIENT_AGE)
    match = _AGE.fullmatch(sent)
    return sent if match and int(match[1]) <= _OLDEST_YEARS * _YEAR_IN[match[2]] else ""


def age_90_plus(value: str, original: Original) -> str:
    """The same, with all who are 90 or older as `090Y`."""
    years = age(value, original)
    return _GROUPED if years.endswith("Y") and years > _GROUPED else years


def _between(born: date, scanned: date) -> str:
    months = (scanned.year - born.year) * 12 + scanned.month - born.month - (scanned.day < born.day)
    if months < 0 or months >= 12 * (_OLDEST_YEARS + 1):
        return ""
    if months >= _IN_MONTHS_BELOW:
        return f"{months // 12:03}Y"
    return f"{months:03}M" if months else f"{(scanned - born).days:03}D"
