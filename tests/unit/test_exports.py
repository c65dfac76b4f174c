"""Exports over published visits: what is written, what a crash leaves, and what failing costs the others."""

import json
import os
import re
import stat
import sys
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path
from threading import Event

import nibabel
import numpy as np
import pytest
from doubles import VISIT
from exporting import DAY, Exporting
from visiting import image

from scp import log, metrics
from scp.config.kinds import Exports
from scp.db.exports import FIRST_RETRY_SECONDS, MOST_TRIES, Ledger
from scp.exports import EXPORTS, REMOVALS, ExportError, Surroundings, Visit
from scp.exports.exporter import Exporter
from scp.outcome import Failure, Outcome
from scp.verify import Audit

module = sys.modules["scp.exports.nifti"]  # its name in the package is the function
OTHER = "999999999999"


@pytest.fixture
def house(tmp_path, monkeypatch):
    return Exporting(tmp_path, monkeypatch)


def test_a_published_visit_is_exported_once(house):
    house.publish()
    assert house.exporter.round() == 2
    assert house.states() == {("catalog", VISIT, 1): "done", ("nifti", VISIT, 1): "done"}
    assert house.exporter.round() == 0
    assert house.restarted("catalog", "nifti").round() == 0
    assert house.metrics.exports.labels("nifti", "done")._value.get() == 1


def test_nothing_is_exported_before_it_is_published(house):
    house.store(image())
    assert house.exporter.round() == 0
    assert house.listing() == []


def test_the_catalog_has_a_line_for_each_visit_of_the_day(house):
    house.publish(OTHER, PatientAge="006M")
    house.publish()
    house.exporter.round()
    assert house.table() == [
        {"PATIENT_ID": "SAAAAAAAAAAAAAAAA", "VISIT_ID": VISIT, "VISIT_DATE": "01/09/2025", "PATIENT_AGE": "72"},
        {"PATIENT_ID": "SAAAAAAAAAAAAAAAA", "VISIT_ID": OTHER, "VISIT_DATE": "01/09/2025", "PATIENT_AGE": "0"},
    ]
    house.ledger.again("catalog", VISIT)
    house.exporter.round()
    assert len(house.table()) == 2


def test_a_table_that_somebody_saved_in_another_encoding_holds_nothing_up(house):
    house.publish()
    house.exporter.round()
    table = house.config.export / "EHR" / DAY / "mri_visits.csv"
    table.write_bytes(table.read_bytes() + "Zürich,1,,\n".encode("latin-1"))
    house.publish(visit=OTHER)
    assert house.exporter.round() == 2
    assert {VISIT, OTHER} <= {row["VISIT_ID"] for row in house.table()}
    REMOVALS["catalog"](VISIT, house.where, lambda _folder: None)
    assert VISIT not in {row["VISIT_ID"] for row in house.table()}


def test_what_headers_do_not_say_is_empty(house):
    house.publish(AcquisitionDate=None, SeriesDate=None, PatientAge=None)
    house.restarted("catalog").round()
    assert house.table()[0]["VISIT_DATE"] == house.table()[0]["PATIENT_AGE"] == ""


def test_a_volume_is_the_slices_and_its_sidecar_names_what_the_contract_names(house):
    house.publish()
    house.exporter.round()
    folder = house.config.export / "NIFTI" / DAY / VISIT
    names = sorted(path.name for path in folder.iterdir())
    assert names == [".ready", f"{VISIT}_1.json", f"{VISIT}_1.nii"]
    volume = nibabel.load(folder / f"{VISIT}_1.nii")
    assert volume.shape == (8, 8, 4)
    assert set(np.unique(np.asarray(volume.dataobj))) == set(range(64))
    said = json.loads((folder / f"{VISIT}_1.json").read_text())
    assert (said["PatientID"], said["StudyID"], said["SeriesDescription"]) == ("SAAAAAAAAAAAAAAAA", VISIT, "T1 MPRAGE")
    assert set(said) <= {*module.KEPT, *module.PHYSICS}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in folder.iterdir())
    assert [path.name for path in house.staging.root.iterdir() if path.name.startswith("nifti")] == []


