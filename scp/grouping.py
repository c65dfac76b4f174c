"""What belongs to one visit: a study by itself, or by rule what is one examination to a hospital in several studies."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from scp.instance import Identity, Instance

_STUDY_DATE, _SERIES_DATE, _ACCESSION_NUMBER = 0x00080020, 0x00080021, 0x00080050
_STUDY_TIME, _STUDY_INSTANCE_UID = 0x00080030, 0x0020000D
_PATIENT_BIRTH_DATE, _PATIENT_SEX = 0x00100030, 0x00100040

_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"([0-9]{2})([0-9]{2})?([0-9]{2})?(?:\.[0-9]{1,6})?")

Grouping = Callable[[Instance], str]
"""What instances of one patient have in common when they are one visit; nothing where their study decides."""


def study(instance: Instance) -> str:  # noqa: ARG001  the same question to every rule
    """Each study is a visit."""
    return ""


def day(instance: Instance) -> str:
    """What was examined on one day (StudyDate, else SeriesDate); without a date, the study."""
    text = instance.dataset.text
    return text(_STUDY_DATE) or text(_SERIES_DATE)


def accession(instance: Instance) -> str:
    """What was asked for at once (AccessionNumber); without one, the study."""
    return instance.dataset.text(_ACCESSION_NUMBER)


def hours(instance: Instance) -> str:
    """What began within some hours; which visit that is only the linkage can say, so each study is named by itself."""
    return instance.dataset.text(_STUDY_INSTANCE_UID)


GROUPINGS: Mapping[str, Grouping] = MappingProxyType(
    {"study": study, "day": day, "accession": accession, "hours": hours}
)


def whose(identity: Callable[[Instance], Identity], rule: str, within: int) -> Callable[[Instance], Identity]:
    """`identity` with what the linkage needs besides: what makes a visit by this rule, and whom the study is of.

    By the rule `hours`, what begins `within` so many hours. Raises KeyError for a rule that there is not.
    """
    grouping = GROUPINGS[rule]

    def complete(instance: Instance) -> Identity:
        text, common, found = instance.dataset.text, grouping(instance), identity(instance)
        return Identity(
            found.patient_id,
            found.issuer,
            found.study_uid,
            visit=f"{rule} {common}" if common else "",
            sex=text(_PATIENT_SEX),
            birth_date=text(_PATIENT_BIRTH_DATE),
            hours=within if grouping is hours else 0,
            begins=begins(text(_STUDY_DATE), text(_STUDY_TIME)) if grouping is hours else None,
        )

    return complete


def begins(study_date: str, study_time: str) -> float | None:
    """When a study began, in seconds of the hospital's own clock; None where DA and TM do not say (PS3.5 6.2).

    Hours are enough; what is missing behind them is 0. A colon between them, as ACR-NEMA had it, is passed over.
    """
    found = _TIME.fullmatch(study_time.replace(":", ""))
    if found is None or not _DATE.fullmatch(study_date):
        return None
    year, month, day_ = int(study_date[:4]), int(study_date[4:6]), int(study_date[6:])
    hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        moment = datetime(year, month, day_, hour, minute, min(second, 59))  # noqa: DTZ001  a leap second is 60
    except ValueError:
        return None
    return (moment - datetime.min).total_seconds()  # noqa: DTZ901  differences are all that is asked for
