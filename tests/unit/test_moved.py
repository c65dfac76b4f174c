"""The linkage's part of merges and splits: where each study's instances go, whatever was said before in which order."""

from dataclasses import replace
from io import BytesIO

import pytest
from factories import PEER
from hypothesis import given, settings
from hypothesis import strategies as st
from moving import KEY, YAN, study

from scp.db.engine import DatabaseError
from scp.db.moved import Moved
from scp.deidentify.functions.tokens import token
from scp.volumes import whose
from scp.volumes.volume import File, Volume

STUDIES = [study(number) for number in range(4)]
RULES = {
    "study": STUDIES,
    "day": [replace(one, visit="day 20250901") for one in STUDIES],
    "hours": [replace(one, hours=4, begins=float(number)) for number, one in enumerate(STUDIES)],
}
CHOICES = st.tuples(st.sampled_from(["merge", "split", "again", "rekey"]), st.integers(0, 3), st.integers(0, 3))


def opened(folder, key=KEY):
    linkage = Moved(folder / "linkage.db", key)
    linkage.open()
    return linkage


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(RULES)), st.lists(CHOICES, max_size=8))
def test_each_study_is_where_it_was_put_last(tmp_path_factory, rule, choices):
    folder = tmp_path_factory.mktemp("linkage")
    linkage, studies, key = opened(folder), RULES[rule], KEY
    where = {number: linkage.resolve(one).scan_research_id for number, one in enumerate(studies)}
    secret = linkage.resolve(studies[0]).secret
    for moves, (what, first, second) in enumerate(choices, 1):
        if what == "merge" and where[first] != where[second]:
            gone = where[second]
            linkage.merge(gone, where[first])
            where = {number: where[first] if visit == gone else visit for number, visit in where.items()}
        elif what == "split":
            sent, source = token(studies[first].study_uid, secret), where[first]
            assert linkage.holds(source, sent, token)
            target = linkage.reserve(source)
            for _time in range(second + 1):  # made twice it is as if made once
                linkage.split(source, target, sent, moves, token)
            where[first] = target
            assert opened(folder, key).resolve(studies[first]).scan_research_id == target
        elif what == "rekey":
            key = bytes([moves]) * 32
            linkage.rekey(key)
            linkage = opened(folder, key)
        found = {number: linkage.resolve(one) for number, one in enumerate(studies)}
        assert {number: subject.scan_research_id for number, subject in found.items()} == where
        assert {subject.secret for subject in found.values()} == {secret}


def test_how_often_studies_were_taken_from_a_visit_is_told_with_it(tmp_path):
    linkage, (one, two, *_) = opened(tmp_path), RULES["day"]
    visit = linkage.resolve(one)
    sent = token(linkage.resolve(two) and two.study_uid, visit.secret)
    linkage.split(visit.scan_research_id, linkage.reserve(visit.scan_research_id), sent, 3, token)
    assert (linkage.resolve(one).moves, linkage.resolve(two).moves) == (3, 0)
    with pytest.raises(DatabaseError, match="does not know the study"):
        linkage.split(visit.scan_research_id, linkage.reserve(visit.scan_research_id), "2.25.1", 4, token)
    assert linkage.resolve(one).moves == 3


@pytest.mark.parametrize("rule", sorted(RULES))
def test_volumes_of_a_study_that_was_split_off_stay_visits_of_their_own(tmp_path, rule):
    """The nifti export would have the volumes' folder for its own (docs/adr/0065-volumes-as-input.md)."""
    linkage, (one, two, *_) = opened(tmp_path), RULES[rule]
    visit = linkage.resolve(one)
    linkage.resolve(two)
    volumes = replace(one, visit=f"volumes {one.study_uid}", hours=0, begins=None, apart=True)
    before = linkage.resolve(volumes).scan_research_id
    sent = token(one.study_uid, visit.secret)
    assert linkage.holds(visit.scan_research_id, sent, token)  # the volumes have not taken it with them
    target = linkage.reserve(visit.scan_research_id)
    linkage.split(visit.scan_research_id, target, sent, 1, token)
    assert linkage.resolve(one).scan_research_id == target
    assert linkage.resolve(volumes).scan_research_id == before
    assert len({before, target, visit.scan_research_id}) == 3
    linkage.rekey(bytes(32))
    again = opened(tmp_path, bytes(32))
    assert [again.resolve(each).scan_research_id for each in (one, volumes)] == [target, before]


def test_volumes_are_taken_for_what_stands_apart():
    parts = ("sub-01", "ses-1", "anat", "sub-01_ses-1_T1w.nii.gz")
    told = whose.identity(Volume(PEER, parts, File(0, BytesIO)), {"StudyInstanceUID": "1.2.3"}, "")
    assert (told.apart, told.study_uid, told.visit) == (True, "1.2.3", "volumes 1.2.3")


def test_a_study_that_left_under_its_own_uid_is_found(tmp_path):
    linkage = opened(tmp_path)
    visit = linkage.resolve(STUDIES[0]).scan_research_id
    assert linkage.holds(visit, STUDIES[0].study_uid, token)
    assert not linkage.holds(visit, STUDIES[1].study_uid, token)


def test_what_is_not_known_or_another_persons_is_refused(tmp_path):
    linkage = opened(tmp_path)
    zoe, yan = (linkage.resolve(one).scan_research_id for one in (STUDIES[0], YAN))
    for source, target in ((zoe, yan), (yan, zoe), ("100000000000", zoe), (zoe, "100000000000")):
        with pytest.raises(DatabaseError, match="one subject's"):
            linkage.merge(source, target)
    with pytest.raises(DatabaseError, match="does not know visit 100000000000"):
        linkage.reserve("100000000000")
    assert [linkage.resolve(one).scan_research_id for one in (STUDIES[0], YAN)] == [zoe, yan]


def test_a_reserved_number_gets_nothing_by_itself(tmp_path):
    linkage = opened(tmp_path)
    visit = linkage.resolve(RULES["day"][0]).scan_research_id
    number = linkage.reserve(visit)
    assert number not in {linkage.resolve(one).scan_research_id for one in RULES["day"]}
    assert len(number) == len(visit) == 12
    assert linkage.counts() == (1, 2)
