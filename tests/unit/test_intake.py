"""The walk with real databases, folders and quarantine, and a recipe that only names what it was given."""

import errno
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from doubles import clean, metrics
from factories import arrival, mr, needles
from pydicom.config import disable_value_validation
from pyrage import decrypt, x25519
from visiting import approve

from scp.bounds import Bounds
from scp.db.commit import Unanswered
from scp.db.index import Delivery, Index
from scp.db.linkage import Linkage
from scp.instance import Identity
from scp.intake import Intake, examine
from scp.layouts import LAYOUTS
from scp.outcome import Failure, Outcome
from scp.steward.publish import Publisher
from scp.store import files
from scp.store.quarantine import Quarantine
from scp.store.staging import Staging
from scp.verify.audit import Audit

OFFICER = x25519.Identity.generate()


def identity(instance):
    return Identity(instance.dataset.text(0x00100020), "", instance.dataset.text(0x0020000D))


def deidentify(instance, subject):
    """Keeps the pixels and nothing else."""
    uid = hashlib.sha256(subject.secret + instance.arrival.sop_instance_uid.encode()).hexdigest()
    number = int(instance.dataset.text(0x00200013) or 0)
    pixels = instance.dataset.find(0x7FE00010)
    return clean(
        number,
        body=bytes(instance.dataset.data[pixels.value : pixels.end]),
        visit=subject.scan_research_id,
        pseudonym=subject.pseudonym,
        sop_instance_uid=f"2.25.{int(uid[:30], 16)}",
    )


@pytest.fixture
def intake(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", bytes(range(32)))
    index = Index(tmp_path / "index.db")
    index.open(linkage.open())
    staging, quarantine = Staging(tmp_path / "export"), Quarantine(tmp_path / "quarantine", str(OFFICER.to_public()))
    staging.prepare()
    quarantine.prepare()
    return Intake((), identity, deidentify, linkage, index, staging, quarantine, metrics())


def test_a_data_set_beyond_a_bound_is_quarantined_and_counted_by_its_limit(intake):
    narrow = replace(intake, bounds=Bounds(elements=3))
    assert narrow.take(arrival(mr())) is Outcome.MALFORMED
    assert narrow.metrics.limits.labels("max_elements")._value.get() == 1
    assert narrow.metrics.limits.labels("max_depth")._value.get() == 0
    assert len(sealed(intake)) == 1


def staged(intake):
    return sorted(path for path in intake.staging.root.rglob("*.dcm"))


def sealed(intake):
    return sorted(intake.quarantine.root.rglob("*.age"))


def count(intake, outcome):
    return intake.metrics.instances.labels(outcome.label)._value.get()


def test_an_instance_is_stored_and_counted(intake):
    assert intake.take(arrival(mr())) is Outcome.STORED
    (file,) = staged(intake)
    (row,) = intake.index.listing("totals")
    assert (row["instances"], row["bytes"]) == (1, file.stat().st_size)
    assert count(intake, Outcome.STORED) == 1
    assert intake.metrics.stored_bytes._value.get() == file.stat().st_size


def test_a_resend_does_nothing_and_asks_no_recipe(intake):
    def never(*_):
        raise AssertionError

    intake.take(arrival(mr()))
    again = replace(intake, deidentify=never, identity=never)
    assert again.take(arrival(mr())) is Outcome.UNCHANGED
    assert len(staged(intake)) == 1


def test_other_bytes_with_the_same_content_change_nothing(intake):
    intake.take(arrival(mr()))
    renamed = mr()
    renamed.PatientName = "Other^Spelling"
    assert intake.take(arrival(renamed)) is Outcome.UNCHANGED
    assert len(staged(intake)) == 1
    assert sealed(intake) == []


def test_the_same_uid_with_other_content_is_sealed(intake):
    intake.take(arrival(mr()))
    other = mr()
    other.PixelData = bytes(32)
    assert intake.take(arrival(other)) is Outcome.CONFLICTING
    assert len(staged(intake)) == 1
    (file,) = sealed(intake)
    assert file.parent.name == "conflicting"


def test_the_same_uid_under_another_patient_is_sealed(intake):
    intake.take(arrival(mr()))
    assert intake.take(arrival(mr(PatientID="SOMEBODY-ELSE"))) is Outcome.OTHER_PERSON
    assert intake.take(arrival(mr(PatientID="SOMEBODY-ELSE", StudyInstanceUID="1.2.3"))) is Outcome.CONFLICTING


def test_what_is_sealed_is_the_original_and_only_once(intake):
    def refuse(_instance):
        raise Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")

    strict = replace(intake, rules=(refuse,))
    sent = arrival(mr())
    assert [strict.take(sent), strict.take(sent)] == [Outcome.BURNED_IN] * 2
    (file,) = sealed(intake)
    head, _, data = decrypt(file.read_bytes(), [OFFICER]).partition(b"\n")
    assert data == bytes(sent.data)
    assert b"burned_in" in head
    assert staged(intake) == []
    assert count(intake, Outcome.BURNED_IN) == 2


def test_rules_are_asked_in_order_and_the_first_decides(intake):
    asked = []

    def rule(outcome):
        def ask(_instance):
            asked.append(outcome)
            if outcome:
                raise Failure(outcome, "no")

        return ask

    strict = replace(intake, rules=(rule(None), rule(Outcome.NOT_CONSENTED), rule(Outcome.BURNED_IN)))
    assert strict.take(arrival(mr())) is Outcome.NOT_CONSENTED
    assert asked == [None, Outcome.NOT_CONSENTED]
    assert sealed(intake) == []


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"context_class": "1.2.840.10008.5.1.4.1.1.2"}, Outcome.MISMATCHED),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, Outcome.MISMATCHED),
        ({"sop_instance_uid": "1.2.3"}, Outcome.MISMATCHED),
        ({"data": b""}, Outcome.MISMATCHED),
    ],
)
def test_all_that_names_the_object_must_agree(intake, changes, outcome):
    assert intake.take(replace(arrival(mr()), **changes)) is outcome
    assert staged(intake) == []
    assert len(sealed(intake)) == 1


