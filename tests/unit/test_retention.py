"""Retention of visits: what is due, that it goes whole with all that was made of it, and what becomes of a re-send."""

import os
import shutil
from datetime import date

import pytest
from doubles import VISIT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keeping import DAY, Keeping, instances
from visiting import PSEUDONYM, approve, image

from scp import handover
from scp.db.index import Delivery
from scp.exports import EXPORTS, REMOVALS
from scp.layouts.names import file_name
from scp.outcome import Failure
from scp.state import State
from scp.steward.publish import close_day
from scp.store import held
from scp.walks import Busy, expiring

OTHER = "999999999999"
PLACE = f"DICOM/2031/20310203/{VISIT}"
FIRST = Delivery(VISIT, 1)


@pytest.fixture
def house(keeping):
    return keeping({"published_days": 30, "staged_days": 30})


def test_without_a_setting_everything_is_kept_for_ever(keeping):
    house = keeping({})
    house.publish(VISIT)
    house.seal("abc")
    before = house.tree()
    house.days(100_000)
    assert house.due() == house.run() == []
    assert house.tree() == before
    assert house.state(FIRST) is State.PUBLISHED


def test_what_was_rejected_and_expired_waits_for_a_person_when_it_is_sent_again(house):
    """What a person saw in it is there again, and the gates have not seen it the first time either."""
    house.store(image(1))
    house.steward.decide(VISIT, State.REJECTED, "a name is burned in")
    house.days(31)
    assert house.run() == [("staged", f"{VISIT}-1", "")]
    assert house.publish(VISIT, 1) == Delivery(VISIT, 2)
    assert house.state(Delivery(VISIT, 2)) is State.HELD
    assert (house.published(), house.why()[:12]) == ([], "was rejected")
    assert house.steward.decide(VISIT, State.APPROVED, "blanked since") is State.PUBLISHED
    house.publish(VISIT, 2)  # late: what was rejected has been approved by now
    assert house.state(Delivery(VISIT, 3)) is State.PUBLISHED


def test_what_a_killed_exporter_had_in_hand_of_it_goes_too(house):
    house.publish(VISIT)
    for name in (f"nifti-{VISIT}-1", f"bids-{VISIT}-12", f"nifti-{OTHER}-1"):
        (house.where.work / name / "out").mkdir(parents=True)
        (house.where.work / name / "out" / "a.nii").write_bytes(b"voxels")
    house.days(31)
    assert house.run() == [("published", VISIT, "")]
    assert [path.name for path in house.where.work.iterdir()] == [f"nifti-{OTHER}-1"]


def test_a_visit_goes_whole_with_its_marker_and_its_day(house):
    house.publish(VISIT)
    house.days(29.99)
    assert house.due() == house.run() == []
    assert f"{PLACE}/.ready" in house.tree()
    house.days(0.02)
    assert house.due() == [("published", VISIT)]
    assert house.run() == [("published", VISIT, "")]
    assert house.tree() == [".tmp", "DICOM"]
    assert instances(house) == 0
    assert house.history()[-2:] == [(1, "expiring"), (1, "expired")]
    assert house.why().startswith("2 instances of ")
    assert house.metrics.expired.labels("published")._value.get() == 1
    assert house.audit() == house.run() == []


def test_a_plan_says_what_and_changes_nothing(house):
    house.publish(VISIT)
    since, before = house.now, house.tree()
    house.days(31)
    (due,) = house.retention.plan()
    assert (due.kind, due.name, due.since, due.instances) == ("published", VISIT, since, 2)
    assert due.bytes == sum(path.stat().st_size for path in house.config.export.rglob("*.dcm"))
    assert (house.tree(), house.state(FIRST)) == (before, State.PUBLISHED)


def test_what_else_was_published_that_day_stays(house):
    house.publish(VISIT)
    house.days(1)
    house.publish(OTHER)  # the house's day is still the same
    kept = [name for name in house.tree() if VISIT not in name]
    house.days(29.5)
    assert house.run() == [("published", VISIT, "")]
    assert house.tree() == kept
    assert house.audit() == []


