"""Visits merged and split: instances under one number, where they came from closed, late ones following."""

import hashlib
from dataclasses import replace

import pydicom
import pytest
from moving import KEY, YAN, ZOE, Rearranging, study
from pyrage import x25519

from scp.bounds import Bounds
from scp.db.engine import DatabaseError
from scp.db.index import Delivery
from scp.db.linkage import Linkage
from scp.db.moves import Move, UnmovableError
from scp.outcome import Failure, Outcome
from scp.recovery import Recovery
from scp.state import State
from scp.store import files
from scp.store.quarantine import Quarantine

FIRST, SECOND = study(1), study(2)
DAY = "day 20250901"


@pytest.fixture
def house(tmp_path, monkeypatch):
    house = Rearranging(tmp_path, monkeypatch)
    yield house
    house.close()


def check(house, visit, numbers):
    """Staging holds these instances of the visit, each file as its row says, with the visit's number everywhere."""
    delivery = house.index.of_visit(visit)[-1].delivery
    rows = house.index.files(delivery)
    assert len(rows) == len(numbers)
    assert {path.name for path in house.staged(visit)} == set(rows)
    for path in house.staged(visit):
        assert hashlib.sha256(path.read_bytes()).digest() == rows[path.name]
        dataset = pydicom.dcmread(path)
        assert (dataset.StudyID, path.name[:12], path.parent.name) == (visit, visit, delivery.folder)
    assert sorted(int(pydicom.dcmread(path).InstanceNumber) for path in house.staged(visit)) == sorted(numbers)


def merged(house):
    """Two visits that were one; the numbers of the one that stays and of the one that went."""
    kept, gone = house.send(1, 2, identity=FIRST), house.send(3, 4, identity=SECOND)
    assert house.moving.merge(kept, gone, "one examination") == 2
    return kept, gone


def test_merged_visits_are_one(house):
    kept, gone = merged(house)
    check(house, kept, [1, 2, 3, 4])
    assert not house.staged(gone)
    assert not (house.staging.root / f"{gone}-1").exists()
    assert house.audit() == []
    assert house.state(Delivery(gone, 1)) is State.MERGED
    assert house.why(gone) == f"to {kept}: one examination"
    assert f"from {gone}: one examination" in house.why(kept)
    house.later()
    assert house.state(Delivery(kept, 1)) is State.PUBLISHED
    assert len([name for name in house.published() if name.endswith(".dcm")]) == 4
    assert house.audit() == []


def test_a_merged_file_is_what_would_be_made_under_the_other_number(house):
    kept, gone = merged(house)
    rows = house.index.files(Delivery(kept, 1))
    again = [house.made(3, SECOND), house.made(4, SECOND)]
    assert {one.scan_research_id for one in again} == {kept}
    assert {one.digest for one in again} <= set(rows.values())
    assert house.store(*again) == Delivery(kept, 1)  # known, and not stored twice
    check(house, kept, [1, 2, 3, 4])
    assert house.index.of_visit(gone)[-1].state is State.MERGED


def test_what_comes_later_comes_to_the_other_visit(house):
    kept, gone = merged(house)
    assert house.send(5, identity=SECOND) == kept
    house.later()
    assert house.send(6, identity=SECOND) == kept
    assert [entry.state for entry in house.index.of_visit(kept)] == [State.PUBLISHED, State.REOPENED]
    assert len(house.index.of_visit(gone)) == 1


def test_what_was_on_its_way_is_to_be_sent_again(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND)
    late, known = house.made(4, SECOND), house.made(3, SECOND)
    house.moving.merge(kept, gone, "x")
    for one in (late, known):
        with pytest.raises(Failure, match="send it again") as caught:
            house.store(one)
        assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    with pytest.raises(Failure, match="send it again"):
        house.index.agrees(known, house.linkage.source("1.2", b""))
    check(house, kept, [1, 3])
    assert house.audit() == []


def test_a_merge_can_be_merged_and_split_again(house):
    third = study(3)
    kept, gone = merged(house)
    other = house.send(9, identity=third)
    assert house.moving.merge(other, kept, "all one") == 4
    assert {house.linkage.resolve(one).scan_research_id for one in (FIRST, SECOND, third)} == {other}
    check(house, other, [1, 2, 3, 4, 9])
    number, count = house.moving.split(other, [house.left_as(SECOND)], "was not")
    assert (count, number in {kept, gone, other}) == (2, False)
    check(house, other, [1, 2, 9])
    check(house, number, [3, 4])
    assert house.linkage.resolve(SECOND).scan_research_id == number
    assert {house.linkage.resolve(one).scan_research_id for one in (FIRST, third)} == {other}
    assert house.moving.merge(number, other, "after all") == 3
    check(house, number, [1, 2, 3, 4, 9])
    assert {house.linkage.resolve(one).scan_research_id for one in (FIRST, SECOND, third)} == {number}
    assert house.audit() == []