def test_class_in_command_and_context_may_not_agree_on_another_than_the_data_sets(intake):
    ct = "1.2.840.10008.5.1.4.1.1.2"
    with pytest.raises(Failure, match="SOPClassUID is not the command's"):
        examine(replace(arrival(mr()), context_class=ct, sop_class_uid=ct))


def test_no_truncation_is_ever_stored(intake):
    whole = arrival(mr())
    for length in range(0, len(whole.data), 7):
        outcome = intake.take(replace(whole, data=whole.data[:length]))
        assert outcome.quarantined, length
    assert staged(intake) == []


@pytest.mark.parametrize("uid", ["1.2.3/../../etc", "1.2.\n3", "1" * 65, "", "1..2", ".1", "not a uid", "PLANTED^NAME"])
def test_what_is_no_uid_is_refused(intake, uid):
    with disable_value_validation():
        sent = arrival(mr(SOPInstanceUID=uid), sop_instance_uid=uid)
    assert intake.take(sent) is Outcome.MISMATCHED
    assert staged(intake) == []


def test_an_image_cut_between_two_elements_is_incomplete(intake):
    dataset = mr()
    del dataset.PixelData
    assert intake.take(arrival(dataset)) is Outcome.INCOMPLETE


@pytest.mark.parametrize(
    ("code", "outcome"), [(errno.ENOSPC, Outcome.OUT_OF_RESOURCES), (errno.EIO, Outcome.STORAGE_FAULT)]
)
@pytest.mark.parametrize("call", ["writev", "fsync", "link"])
def test_a_disk_that_fails_keeps_nothing_and_acknowledges_nothing(intake, monkeypatch, call, code, outcome):
    def fail(*_args, **_options):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, fail)
        assert intake.take(arrival(mr())) is outcome
    assert staged(intake) == []
    assert intake.index.listing("totals")[0]["instances"] == 0
    assert intake.take(arrival(mr())) is Outcome.STORED