def test_a_closed_day_goes_with_its_last_visit_and_not_before(house):
    house.publish(VISIT)
    house.days(1)
    house.publish(OTHER)
    day = PLACE.rpartition("/")[0]
    assert close_day(house.config.export, house.staging, day)
    assert house.audit() == []
    house.days(29.5)
    house.run()
    assert f"{day}/.ready" in house.tree()
    house.days(1)
    house.run()
    assert house.tree() == [".tmp", "DICOM"]


def test_a_visit_of_two_days_goes_when_the_later_one_is_due(house):
    house.publish(VISIT)
    house.days(10)
    house.today = date(2031, 2, 13)
    assert house.publish(VISIT, 3) == Delivery(VISIT, 2)
    house.days(25)
    assert house.run() == []
    house.days(6)
    assert house.run() == [("published", VISIT, "")]
    assert house.tree() == [".tmp", "DICOM"]
    assert {house.state(Delivery(VISIT, number)) for number in (1, 2)} == {State.EXPIRED}
    assert house.audit() == []


def test_what_is_sent_again_is_stored_anew_under_the_same_number(house):
    house.publish(VISIT)
    house.days(31)
    house.run()
    house.today = date(2031, 3, 6)
    assert house.store(image(1)) == Delivery(VISIT, 2)
    assert house.state(Delivery(VISIT, 2)) is State.REOPENED
    assert house.later() == 1
    assert f"DICOM/2031/20310306/{VISIT}/.ready" in house.published()
    assert len(house.published()) == 2
    assert house.audit() == []
    house.days(31)
    assert house.run() == [("published", VISIT, "")]
    assert house.tree() == [".tmp", "DICOM"]


def test_what_waits_in_staging_stays_when_the_published_part_goes(house):
    house.publish(VISIT)
    house.days(29)
    late = house.store(image(3))
    house.days(2)
    assert house.run() == [("published", VISIT, "")]
    assert house.state(late) is State.REOPENED
    assert house.audit() == []
    assert house.later() == 1
    assert instances(house) == 1


def test_nothing_is_published_into_a_folder_that_is_going(keeping):
    house = keeping(layout="flat")
    house.publish(VISIT)
    house.days(31)
    assert house.expiry.begin(VISIT, house.now - 30 * DAY, "test")  # and then it was killed
    late = house.store(image(3))
    approve(house.index, late)
    assert house.publisher.publish(late) is None
    assert house.state(late) is State.APPROVED
    assert ("unfinished", f"DICOM/{VISIT}") in house.audit()
    assert house.retention.finish() == 1
    assert house.later() == 1
    assert house.published() == [f"DICOM/{VISIT}/.ready", f"DICOM/{VISIT}/{file_name(image(3))}"]
    assert house.audit() == []


def test_nothing_goes_that_is_being_published(house):
    house.publish(VISIT)
    house.days(31)
    late = house.store(image(3))
    approve(house.index, late)
    assert house.index.begin_publishing(late, PLACE)  # and then it was killed
    assert house.run() == [("published", VISIT, "it has changed meanwhile")]
    assert house.state(FIRST) is State.PUBLISHED


WAITING = {State.HELD: (State.QUIET, State.HELD), State.REJECTED: (State.REJECTED,)}
WAITING[State.QUARANTINED] = (State.QUIET, State.QUARANTINED)


def enter(house, delivery, *states):
    for state in states:
        (entry,) = [each for each in house.index.of_visit(delivery.scan_research_id) if each.delivery == delivery]
        assert house.index.enter(entry, state, "test")