def grouped(house, rule):
    """Two studies that are one visit by a rule."""
    said = {"hours": 4, "begins": 100.0} if rule == "hours" else {"visit": DAY}
    one, two = replace(FIRST, **said), replace(SECOND, **said)
    visit = house.send(1, 2, identity=one)
    assert house.send(3, identity=two) == visit
    return visit, one, two


@pytest.mark.parametrize("rule", ["day", "hours"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_study_becomes_a_visit_of_its_own(house, rule, which):
    visit, *studies = grouped(house, rule)
    numbers = [[1, 2], [3]]
    counts = {one.study_uid: one.instances for one in house.moving.studies(visit)}
    assert counts == {house.left_as(studies[0]): 2, house.left_as(studies[1]): 1}
    number, count = house.moving.split(visit, [house.left_as(studies[which])], "another examination")
    assert count == len(numbers[which])
    check(house, number, numbers[which])
    check(house, visit, numbers[1 - which])
    assert house.state(Delivery(visit, 1)) is house.state(Delivery(number, 1)) is State.RECEIVING
    assert house.send(7, identity=studies[which]) == number
    assert house.send(8, identity=studies[1 - which]) == visit
    newer = replace(studies[which], study_uid="1.2.826.99.9")  # the rule still holds for what is new
    assert house.send(9, identity=newer) == visit
    house.later()
    assert {house.state(Delivery(each, 1)) for each in (visit, number)} == {State.PUBLISHED}
    assert house.audit() == []


def test_an_instance_on_its_way_does_not_come_back_to_what_was_split(house):
    visit, one, two = grouped(house, "day")
    late, other = house.made(4, two), house.made(5, one)
    number, _count = house.moving.split(visit, [house.left_as(two)], "x")
    for instance in (late, other):
        with pytest.raises(Failure, match="send it again"):
            house.store(instance)
        with pytest.raises(Failure, match="send it again"):  # a row whose worker is gone, and with it its lock
            house.index.record(instance, None, "x.dcm", Delivery(visit, 1))
    assert house.send(4, identity=two) == number
    assert house.send(5, identity=one) == visit
    assert house.audit() == []


def test_what_nobody_acknowledged_does_not_go_along(house):
    visit, _one, two = grouped(house, "day")
    stray = house.staging.root / f"{visit}-1" / f"{visit}_0001_00009_00000000.dcm"
    stray.write_bytes(b"left by a worker")
    number, _count = house.moving.split(visit, [house.left_as(two)], "x")
    assert not stray.exists()
    assert (house.staging.root / "unclaimed" / stray.name).read_bytes() == b"left by a worker"
    check(house, number, [3])


def test_what_was_rejected_once_still_waits_for_a_person(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND)
    house.steward.decide(gone, State.REJECTED, "moved")
    house.moving.merge(kept, gone, "x")
    house.later()
    assert house.state(Delivery(kept, 1)) is State.HELD
    visit = house.steward.decide(kept, State.APPROVED, "looked at it")
    assert visit is State.PUBLISHED


def test_gates_are_asked_again_and_a_report_of_what_is_gone_goes(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND, PatientSex="M")
    object.__setattr__(house.steward.config, "visit_approval", True)
    house.later()
    assert {path.name for path in house.config.reports.iterdir()} == {f"{kept}-1.json", f"{gone}-1.json"}
    house.moving.merge(kept, gone, "x")
    assert [path.name for path in house.config.reports.iterdir()] == [f"{kept}-1.json"]
    house.later()
    assert house.state(Delivery(kept, 1)) is State.HELD
    assert house.why(kept) == "hold by consistent"


@pytest.mark.parametrize(
    ("bring", "why"),
    [
        (lambda house, _visit: house.later(), "is published"),
        (lambda house, _visit: (house.later(), house.send(9, identity=FIRST)), "was published before"),
        (lambda house, visit: house.moving.merge(house.send(8, identity=study(8)), visit, "x"), "it is merged"),
        (lambda house, visit: house.moving.moves.begin(Move(visit, house.send(8, identity=study(8)), (), "x")), "alre"),
    ],
)
def test_what_cannot_be_moved_stays(house, bring, why):
    visit = house.send(1, identity=FIRST)
    bring(house, visit)
    other = house.send(3, identity=SECOND)
    before = house.staged(other)
    with pytest.raises(UnmovableError, match=why):
        house.moving.merge(other, visit, "x")
    with pytest.raises(UnmovableError, match=why):
        house.moving.merge(visit, other, "x")
    with pytest.raises(UnmovableError, match=why):
        house.moving.split(visit, [house.left_as(FIRST)], "x")
    assert house.staged(other) == before


def test_an_approved_visit_is_not_moved(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND)
    for state in (State.QUIET, State.CHECKED, State.APPROVED):
        assert house.index.enter(house.index.of_visit(gone)[-1], state, "test")
    with pytest.raises(UnmovableError, match="is approved"):
        house.moving.merge(kept, gone, "x")


def test_two_subjects_stay_two(house):
    zoe, yan = house.send(1, identity=FIRST), house.send(1, identity=YAN)
    with pytest.raises(UnmovableError, match="of two subjects"):
        house.moving.merge(zoe, yan, "x")
    with pytest.raises(DatabaseError, match="one subject's"):
        house.linkage.merge(yan, zoe)
    check(house, zoe, [1])
    check(house, yan, [1])


@pytest.mark.parametrize("rule", ["day", "hours"])
def test_several_studies_become_one_visit_together(house, rule):
    visit, one, two = grouped(house, rule)
    three = replace(one, study_uid="1.2.826.99.3")
    assert house.send(4, 5, identity=three) == visit
    asked = [house.left_as(three), house.left_as(one), house.left_as(three)]
    number, count = house.moving.split(visit, asked, "two of three")
    assert count == 4
    check(house, number, [1, 2, 4, 5])
    check(house, visit, [3])
    assert [house.send(number_, identity=each) for number_, each in ((6, one), (7, two), (8, three))] == [
        number,
        visit,
        number,
    ]
    assert house.linkage.resolve(two).moves == 1, "it is one move"
    assert house.audit() == []


def test_all_studies_of_a_visit_are_no_split(house):
    visit, one, two = grouped(house, "day")
    with pytest.raises(UnmovableError, match="nothing would be left"):
        house.moving.split(visit, [house.left_as(one), house.left_as(two)], "x")
    with pytest.raises(UnmovableError, match=r"has no study 2\.25\.1"):
        house.moving.split(visit, [house.left_as(one), "2.25.1"], "x")
    check(house, visit, [1, 2, 3])
    assert house.linkage.counts() == (1, 1)


@pytest.mark.parametrize("asked", [[0], [0, 1]])
def test_a_study_that_an_older_release_did_not_keep_is_not_split_off(house, asked):
    """It put a study into a visit by day without keeping which it was: only digests of its UID are there."""
    visit, *studies = grouped(house, "day")
    house.send(9, identity=replace(studies[0], study_uid="1.2.826.99.3"))
    uids = [house.left_as(studies[number]) for number in asked]
    with house.linkage._engine.write():
        house.linkage._engine._database().execute("DELETE FROM placed WHERE blind = ?", [member(house, studies[0])])
    with pytest.raises(UnmovableError, match=f"which study {uids[0]} was: .* older release"):
        house.moving.split(visit, uids, "x")
    check(house, visit, [1, 2, 3, 9])
    assert house.linkage.counts() == (1, 1)
    if len(asked) == 1:
        house.moving.split(visit, [house.left_as(studies[1])], "x")
        check(house, visit, [1, 2, 9])


def member(house, identity):
    return house.linkage.blinds(identity)["member"]


def test_studies_are_told_apart_by_what_left_of_them(house):
    visit, one, two = grouped(house, "day")
    house.send(4, identity=one, StudyDescription="HEAD", Modality="SR", SeriesInstanceUID="2.25.8")
    house.send(5, identity=two, StudyDescription="KNEE\x1b[31m")
    seen = {study_.study_uid: study_ for study_ in house.moving.studies(visit)}
    assert list(seen) == sorted(seen)
    first, second = seen[house.left_as(one)], seen[house.left_as(two)]
    assert (first.description, first.modalities, first.series, first.instances) == ("HEAD", "MR, SR", 2, 3)
    assert (second.description, second.modalities, second.instances) == ("KNEE?[31m", "MR", 2)


def test_a_split_that_would_leave_nothing_or_takes_nothing_is_refused(house):
    visit = house.send(1, identity=FIRST)
    with pytest.raises(UnmovableError, match="nothing would be left"):
        house.moving.split(visit, [house.left_as(FIRST)], "x")
    with pytest.raises(UnmovableError, match=r"has no study 2\.25\.1"):
        house.moving.split(visit, ["2.25.1"], "x")
    with pytest.raises(UnmovableError, match="with itself"):
        house.moving.merge(visit, visit, "x")
    with pytest.raises(UnmovableError, match="there is no visit 100000000000"):
        house.moving.merge(visit, "100000000000", "x")
    assert house.linkage.counts() == (1, 1)


def test_a_visit_that_somebody_adds_to_right_now_is_left_alone(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND)
    with house.staging.adding(f"{gone}-1"), pytest.raises(UnmovableError, match="try again"):
        house.moving.merge(kept, gone, "x")
    assert house.moving.moves.unfinished() == []
    assert house.moving.merge(kept, gone, "x") == 1


def test_a_file_that_is_not_what_was_stored_is_not_moved(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND)
    (path,) = house.staged(gone)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Failure, match="not what was stored"):
        house.moving.merge(kept, gone, "x")
    path.write_bytes(b"torn")
    with pytest.raises(Failure, match="shorter than any file"):
        house.moving.merge(kept, gone, "x")
    assert house.moving.moves.unfinished() == []


def test_a_visit_with_volumes_that_came_as_files_stays(house):
    kept, gone = house.send(1, identity=FIRST), house.send(3, identity=SECOND)
    with house.moving.moves._engine.write():
        house.moving.moves._engine._database().execute(
            "INSERT INTO volume VALUES ('n', NULL, :visit, 'S', 'NIFTI/x', 1, 1, 0)", {"visit": gone}
        )
    with pytest.raises(UnmovableError, match="volumes that came as files"):
        house.moving.merge(kept, gone, "x")
    assert house.moving.merge(gone, kept, "x") == 1


def test_a_new_key_keeps_what_was_moved(house):
    visit, one, two = grouped(house, "day")
    number, _count = house.moving.split(visit, [house.left_as(two)], "x")
    new = bytes(range(1, 33))
    house.linkage.rekey(new)
    after = Linkage(house.config.linkage_path, new)
    assert after.resolve(two).scan_research_id == number
    assert after.resolve(one).scan_research_id == visit
    with pytest.raises(Failure):  # whose the study is stays known as well
        after.resolve(replace(two, patient_id="PLANTED-MRN-99"))
    after.rekey(KEY)


def test_a_full_disk_leaves_a_move_to_be_finished(house, monkeypatch):
    kept, gone = house.send(1, identity=FIRST), house.send(3, 4, identity=SECOND)

    def full(*_args):
        raise Failure(Outcome.OUT_OF_RESOURCES, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(files, "place", full)
        with pytest.raises(Failure, match="no room"):
            house.moving.merge(kept, gone, "x")
        house.moving.turn()  # told in the log, and no round is held up
    assert house.state(Delivery(gone, 1)) is State.MOVING
    assert [kind for kind, _ in house.audit()] == ["unfinished"]
    house.later()
    assert house.state(Delivery(kept, 1)) is not State.PUBLISHED  # it waits for what is to join it
    house.moving.turn()
    check(house, kept, [1, 3, 4])
    assert house.audit() == house.moving.moves.unfinished() == []


def test_a_start_at_which_a_move_cannot_be_finished_comes_up_and_the_next_one_finishes_it(house, monkeypatch):
    kept, gone = house.send(1, identity=FIRST), house.send(3, 4, identity=SECOND)
    place, left = files.place, [1]

    def filling_up(*words):
        if not left:
            raise Failure(Outcome.OUT_OF_RESOURCES, "no room")
        left.pop()
        return place(*words)

    with monkeypatch.context() as patch:
        patch.setattr(files, "place", filling_up)
        with pytest.raises(Failure, match="no room"):
            house.moving.merge(kept, gone, "x")
        house.moving.turn()
    quarantine = Quarantine(house.config.quarantine, str(x25519.Identity.generate().to_public()))
    quarantine.prepare()
    assert len(house.staged(kept)) == 2  # one of them without a row
    done = Recovery(house.config.export, house.index, quarantine, house.publisher, "recipe", Bounds()).run()
    assert (done.adopted, done.sealed, done.report.lost) == (0, 1, 0)
    house.moving.turn()
    check(house, kept, [1, 3, 4])
    assert house.audit() == house.moving.moves.unfinished() == []


def test_no_word_of_the_hospital_is_in_the_index(house):
    visit, _one, two = grouped(house, "day")
    house.moving.split(visit, [house.left_as(two)], "x")
    house.linkage.close()
    for path in house.config.state.rglob("*"):
        if path.is_file():
            for planted in (ZOE.patient_id, ZOE.issuer, FIRST.study_uid):
                assert planted.encode() not in path.read_bytes()
