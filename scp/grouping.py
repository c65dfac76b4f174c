"""What belongs to one visit: a study by itself, or by rule what is one examination to a hospital in several studies."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from scp.instance import Identity, Instance

_STUDY_DATE, _SERIES_DATE, _ACCESSION_NUMBER = 0x00080020, 0x00080021, 0x00080050
_PATIENT_BIRTH_DATE, _PATIENT_SEX = 0x00100030, 0x00100040

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


GROUPINGS: Mapping[str, Grouping] = MappingProxyType({"study": study, "day": day, "accession": accession})


def whose(identity: Callable[[Instance], Identity], rule: str) -> Callable[[Instance], Identity]:
    """`identity` with what the linkage needs besides: what makes a visit by this rule, and whom the study is of.

    Raises KeyError for a rule that there is not.
    """
    grouping = GROUPINGS[rule]

    def complete(instance: Instance) -> Identity:
        text, common = instance.dataset.text, grouping(instance)
        return replace(
            identity(instance),
            visit=f"{rule} {common}" if common else "",
            sex=text(_PATIENT_SEX),
            birth_date=text(_PATIENT_BIRTH_DATE),
        )

    return complete
