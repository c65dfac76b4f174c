"""Which studies are one visit, by each rule, and whom a study is of."""

import pytest
from factories import instance, mr
from hypothesis import given
from hypothesis import strategies as st

from scp.config import Config
from scp.grouping import GROUPINGS, begins, whose
from scp.instance import Identity

BARE = Identity("P", "", "1.2.3")


def identity(rule, **attributes):
    return whose(lambda _instance: BARE, rule, 12)(instance(mr(**attributes)))


@pytest.mark.parametrize(
    ("rule", "attributes", "common"),
    [
        ("study", {}, ""),
        ("day", {"StudyDate": "20250917"}, "day 20250917"),
        ("day", {"StudyDate": None, "SeriesDate": "20250918"}, "day 20250918"),
        ("day", {"StudyDate": None, "SeriesDate": None}, ""),
        ("accession", {"AccessionNumber": "A-1"}, "accession A-1"),
        ("accession", {"AccessionNumber": None}, ""),
        ("hours", {"StudyInstanceUID": "1.2.3.4"}, "hours 1.2.3.4"),
    ],
)
def test_what_studies_have_in_common(rule, attributes, common):
    assert identity(rule, **attributes).visit == common


@pytest.mark.parametrize("rule", GROUPINGS)
def test_the_identity_itself_stays_and_says_whom_the_study_is_of(rule):
    found = identity(rule, PatientSex="F", PatientBirthDate="19521130")
    assert (found.patient_id, found.issuer, found.study_uid) == ("P", "", "1.2.3")
    assert (found.sex, found.birth_date) == ("F", "19521130")
    unsaid = identity(rule, PatientSex=None, PatientBirthDate=None)
    assert (unsaid.sex, unsaid.birth_date) == ("", "")


def test_the_settings_name_the_rules():
    for rule in GROUPINGS:
        assert Config(grouping=rule).grouping == rule
    with pytest.raises(KeyError):
        whose(lambda _instance: BARE, "week", 12)


@given(st.dates(), st.dates())
def test_two_days_are_two_visits_and_one_is_one(first, second):
    days = [identity("day", StudyDate=f"{date:%Y}".zfill(4) + f"{date:%m%d}").visit for date in (first, second)]
    assert (days[0] == days[1]) == (first == second)


@pytest.mark.parametrize("rule", GROUPINGS)
def test_only_by_hours_it_is_asked_when_a_study_began(rule):
    found = identity(rule, StudyDate="20250917", StudyTime="0830")
    assert (found.hours, found.begins is None) == ((12, False) if rule == "hours" else (0, True))


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("00", 0),
        ("0830", 30_600),
        ("083015", 30_615),
        ("083015.25", 30_615),
        ("08:30:15", 30_615),
        ("235960", 86_399),  # a leap second
    ],
)
def test_the_time_of_day_may_be_as_short_as_the_standard_allows(time, seconds):
    assert begins("20250917", time) - begins("20250917", "00") == seconds


@pytest.mark.parametrize(
    ("date", "time"),
    [("", "08"), ("20250917", ""), ("20251317", "08"), ("2025", "08"), ("20250917", "25"), ("20250917", "8"),
     ("20250917", "noon"), ("2025-9-1", "08"), ("20250230", "0800"), ("00000101", "08"), ("20250917", "0861")],
)  # fmt: skip
def test_what_is_no_date_or_no_time_says_nothing(date, time):
    assert begins(date, time) is None


@given(st.datetimes(), st.datetimes())
def test_beginnings_are_as_far_apart_as_the_clock_says(first, second):
    told = [begins(f"{one.year:04d}{one:%m%d}", f"{one:%H%M%S}") for one in (first, second)]
    assert told[1] - told[0] == (second.replace(microsecond=0) - first.replace(microsecond=0)).total_seconds()