@pytest.mark.parametrize("state", WAITING)
def test_what_nobody_decides_on_goes_from_staging(house, state):
    delivery = house.store(image(1))
    house.days(5)
    enter(house, delivery, *WAITING[state])
    house.days(29)
    assert house.run() == []
    house.days(1)
    assert house.due() == [("staged", f"{VISIT}-1")]
    assert house.run() == [("staged", f"{VISIT}-1", "")]
    assert house.state(delivery) is State.EXPIRED
    assert house.tree() == [".tmp"]
    assert (instances(house), house.audit()) == (0, [])
    assert house.store(image(1)) == Delivery(VISIT, 2)


@pytest.mark.parametrize("states", [(), (State.QUIET,), (State.QUIET, State.CHECKED, State.APPROVED)])
def test_what_is_on_its_way_is_never_due(house, states):
    enter(house, house.store(image(1)), *states)
    house.days(1000)
    assert house.run() == []


def test_an_instance_that_comes_gives_a_held_visit_its_time_anew(house):
    delivery = house.store(image(1))
    enter(house, delivery, State.QUIET, State.HELD)
    house.days(20)
    house.store(image(2))
    enter(house, delivery, State.QUIET, State.HELD)
    house.days(20)
    assert house.run() == []
    house.days(10)
    (due,) = house.retention.plan()
    house.store(image(3))  # between the plan and the deed
    assert house.retention.visits.staged(due) is False
    assert house.state(delivery) is State.RECEIVING


def test_nothing_goes_from_under_a_worker(house):
    delivery = house.store(image(1))
    enter(house, delivery, State.REJECTED)
    house.days(31)
    with house.staging.adding(delivery.folder):
        assert house.run() == [("staged", delivery.folder, "it is in use")]
    assert house.state(delivery) is State.REJECTED
    assert house.run() == [("staged", delivery.folder, "")]


def test_a_worker_that_was_waiting_finds_the_delivery_closed(house):
    delivery = house.store(image(1))
    enter(house, delivery, State.REJECTED)
    house.days(31)
    house.run()
    with house.staging.adding(delivery.folder):  # makes the folder anew, as the walk does
        assert not house.index.is_receiving(delivery)
    house.staging.leave(delivery.folder)
    assert house.store(image(1)) == Delivery(VISIT, 2)


def test_every_export_can_be_taken_away():
    assert set(REMOVALS) == set(EXPORTS)


def exported(house):
    house.publish(VISIT, *range(1, 5), Rows=8, Columns=8, PixelData=bytes(128))
    house.exporter("catalog", "nifti").round()


def test_what_was_exported_goes_too(house):
    exported(house)
    assert any(name.startswith("NIFTI/2031/20310203") and name.endswith(".nii") for name in house.tree())
    assert "EHR/2031/20310203/mri_visits.csv" in house.tree()
    house.days(31)
    house.today = date(2031, 3, 6)
    assert house.run() == [("published", VISIT, "")]
    assert house.tree() == [".tmp", ".tmp/exports", "DICOM", "EHR", "EHR/2031", "NIFTI", "NIFTI/2031"]
    assert house.ledger.listing("exports") == []
    assert house.exporter("catalog", "nifti").round() == 0


def test_the_day_that_exports_are_written_to_stays(house):
    exported(house)
    house.days(31)
    house.run()
    left = [name for name in house.tree() if not name.startswith((".tmp", "DICOM"))]
    assert left == [f"{top}{rest}" for top in ("EHR", "NIFTI") for rest in ("", "/2031", "/2031/20310203")]