def test_an_index_without_room_takes_the_file_away_again(intake, monkeypatch):
    def busy(*_, **__):
        raise Failure(Outcome.OUT_OF_RESOURCES, "busy")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "record", busy)
        assert intake.take(arrival(mr())) is Outcome.OUT_OF_RESOURCES
        assert staged(intake) == []
    assert intake.take(arrival(mr())) is Outcome.STORED


def test_after_a_fault_of_the_index_the_file_stays_and_a_resend_adopts_it(intake, monkeypatch):
    def broken(*_, **__):
        raise Failure(Outcome.STORAGE_FAULT, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "record", broken)
        assert intake.take(arrival(mr())) is Outcome.STORAGE_FAULT
    (orphan,) = staged(intake)
    inode = orphan.stat().st_ino
    assert intake.take(arrival(mr())) is Outcome.STORED
    assert staged(intake)[0].stat().st_ino == inode


def test_a_file_that_another_sender_of_the_same_was_answered_for_stays(intake, tmp_path, monkeypatch):
    real, asked = Index.record, []

    def overtaken(index, *row, **more):
        asked.append(None)
        if len(asked) > 1:
            return real(index, *row, **more)
        assert intake.take(arrival(mr())) is Outcome.STORED  # finds the file of the first one, and has its row
        raise Failure(Outcome.OUT_OF_RESOURCES, "the index writer is not there")

    monkeypatch.setattr(Index, "record", overtaken)
    assert intake.take(arrival(mr())) is Outcome.OUT_OF_RESOURCES
    assert len(staged(intake)) == 1
    assert audited(intake, tmp_path) == []


def test_a_file_that_another_sender_of_the_same_is_going_to_be_answered_for_stays(intake, tmp_path, monkeypatch):
    real, answers = Index.record, []
    found, refused = threading.Event(), threading.Event()

    def first(*_, **__):
        monkeypatch.setattr(Index, "record", second)
        answers.append(other.submit(intake.take, arrival(mr())))
        assert found.wait(60)
        raise Failure(Outcome.OUT_OF_RESOURCES, "the index writer is not there")

    def second(index, *row, **more):
        found.set()  # the file of the first one, which is being refused
        assert refused.wait(60)
        return real(index, *row, **more)

    monkeypatch.setattr(Index, "record", first)
    with ThreadPoolExecutor(1) as other:
        assert intake.take(arrival(mr())) is Outcome.OUT_OF_RESOURCES
        refused.set()
        assert answers[0].result(60) is Outcome.STORED
    assert len(staged(intake)) == 1
    assert audited(intake, tmp_path) == []


def test_where_nobody_knows_whether_the_row_comes_its_file_stays(intake, monkeypatch):
    real = Index.record

    def late(index, *row, **more):
        real(index, *row, **more)  # committed by a writer that died before it said so
        raise Unanswered(Outcome.OUT_OF_RESOURCES, "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "record", late)
        assert intake.take(arrival(mr())) is Outcome.OUT_OF_RESOURCES
    assert len(staged(intake)) == 1
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert len(staged(intake)) == 1


def test_a_quarantine_that_cannot_be_written_is_not_claimed(intake, monkeypatch):
    def full(*_):
        raise Failure(Outcome.OUT_OF_RESOURCES, "full")

    monkeypatch.setattr(Quarantine, "seal", full)
    assert intake.take(replace(arrival(mr()), data=b"x")) is Outcome.OUT_OF_RESOURCES
    assert intake.index.listing("quarantine") == []


def test_late_instances_open_the_next_delivery(intake, tmp_path):
    intake.take(arrival(mr(InstanceNumber="1")))
    (row,) = intake.index.listing("visits")
    publisher = Publisher(tmp_path / "export", intake.staging, intake.index, LAYOUTS["dated"])
    approve(intake.index, first := Delivery(row["scan_research_id"], 1))
    publisher.publish(first)
    late = mr(InstanceNumber="2")
    late.SOPInstanceUID = "2.25.77"
    assert intake.take(arrival(late)) is Outcome.STORED
    assert staged(intake)[0].parent.name == f"{row['scan_research_id']}-2"


def test_many_threads_store_each_instance_once(intake):
    arrivals = [arrival(mr(number)) for number in range(8)] * 4
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(intake.take, arrivals))
    assert outcomes.count(Outcome.STORED) == 8
    assert outcomes.count(Outcome.UNCHANGED) == 24
    assert len(staged(intake)) == 8