def test_defaults_of_the_account_change_no_voxel(house, tmp_path, monkeypatch):
    """dcm2niix reads a file of the home folder unless it is told not to, which could have it scale voxels."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".dcm2nii.ini").write_text("isMaximize16BitRange=1\n")
    house.publish()
    house.exporter.round()
    volume = nibabel.load(house.config.export / "NIFTI" / DAY / VISIT / f"{VISIT}_1.nii")
    assert set(np.unique(volume.dataobj.get_unscaled())) == set(range(64))


def test_volumes_can_be_compressed(house):
    house.publish()
    house.exporter.round()
    folder = house.config.export / "NIFTI" / DAY / VISIT
    plain = nibabel.load(folder / f"{VISIT}_1.nii").get_fdata()
    house.exporter.where = replace(house.where, gzip=True)
    house.ledger.again("nifti", VISIT)
    house.exporter.round()
    assert sorted(path.name for path in folder.iterdir()) == [".ready", f"{VISIT}_1.json", f"{VISIT}_1.nii.gz"]
    volume = nibabel.load(folder / f"{VISIT}_1.nii.gz")
    assert np.array_equal(volume.get_fdata(), plain)
    assert json.loads((folder / f"{VISIT}_1.json").read_text())["StudyID"] == VISIT


def test_nothing_but_the_allow_lists_gets_from_a_sidecar_into_ours(tmp_path):
    sidecar = tmp_path / "a.json"
    sidecar.write_text(json.dumps({"EchoTime": 0.003, "StationName": "Zq7", "SeriesNumber": 1, "ImageComments": "Zq7"}))
    (tmp_path / "1.dcm").write_bytes(b"".join(image(1).parts))
    module._describe(sidecar, Visit(VISIT, 1, tmp_path).headers())
    assert "Zq7" not in sidecar.read_text()
    assert json.loads(sidecar.read_text())["EchoTime"] == 0.003


def test_series_of_one_number_have_sidecars_of_their_own(house):
    """Each study of a visit counts its series from 1."""
    pixels = {"Rows": 8, "Columns": 8, "PixelData": bytes(128)}
    second = {"StudyInstanceUID": "2.25.62", "SeriesInstanceUID": "2.25.63", "SeriesDescription": "T2 FLAIR"}
    house.store(*(image(number, **pixels) for number in range(1, 5)))
    house.store(*(image(number, **pixels, **second, SliceThickness="3") for number in range(5, 9)))
    house.later()
    house.exporter.round()
    folder = house.config.export / "NIFTI" / DAY / VISIT
    said = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    found = sorted((one["SeriesDescription"], one["SliceThickness"], one["SeriesNumber"]) for one in said)
    assert found == [("T1 MPRAGE", "1", "1"), ("T2 FLAIR", "3", "1")]
    assert not any("UID" in field for one in said for field in one)


def test_late_instances_of_the_day_are_in_the_volume(house):
    house.publish(count=4)
    house.exporter.round()
    pixels = {"Rows": 8, "Columns": 8, "PixelData": bytes(128)}
    house.store(image(5, **pixels))
    house.later()
    assert house.exporter.round() == 2
    assert nibabel.load(house.config.export / "NIFTI" / DAY / VISIT / f"{VISIT}_1.nii").shape == (8, 8, 5)
    assert set(house.states()) == {(name, VISIT, number) for name in ("catalog", "nifti") for number in (1, 2)}


def test_a_killed_exporter_is_taken_up_again(house):
    house.publish()

    def killed(_visit, _where):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scp.exports.exporter.EXPORTS", {**EXPORTS, "nifti": killed})
        with pytest.raises(KeyboardInterrupt):
            house.exporter.round()
    left = house.where.work / f"nifti-{VISIT}-1"
    left.mkdir(parents=True)
    (left / f"{VISIT}_9.nii").write_bytes(b"half")
    assert house.restarted("catalog", "nifti").round() == 1
    folder = house.config.export / "NIFTI" / DAY / VISIT
    assert not (folder / f"{VISIT}_9.nii").exists()
    assert not left.exists()


def twice(number, **attributes):
    """One more of a slice: with many others, dcm2niix makes a volume whose slices do not fit, and no sidecar."""
    pixels = {"Rows": 8, "Columns": 8, "PixelData": np.arange(64, dtype="<u2").tobytes()}
    place = {"InstanceNumber": str(number), "ImagePositionPatient": ["-10", "-20", str(number)]}
    return image(999, **{**pixels, **place, "SliceLocation": str(number), **attributes})


def test_a_volume_that_has_no_sidecar_is_left_out_and_said_to_be(house):
    house.store(twice(1))
    house.store(image(500, Rows=8, Columns=8, PixelData=bytes(128), SeriesNumber="2", SeriesInstanceUID="2.25.8"))
    house.publish(count=40)
    house.exporter.round()
    (said,) = [row for row in house.listing() if row["name"] == "nifti"]
    assert (said["state"], said["why"]) == ("done", "1 series left out: dcm2niix gives the volume no sidecar")
    names = {path.name for path in (house.config.export / "NIFTI" / DAY / VISIT).iterdir()}
    assert names == {".ready", f"{VISIT}_2.nii", f"{VISIT}_2.json"}


def test_a_visit_of_which_no_volume_has_a_sidecar_is_a_failure_in_words(house):
    house.store(twice(1))
    house.publish(count=40)
    house.exporter.round()
    (said,) = [row for row in house.listing() if row["name"] == "nifti"]
    assert (said["state"], said["why"]) == ("waiting", "dcm2niix made no volume with a sidecar, and ended with 1")
    assert not (house.config.export / "NIFTI").exists()


def test_what_dcm2niix_makes_of_a_volume_besides_goes_with_its_sidecar(house):
    """Slices that are not equally far from each other are resampled into a second volume."""
    house.store(twice(5))
    house.publish(count=5)
    house.exporter.round()
    names = {path.name for path in (house.config.export / "NIFTI" / DAY / VISIT).iterdir()}
    assert {f"{VISIT}_1.nii", f"{VISIT}_1.json", f"{VISIT}_1_Eq_1.nii"} <= names
    assert {row["why"] for row in house.listing() if row["name"] == "nifti"} == {""}


@pytest.mark.parametrize("sidecar", [b"{", b'{"EchoTime": "\xff"}'])
def test_a_sidecar_that_cannot_be_read_is_a_failure_in_words(house, monkeypatch, sidecar):
    convert = module._convert

    def spoilt(visit, work, *, zipped):
        convert(visit, work, zipped=zipped)
        next(work.glob("*.json")).write_bytes(sidecar)

    monkeypatch.setattr(module, "_convert", spoilt)
    house.publish()
    assert house.exporter.round() == 1  # the other export
    assert "dcm2niix made a sidecar that cannot be read" in {row["why"] for row in house.listing()}
    assert not (house.config.export / "NIFTI").exists()


def test_killed_while_it_replaces_a_folder_it_replaces_it_the_next_time(house, monkeypatch):
    monkeypatch.setattr("scp.store.exchange._RENAME", None)  # else nothing is ever left
    house.publish()
    assert house.exporter.round() == 2
    old = house.where.work / f"nifti-{VISIT}-1.old"
    old.mkdir(parents=True)
    (old / f"{VISIT}_1.nii").write_bytes(b"what stood there before")
    assert house.ledger.again("nifti", VISIT) == 1
    assert house.exporter.round() == 1
    assert not old.exists()
    assert (house.config.export / "NIFTI" / DAY / VISIT / ".ready").exists()


def test_what_a_killed_one_had_in_hand_is_gone_when_it_starts_and_is_no_orphan(house):
    house.publish()
    left = house.where.work / "nifti-4711-1.old" / "volume.nii"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    found = Audit(house.config.export, house.config.quarantine, house.index).run()
    assert found.findings == []
    stop = Event()
    house.exporter.run(stop, 0.0, stop.set)
    assert not house.where.work.exists() or not list(house.where.work.iterdir())


def test_what_fails_leaves_no_volume_behind(house, monkeypatch):
    """It would outlive the visit: nobody looks there before the next start."""
    monkeypatch.setattr(module, "_close", lambda work, _group: (work / "a.nii").unlink())
    house.publish()
    assert house.exporter.round() == 1  # the other export
    assert [row["state"] for row in house.listing() if row["name"] == "nifti"] == ["waiting"]
    assert list(house.where.work.iterdir()) == []


def test_a_failure_is_logged_with_what_comes_of_it(house, monkeypatch):
    said = StringIO()
    log._route("json", "error", said)

    def failing(_visit, _where):
        raise ExportError("no volume")

    monkeypatch.setattr("scp.exports.exporter.EXPORTS", {**EXPORTS, "nifti": failing})
    house.publish()
    for _ in range(MOST_TRIES):
        house.exporter.round()
        house.now += 3600.0
    log._route("auto", "info", None)
    entries = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [entry["state"] for entry in entries] == ["waiting"] * (MOST_TRIES - 1) + ["failed"]
    assert {(entry["event"], entry["why"]) for entry in entries} == {("export_failed", "no volume")}


@pytest.mark.parametrize("error", [ExportError("no volume"), Failure(Outcome.OUT_OF_RESOURCES, "no room")])
def test_what_fails_is_tried_again_with_limits_and_holds_nothing_up(house, monkeypatch, error):
    house.publish(OTHER)
    house.publish()
    tried = []

    def failing(visit, where):
        tried.append(house.now)
        if visit.scan_research_id == VISIT:
            raise error
        EXPORTS["catalog"](visit, where)

    monkeypatch.setattr("scp.exports.exporter.EXPORTS", {"catalog": failing, "nifti": EXPORTS["catalog"]})
    house.exporter.round()
    assert house.states()["catalog", OTHER, 1] == house.states()["nifti", VISIT, 1] == "done"
    assert house.exporter.round() == 0
    start, waits = house.now, []
    while house.states()["catalog", VISIT, 1] == "waiting":
        house.now += FIRST_RETRY_SECONDS / 2
        before = len(tried)
        house.exporter.round()
        if len(tried) > before:
            waits.append(house.now - start)
            start = house.now
    assert waits == [FIRST_RETRY_SECONDS * 2**number for number in range(MOST_TRIES - 1)]
    (row,) = [row for row in house.listing() if row["state"] == "failed"]
    assert (row["tries"], row["why"]) == (MOST_TRIES, error.why if isinstance(error, Failure) else str(error))
    assert house.metrics.exports.labels("catalog", "failed")._value.get() == MOST_TRIES
    house.now += 10**6
    assert house.exporter.round() == 0

    monkeypatch.undo()
    monkeypatch.setattr("scp.db.exports.time.time", lambda: house.now)
    assert house.ledger.again("catalog", VISIT) == 1
    assert house.exporter.round() == 1


def test_a_folder_that_was_taken_away_is_a_failure_in_words(house):
    house.publish()
    for path in (house.config.export / "DICOM" / DAY / VISIT).iterdir():
        path.unlink()
    assert house.exporter.round() == 0
    assert {row["why"] for row in house.listing()} == {"the published folder is gone, or empty"}


def test_without_dcm2niix_or_a_volume_nothing_appears(house, monkeypatch):
    house.publish()
    monkeypatch.setattr("scp.exports.volumes.program", lambda: None)
    with pytest.raises(ExportError, match="not installed"):
        EXPORTS["nifti"](Visit(VISIT, 1, house.config.export / "DICOM" / DAY / VISIT), house.where)
    monkeypatch.setattr("scp.exports.volumes.program", lambda: "/bin/true")
    with pytest.raises(ExportError, match="made no volume"):
        EXPORTS["nifti"](Visit(VISIT, 1, house.config.export / "DICOM" / DAY / VISIT), house.where)
    assert not (house.config.export / "NIFTI").exists()


def test_what_is_no_longer_configured_waits(house):
    house.publish()
    house.ledger.offer("nifti", 0.0)
    assert house.restarted("catalog").round() == 1
    assert house.states()["nifti", VISIT, 1] == "waiting"
    assert house.restarted("nifti").round() == 1


def test_a_database_that_does_not_answer_ends_the_round_only(house, monkeypatch):
    def busy(*_):
        raise Failure(Outcome.OUT_OF_RESOURCES, "busy")

    monkeypatch.setattr(Ledger, "due", busy)
    assert house.exporter.round() == 0


def test_it_runs_until_told_to_stop(house):
    house.publish()
    stop, beats = Event(), []

    def alive():
        beats.append(1)
        if len(beats) == 2:  # once a round, and before each export
            stop.set()

    house.exporter.run(stop, 0.0, alive)
    assert len(house.listing()) == 2
    assert sorted(house.states().values()) == ["done", "waiting"]


def test_what_is_written_belongs_to_the_group(house, monkeypatch):
    given = set()
    monkeypatch.setattr(os, "chown", lambda path, _owner, group: given.add((Path(path).name, group)))
    house.publish()
    where = Surroundings(house.config.export, house.where.work, 1011, lambda: date(2031, 2, 3))
    Exporter(house.ledger, ["catalog", "nifti"], where, house.metrics, now=lambda: house.now).round()
    named = {name for name, group in given if group == 1011}
    assert {"NIFTI", "EHR", "2031", "20310203", "mri_visits.csv", f"{VISIT}_1.nii", ".ready"} <= named


def test_settings_table_and_metric_name_the_same_exports():
    assert list(metrics.EXPORTS) == list(EXPORTS)
    assert set(re.findall(r"'(\w+)'", str(Exports.__args__[0]))) == set(EXPORTS)