def test_the_lines_of_others_stay_in_the_table_of_the_day(house):
    house.publish(VISIT)
    house.days(1)
    house.publish(OTHER)
    house.exporter("catalog").round()
    house.days(29.5)
    house.run()
    lines = (house.config.export / "EHR/2031/20310203/mri_visits.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines] == ["VISIT_ID", OTHER]


def rows(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_a_session_leaves_the_dataset_and_its_tables(house):
    house.publish(VISIT, *range(1, 5), Rows=8, Columns=8, PixelData=bytes(128))
    house.days(1)
    house.publish(OTHER, *range(1, 5), Rows=8, Columns=8, PixelData=bytes(128))
    house.exporter("bids").round()
    subject = house.config.export / "BIDS" / f"sub-{PSEUDONYM}"
    assert [path.name for path in sorted(subject.glob("ses-*"))] == [f"ses-{VISIT}", f"ses-{OTHER}"]
    house.days(29.5)
    assert house.run() == [("published", VISIT, "")]
    assert [path.name for path in sorted(subject.glob("ses-*"))] == [f"ses-{OTHER}"]
    assert [row[0] for row in rows(subject / f"{subject.name}_sessions.tsv")] == ["session_id", f"ses-{OTHER}"]
    assert [row[0] for row in rows(subject.parent / "participants.tsv")] == ["participant_id", subject.name]
    house.days(1)
    assert house.run() == [("published", OTHER, "")]
    assert not subject.exists()
    assert [row[0] for row in rows(subject.parent / "participants.tsv")] == ["participant_id"]
    assert list(house.staging.work.iterdir()) == []


def test_tables_that_a_killed_one_left_are_put_right(house):
    house.publish(VISIT, *range(1, 5), Rows=8, Columns=8, PixelData=bytes(128))
    house.days(1)
    house.publish(OTHER, *range(1, 5), Rows=8, Columns=8, PixelData=bytes(128))
    house.exporter("bids").round()
    subject = house.config.export / "BIDS" / f"sub-{PSEUDONYM}"
    (subject / f"ses-{VISIT}").rename(house.staging.work / f"ses-{VISIT}.old")  # and then it was killed
    house.days(29.5)
    house.run()
    assert [row[0] for row in rows(subject / f"{subject.name}_sessions.tsv")] == ["session_id", f"ses-{OTHER}"]
    subject.rename(house.staging.work / f"{subject.name}.old")  # once more
    house.days(1)
    house.run()
    assert [row[0] for row in rows(subject.parent / "participants.tsv")] == ["participant_id"]
    assert list(house.staging.work.iterdir()) == []


def test_a_table_that_a_killed_exporter_left_behind_goes(house):
    house.publish(VISIT)
    house.exporter("catalog").round()
    day = house.config.export / "EHR/2031/20310203"
    (day / ".mri_visits.csv.4711").write_text(f"S,{VISIT},,\n")
    house.days(31)
    house.run()
    assert list(day.iterdir()) == []


def test_an_export_that_reads_a_visit_keeps_it(house):
    house.publish(VISIT)
    house.days(31)
    with held.shared(house.config.export / PLACE) as stands:
        assert stands
        assert house.run() == [("published", VISIT, "it is in use")]
    assert house.state(FIRST) is State.PUBLISHED
    assert house.run() == [("published", VISIT, "")]
    with held.shared(house.config.export / PLACE) as stands:
        assert not stands


def test_what_is_going_is_not_exported_any_more(house):
    house.publish(VISIT)
    house.ledger.offer("catalog", 0.0)
    assert len(house.ledger.due()) == 1
    house.days(31)
    house.expiry.begin(VISIT, house.now - 30 * DAY, "test")
    assert house.ledger.due() == []


def test_an_export_of_another_release_is_left_alone(house):
    house.publish(VISIT)
    house.ledger.offer("holograms", 0.0)
    house.days(31)
    assert house.run() == [("published", VISIT, "")]


def test_one_that_cannot_go_holds_no_other_up(house, monkeypatch):
    house.publish(VISIT)
    house.publish(OTHER)
    house.days(31)
    rename = shutil.os.rename

    def refused(self, target):
        if VISIT in self.name:
            raise PermissionError(13, "refused")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", refused)
        (first, second) = house.run()
    assert first[:2] == ("published", VISIT)
    assert first[2] == "a visit's way out of the tree could not be made durable (EACCES)"
    assert second == ("published", OTHER, "")
    assert house.state(FIRST) is State.EXPIRING
    assert house.audit() == [("unfinished", PLACE)]
    assert house.run() == []  # finished first, so that nothing is due
    assert house.state(FIRST) is State.EXPIRED
    assert house.tree() == [".tmp", "DICOM"]


def test_what_was_begun_and_cannot_be_ended_holds_up_neither_others_nor_a_start(house, monkeypatch):
    house.publish(VISIT)
    house.publish(OTHER)
    house.days(31)
    house.expiry.begin(VISIT, house.now - 30 * DAY, "test")
    rename = shutil.os.rename

    def refused(self, target):
        if self.name in {VISIT, "2031"}:
            raise PermissionError(13, "refused")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", refused)
        handover.resume(house.config, house.index)
        assert house.run() == [("published", OTHER, "")]
        with pytest.raises(Failure, match="EACCES"):
            house.retention.finish()  # the steward waits an hour then
    assert house.state(FIRST) is State.EXPIRING
    handover.resume(house.config, house.index)
    assert house.state(FIRST) is State.EXPIRED
    assert house.tree() == [".tmp", "DICOM"]


def test_two_do_not_go_through_everything_at_once(house):
    house.publish(VISIT)
    house.days(31)
    with expiring(house.config.state), pytest.raises(Busy):
        house.run()
    assert house.state(FIRST) is State.PUBLISHED


def test_a_restored_index_is_put_right_by_the_next_run(house):
    house.publish(VISIT)
    house.days(31)
    shutil.rmtree(house.config.export / "DICOM")  # taken away after the backup was made
    assert {kind for kind, _ in house.audit()} == {"missing", "unmarked"}
    assert house.run() == [("published", VISIT, "")]
    assert house.audit() == []


def test_a_folder_of_the_same_name_left_by_a_crash_is_in_nobody_s_way(house):
    house.publish(VISIT)
    left = house.staging.expired / PLACE.replace("/", "-")
    left.mkdir(parents=True)
    (left / "left.dcm").write_bytes(b"")
    (house.staging.expired / "DICOM-2031").mkdir()
    assert house.audit() == []
    house.days(31)
    assert house.run() == [("published", VISIT, "")]
    assert house.tree() == [".tmp", "DICOM"]


def test_a_lock_on_a_folder_that_is_not_there_is_nobody_s(tmp_path):
    with held.alone(tmp_path / "gone") as stands:
        assert not stands
    (tmp_path / "here").mkdir()
    with held.alone(tmp_path / "here") as stands, pytest.raises(Busy), held.alone(tmp_path / "here"):
        assert stands


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.integers(0, 60), min_size=1, max_size=6), kept=st.integers(1, 59))
def test_exactly_what_is_old_enough_goes(tmp_path_factory, ages, kept):
    with pytest.MonkeyPatch.context() as patch:
        house = Keeping(tmp_path_factory.mktemp("house"), patch, {"published_days": kept})
        visits = {str(100000000000 + number): age for number, age in enumerate(sorted(ages, reverse=True))}
        start = house.now
        for visit, age in visits.items():
            house.now = start + (60 - age) * DAY
            house.publish(visit, 1)
        house.now = start + 60 * DAY + 120
        gone = {name for _kind, name, _why in house.run()}
        assert gone == {visit for visit, age in visits.items() if age >= kept}
        assert {path.parent.name for path in house.config.export.rglob("*.dcm")} == set(visits) - gone
        assert house.audit() == []
        house.close()


def test_a_disk_that_will_not_sync_is_an_answer_and_no_end(house, monkeypatch):
    house.publish(VISIT)
    house.days(31)

    def broken(_folder):
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch:
        patch.setattr("scp.retention.visits.sync_folder", broken)
        ((_, _, why),) = house.run()
    assert why.endswith("(EIO)")
    assert house.retention.finish() == 1
    assert house.audit() == []