def test_nothing_planted_is_found_outside_linkage_and_quarantine(intake, tmp_path):
    intake.take(arrival(mr()))
    intake.take(replace(arrival(mr(1)), data=arrival(mr(1)).data[:-1]))
    raw = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for word in (*needles(0), *needles(1)):
        assert word not in raw


# what is known and lost


def row_of(intake):
    (visit,) = {row["scan_research_id"] for row in intake.index.listing("visits")}
    (entry,) = [entry for entry in intake.index.of_visit(visit) if intake.index.files(entry.delivery)]
    ((name, digest),) = intake.index.files(entry.delivery).items()
    return entry, name, digest


def publish(intake, tmp_path):
    entry, name, _ = row_of(intake)
    approve(intake.index, entry.delivery)
    Publisher(tmp_path / "export", intake.staging, intake.index, LAYOUTS["dated"]).publish(entry.delivery)
    (file,) = (tmp_path / "export" / "DICOM").rglob(name)
    return file


def test_what_was_lost_in_staging_is_stored_again(intake):
    intake.take(arrival(mr()))
    (file,) = staged(intake)
    before = file.read_bytes()
    file.unlink()
    assert intake.take(arrival(mr())) is Outcome.STORED
    assert staged(intake) == [file]
    assert file.read_bytes() == before
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert intake.index.listing("totals")[0]["instances"] == 1


def test_other_bytes_with_the_same_content_bring_it_back_too(intake):
    intake.take(arrival(mr()))
    (file,) = staged(intake)
    file.unlink()
    renamed = mr()
    renamed.PatientName = "Other^Spelling"
    assert intake.take(arrival(renamed)) is Outcome.STORED
    assert hashlib.sha256(file.read_bytes()).digest() == row_of(intake)[2]


def test_what_was_lost_after_it_was_published_comes_late(intake, tmp_path):
    intake.take(arrival(mr()))
    file = publish(intake, tmp_path)
    file.unlink()
    assert intake.take(arrival(mr())) is Outcome.STORED
    (again,) = staged(intake)
    entry, name, digest = row_of(intake)
    assert (again.parent.name, again.name) == (entry.delivery.folder, name)
    assert entry.delivery.number == 2
    assert hashlib.sha256(again.read_bytes()).digest() == digest
    assert not file.exists()
    assert publish(intake, tmp_path).read_bytes()
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert intake.index.listing("totals")[0]["instances"] == 1


def test_a_published_visit_that_was_taken_over_and_removed_is_not_published_again(intake, tmp_path):
    intake.take(arrival(mr()))
    file = publish(intake, tmp_path)
    for one in file.parent.iterdir():
        one.unlink()
    file.parent.rmdir()
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert staged(intake) == []


def test_what_stands_published_is_unchanged(intake, tmp_path):
    intake.take(arrival(mr()))
    publish(intake, tmp_path)
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert staged(intake) == []


def test_a_visit_that_is_just_being_moved_has_lost_nothing(intake, tmp_path):
    intake.take(arrival(mr()))
    entry, _, _ = row_of(intake)
    approve(intake.index, entry.delivery)
    assert intake.index.begin_publishing(entry.delivery, "DICOM/2026/20261121/1")
    staged(intake)[0].unlink()  # as if it had not arrived in its new place yet
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED


