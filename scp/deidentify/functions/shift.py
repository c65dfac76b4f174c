"""Dates moved by a number of days that belongs to the subject alone, so that the intervals between them stay true."""

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from scp.deidentify.functions.dates import parse
from scp.deidentify.functions.original import VALUES, Function, Original

LONGEST_DAYS = 3652
"""A subject's dates move into the past, by one day at least and by ten years at most."""

# PS3.5 6.2: DT from the year alone down to microseconds, TM from the hour down, an offset from UTC
_DATE_TIME = re.compile(
    r"(\d{4})(?:(0[1-9]|1[0-2])(?:(\d{2})((?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d|60)?)?(?:\.\d{1,6})?)?)?)?"
    r"([+-](?:0\d|1[0-4])[0-5]\d)?",
    re.ASCII,
)
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?", re.ASCII)
_UTC_OFFSET = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d", re.ASCII)


def days(secret: bytes) -> int:
    """How far this subject's dates move: derived from the secret, negative."""
    digest = hmac.digest(secret, b"days", "sha256")
    return -1 - int.from_bytes(digest[:8]) % LONGEST_DAYS


def shifted(vr: str) -> Function | None:
    """What moves values of this VR: DA and DT move, TM and an offset from UTC (SH) stay if valid; else None."""
    one = _SHIFTS.get(vr)
    if one is None:
        return None

    def date_shift(value: str, original: Original) -> str:
        moved = days(original.subject.secret)
        return VALUES.join(one(part.strip(" \0"), moved) for part in value.split(VALUES))

    return date_shift


def date_time(days: int) -> Function:
    """What moves the day of a date and time by so many days, as JITTER does; the time and the precision stay."""

    def moved(value: str, _original: Original) -> str:
        return VALUES.join(_date_time(one.strip(" \0"), days) for one in value.split(VALUES))

    return moved


def _date(value: str, moved: int) -> str:
    """A day as DA; what is no day of the calendar becomes empty, a date and time too."""
    day = parse(value) if len(value.replace(".", "")) == len("YYYYMMDD") else None
    return _written(day, moved)


def _date_time(value: str, moved: int) -> str:
    """A DT of the precision it was sent with; a year or month alone moves as its first day would."""
    match = _DATE_TIME.fullmatch(value)
    if not match:
        return ""
    year, month, day, time, offset = match.groups(default="")
    try:
        first = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return ""
    written = _written(first, moved)
    if not written:
        return ""
    return written[: len(year + month + day)] + time + offset


def _time(value: str, _moved: int) -> str:
    return value if _TIME.fullmatch(value) else ""


def _utc_offset(value: str, _moved: int) -> str:
    return value if _UTC_OFFSET.fullmatch(value) else ""


def _written(day: date | None, moved: int) -> str:
    try:
        after = day + timedelta(moved) if day else None
    except OverflowError:
        return ""
    return f"{after.year:04}{after.month:02}{after.day:02}" if after else ""


_SHIFTS: Mapping[str, Callable[[str, int], str]] = {"DA": _date, "DT": _date_time, "TM": _time, "SH": _utc_offset}
