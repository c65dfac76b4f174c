"""Which studies are one visit, by each rule, and whom a study is of."""

import pytest
from factories import instance, mr
from hypothesis import given
from hypothesis import strategies as st

from scp.config import Config
from scp.grouping import GROUPINGS, whose
from scp.instance import Identity

BARE = Identity("P", "", "1.2.3")


def identity(rule, **attributes):
    return whose(lambda _instance: BARE, rule)(instance(mr(**attributes)))


@pytest.mark.parametrize(
    ("rule", "attributes", "common"),
    [
        ("study", {}, ""),
        ("day", {"StudyDate": "20250917"}, "day 20250917"),
        ("day", {"StudyDate": None, "SeriesDate": "20250918"}, "day 20250918"),
        ("day", {"StudyDate": None, "SeriesDate": None}, ""),
        ("accession", {"AccessionNumber": "A-1"}, "accession A-1"),
        ("accession", {"AccessionNumber": None}, ""),
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
        whose(lambda _instance: BARE, "week")


@given(st.dates(), st.dates())
def test_two_days_are_two_visits_and_one_is_one(first, second):
    days = [identity("day", StudyDate=f"{date:%Y}".zfill(4) + f"{date:%m%d}").visit for date in (first, second)]
    assert (days[0] == days[1]) == (first == second)