def test_what_is_published_between_question_and_look_is_there(intake, tmp_path, monkeypatch):
    intake.take(arrival(mr()))
    asked = []
    ask = Index.listing

    def listing(index, query, **parameters):
        found = ask(index, query, **parameters)
        if query == "places" and not asked:
            asked.append(found)
            publish(intake, tmp_path)
        return found

    monkeypatch.setattr(Index, "listing", listing)
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert asked[0][0]["state"] == "receiving"
    assert staged(intake) == []


def test_many_who_send_a_lost_one_again_leave_one_file(intake):
    intake.take(arrival(mr()))
    staged(intake)[0].unlink()
    with ThreadPoolExecutor(16) as pool:
        outcomes = set(pool.map(lambda _: intake.take(arrival(mr())), range(32)))
    assert outcomes <= {Outcome.STORED, Outcome.UNCHANGED}
    assert Outcome.STORED in outcomes
    assert len(staged(intake)) == 1
    assert intake.index.listing("totals")[0]["instances"] == 1


def test_of_two_who_bring_a_lost_one_back_the_second_finds_it_published(intake, tmp_path, monkeypatch):
    intake.take(arrival(mr()))
    publish(intake, tmp_path).unlink()
    shown = meanwhile(intake, monkeypatch, lambda: publish(intake, tmp_path))
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    entry, _, digest = row_of(intake)
    assert (entry.delivery.number, entry.path) == (2, str(shown[0].parent.relative_to(tmp_path / "export")))
    assert hashlib.sha256(shown[0].read_bytes()).digest() == digest
    assert staged(intake) == []
    assert audited(intake, tmp_path) == []


def test_of_two_who_bring_one_back_into_the_delivery_it_was_lost_from_the_second_finds_it(
    intake, tmp_path, monkeypatch
):
    intake.take(arrival(mr()))
    staged(intake)[0].unlink()
    shown = meanwhile(intake, monkeypatch, lambda: publish(intake, tmp_path))
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert row_of(intake)[0].delivery.number == 1
    assert shown[0].exists()
    assert staged(intake) == []
    assert audited(intake, tmp_path) == []


def test_of_two_who_bring_one_back_at_once_the_second_leaves_the_first_ones_file(intake, tmp_path, monkeypatch):
    intake.take(arrival(mr()))
    (file,) = staged(intake)
    file.unlink()
    meanwhile(intake, monkeypatch, lambda: None)
    assert intake.take(arrival(mr())) is Outcome.UNCHANGED
    assert staged(intake) == [file]
    assert audited(intake, tmp_path) == []


def meanwhile(intake, monkeypatch, then):
    """The next one who looks in vain is overtaken by another sender of the same, and by what happens `then`."""
    found = []
    ask = Index.gathering

    def gathering(index, clean):
        if not found:
            found.append(None)  # the other one is not overtaken in its turn
            assert intake.take(arrival(mr())) is Outcome.STORED
            found[:] = [then()]
        return ask(index, clean)

    monkeypatch.setattr(Index, "gathering", gathering)
    return found


def audited(intake, tmp_path):
    """What `verify` finds."""
    return Audit(tmp_path / "export", tmp_path / "quarantine", intake.index).run().findings


def test_a_disk_that_does_not_say_is_no_success(intake, monkeypatch):
    intake.take(arrival(mr()))

    def broken(_path, **_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("pathlib.Path.exists", broken)
    assert intake.take(arrival(mr())) is Outcome.STORAGE_FAULT


def test_a_lost_one_with_other_content_is_still_in_conflict(intake):
    intake.take(arrival(mr()))
    staged(intake)[0].unlink()
    other = mr()
    other.PixelData = bytes(32)
    assert intake.take(arrival(other)) is Outcome.CONFLICTING
    assert staged(intake) == []
    assert len(sealed(intake)) == 1
