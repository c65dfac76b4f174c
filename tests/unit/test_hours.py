"""Visits by hours: which studies are one visit, in whatever order they come, and what the linkage keeps of it."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations

import pydicom
import pytest
from doubles import metrics
from factories import arrival, instance, mr
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import writing

from scp import build
from scp.config import Config
from scp.db.linkage import Linkage, nearest
from scp.instance import Identity
from scp.outcome import Failure, Outcome

KEY, NEW = bytes(range(32)), bytes(range(1, 33))
HOUR, NOON = 3600.0, 63_000_000_000.0
HOURS = 4


def study(number, hour, patient="PLANTED-MRN-77", **fields):
    """A study that began so many hours after a noon, by the rule of four hours."""
    uid = f"1.2.826.99.{number}"
    begins = None if hour is None else NOON + hour * HOUR
    return Identity(patient, "", uid, visit=f"hours {uid}", hours=HOURS, begins=begins, **fields)


@pytest.fixture
def linkage(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", KEY)
    linkage.open()
    yield linkage
    linkage.close()


def numbers(linkage, *studies):
    return [linkage.resolve(one).scan_research_id for one in studies]


def test_what_begins_within_the_hours_is_one_visit(linkage):
    first, second, third = numbers(linkage, study(1, 0), study(2, 4), study(3, 4.01))
    assert first == second != third
    assert linkage.counts() == (1, 2)


def test_before_and_after_are_alike(linkage):
    assert len(set(numbers(linkage, study(1, 0), study(2, -4)))) == 1


def test_the_visit_goes_by_the_study_that_came_first(linkage):
    """The documented example: 12:00, 15:00 and 18:00 are one visit or two, as they come."""
    first, second, third = numbers(linkage, study(1, 0), study(2, 3), study(3, 6))
    assert first == second != third


def test_and_from_the_middle_all_are_one(linkage):
    assert len(set(numbers(linkage, study(2, 3), study(1, 0), study(3, 6)))) == 1


def test_the_nearest_of_two_is_joined_and_of_two_as_near_the_earlier(linkage):
    early, late, nearer, between = numbers(linkage, study(1, 0), study(2, 6), study(3, 3.5), study(4, 3))
    assert (nearer, between) == (late, early)


def test_a_study_stays_where_it_is_whatever_comes_later(linkage):
    before = numbers(linkage, study(1, 0), study(2, 4))
    numbers(linkage, study(3, 4.5), study(4, 5))
    assert numbers(linkage, study(1, 0), study(2, 4)) == before
    assert numbers(linkage, study(2, 100))[0] == before[1]  # an instance that says another time


def test_what_does_not_say_when_it_began_is_a_visit_by_itself(linkage):
    timed, silent, other = numbers(linkage, study(1, 0), study(2, None), study(3, None))
    assert len({timed, silent, other}) == 3
    assert numbers(linkage, study(2, 0))[0] == silent  # its next instance says so, too late
    assert numbers(linkage, study(4, 0))[0] == timed


def test_nobody_joins_another_patient(linkage):
    mine, theirs = linkage.resolve(study(1, 0)), linkage.resolve(study(2, 0, patient="PLANTED-MRN-78"))
    assert mine.scan_research_id != theirs.scan_research_id
    assert mine.pseudonym != theirs.pseudonym
    with pytest.raises(Failure) as caught:
        linkage.resolve(study(1, 0, patient="PLANTED-MRN-79"))
    assert caught.value.outcome is Outcome.OTHER_PERSON


def test_a_study_keeps_its_sex_and_birth_date(linkage):
    first = linkage.resolve(study(1, 0, sex="F", birth_date="19520101"))
    assert linkage.resolve(study(1, 0)) == first
    with pytest.raises(Failure, match="is not that of the study"):
        linkage.resolve(study(1, 0, sex="M"))
    assert linkage.resolve(study(2, 1, sex="M")).scan_research_id == first.scan_research_id  # that is for a gate


def test_the_other_rules_know_nothing_of_it(linkage):
    by_hours = linkage.resolve(study(1, 0))
    alone = linkage.resolve(replace(study(1, 0), visit="", hours=0, begins=None))
    assert alone.pseudonym == by_hours.pseudonym
    assert alone.scan_research_id != by_hours.scan_research_id


def test_many_threads_make_one_visit(linkage):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda number: linkage.resolve(study(number % 8, number % 4)), range(64)))
    assert len({subject.scan_research_id for subject in found}) == 1
    assert linkage.counts() == (1, 1)


def test_nothing_identified_lies_in_the_files(linkage, tmp_path):
    numbers(linkage, study(1, 0), study(2, 1))
    linkage.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for word in ("PLANTED", "1.2.826.99", repr(NOON), repr(NOON + HOUR), "63000000000"):
        assert word.encode() not in raw


def test_a_new_key_changes_nothing(linkage, tmp_path):
    studies = [study(1, 0), study(2, 3), study(3, 20), study(4, None)]
    before = numbers(linkage, *studies)
    linkage.rekey(NEW)
    after = Linkage(tmp_path / "linkage.db", NEW)
    assert numbers(after, *studies) == before
    assert numbers(after, study(5, 2), study(6, 21), study(7, None))[:2] == [before[0], before[2]]
    with pytest.raises(Failure):
        after.resolve(study(2, 3, patient="SOMEBODY"))  # still known whose it is
    after.close()


def partition(linkage, studies):
    """Which studies are together, whatever their numbers."""
    found = {}
    for one in studies:
        found.setdefault(linkage.resolve(one).scan_research_id, set()).add(one.study_uid)
    return {frozenset(group) for group in found.values()}


@settings(max_examples=20, deadline=None)
@given(
    groups=st.lists(st.lists(st.floats(0, HOURS), min_size=1, max_size=3), min_size=1, max_size=3),
    data=st.data(),
)
def test_examinations_far_enough_apart_are_the_same_visits_in_any_order(tmp_path_factory, groups, data):
    """All of one within the hours of each other, and no two within them: no order can make a difference."""
    studies = [
        study(f"{at}.{number}", at * (2 * HOURS + 0.1) + hour)
        for at, group in enumerate(groups, 1)
        for number, hour in enumerate(group, 1)
    ]
    linkage = Linkage(tmp_path_factory.mktemp("linkage") / "linkage.db", KEY)
    linkage.open()
    try:
        found = partition(linkage, data.draw(st.permutations(studies)))
    finally:
        linkage.close()
    wanted = {
        frozenset(f"1.2.826.99.{at}.{number}" for number in range(1, len(group) + 1))
        for at, group in enumerate(groups, 1)
    }
    assert found == wanted


@settings(max_examples=15, deadline=None)
@given(hours=st.lists(st.floats(0, 24), min_size=1, max_size=6))
def test_no_study_is_further_from_the_first_of_its_visit_than_the_hours(tmp_path_factory, hours):
    linkage = Linkage(tmp_path_factory.mktemp("linkage") / "linkage.db", KEY)
    linkage.open()
    firsts = {}
    for number, hour in enumerate(hours):
        visit = linkage.resolve(study(number, hour)).scan_research_id
        first = firsts.setdefault(visit, hour)
        assert abs(first - hour) * HOUR <= HOURS * HOUR + 1e-3
        if first == hour and list(firsts)[-1] == visit:
            others = [other for key, other in firsts.items() if key != visit]
            assert all(abs(other - hour) * HOUR > HOURS * HOUR - 1e-3 or other == hour for other in others)
    linkage.close()


def test_nearest_is_what_it_says():
    for order in permutations({"a": 0.0, "b": 10.0, "c": 7200.0}.items()):
        known = dict(order)
        assert nearest(5.0, 1, known) == "a"
        assert nearest(5.1, 1, known) == "b"
        assert nearest(7200.0 + 3600.0, 1, known) == "c"
        assert nearest(7200.0 + 3600.1, 1, known) is None
    assert nearest(None, 1, {"a": 0.0}) is None
    assert nearest(1.0, 1, {}) is None


@pytest.fixture
def config(tmp_path):
    return Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1, grouping="hours")


def made(number, time):
    uid = f"2.25.47{number}"
    return mr(
        StudyInstanceUID=uid,
        SOPInstanceUID=f"{uid}1",
        StudyDate="20250917",
        StudyTime=time,
        SeriesInstanceUID=f"{uid}2",
    )


def test_two_studies_of_a_morning_are_one_visit_and_the_night_is_another(config):
    node = build.prepare(config)
    intake = build.intake(node, metrics())
    with writing(config.index_path, config.index_socket):
        for number, time in enumerate(["080000", "1015", "233000"]):
            assert intake.take(arrival(made(number, time))) is Outcome.STORED
    intake.index.close()
    intake.linkage.close()
    os.close(node.lock)
    files = [pydicom.dcmread(path) for path in (config.export / ".tmp").rglob("*.dcm")]
    assert len(files) == len({file.StudyInstanceUID for file in files}) == 3
    assert len({file.StudyID for file in files}) == 2


@pytest.mark.parametrize("rule", ["day", "hours"])
def test_a_recipe_that_is_read_again_changes_no_rule(config, rule):
    node = build.prepare(config.model_copy(update={"grouping": rule}))
    intake = build.intake(node, metrics())
    again = build.replanned(intake, node)
    one = instance(made(1, "080000"))
    told = again.identity(one)
    assert told == intake.identity(one)
    assert told.visit.startswith(rule)
    assert told.sex
    intake.index.close()
    intake.linkage.close()
    os.close(node.lock)
