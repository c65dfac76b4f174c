"""The BIDS dataset: where volumes stand, what the validator says of them, and what a kill at any moment leaves."""

import gzip
import json
import os
import stat
import struct
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from doubles import VISIT, clean
from exporting import Exporting, complaints
from pydicom.tag import Tag
from visiting import PSEUDONYM, encoded, header, image

from scp.exports import EXPORTS, ExportError, Surroundings, Visit, dataset
from scp.exports.volumes import convert, dimensions

module = sys.modules["scp.exports.bids"]  # its name in the package is the function
OTHER, SECOND = "999999999999", "SBBBBBBBBBBBBBBBB"
SESSION = f"sub-{PSEUDONYM}/ses-{VISIT}"
T1W = f"{SESSION}/anat/sub-{PSEUDONYM}_ses-{VISIT}_T1w"


def pixels(seed=0):
    return {"Rows": 8, "Columns": 8, "PixelData": np.arange(seed, 64 + seed, dtype="<u2").tobytes()}


def series(number, description, visit=VISIT, count=4, **attributes):
    """Slices of a series that no other one shares a UID or a file name with."""
    values = {"SeriesNumber": str(number), "SeriesInstanceUID": f"2.25.7{number}", "SeriesDescription": description}
    return [
        image(
            number * 1000 + slice_,
            visit=visit,
            **{**pixels(number), "SliceLocation": str(slice_), "ImagePositionPatient": ["-10", "-20", str(slice_)]}
            | values
            | attributes,
        )
        for slice_ in range(1, count + 1)
    ]


class Growing(Exporting):
    """A house that exports BIDS only."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder, monkeypatch, ("bids",))
        self.patch = monkeypatch
        self.root = self.config.export / "BIDS"

    def give(self, *instances):
        self.store(*instances)
        assert self.later() >= 1
        return self.exporter.round()

    def mapped(self, **patterns):
        self.exporter.where = Surroundings(
            self.config.export, self.staging.work, -1, lambda: self.today, bids={**patterns}
        )

    def converts(self, converter):
        self.patch.setattr(module, "convert", converter)

    def files(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def rows(self, name):
        return [line.split("\t") for line in (self.root / name).read_text().splitlines()]

    def said(self):
        return {row["why"] for row in self.listing()}


@pytest.fixture
def house(tmp_path, monkeypatch):
    return Growing(tmp_path, monkeypatch)


def test_a_visit_is_a_session_of_a_dataset_that_is_valid(house, tmp_path):
    assert house.give(*series(1, "T1 MPRAGE")) == 1
    assert house.files() == [
        "README",
        "dataset_description.json",
        "participants.json",
        "participants.tsv",
        "sessions.json",
        f"{T1W}.json",
        f"{T1W}.nii.gz",
        f"sub-{PSEUDONYM}/sub-{PSEUDONYM}_sessions.tsv",
    ]
    volume = nibabel.load(house.root / f"{T1W}.nii.gz")
    assert volume.shape == (8, 8, 4)
    assert set(np.unique(np.asarray(volume.dataobj))) == set(range(1, 65))
    assert house.rows("participants.tsv") == [["participant_id", "sex"], [f"sub-{PSEUDONYM}", "F"]]
    assert house.rows(f"sub-{PSEUDONYM}/sub-{PSEUDONYM}_sessions.tsv") == [
        ["session_id", "age"],
        [f"ses-{VISIT}", "72"],
    ]
    assert complaints(house.root, tmp_path) == []
    assert house.said() == {""}
    assert not list(house.where.work.iterdir())


def test_the_validator_is_one_that_finds_what_is_wrong(house, tmp_path):
    house.give(*series(1, "T1 MPRAGE"))
    (house.root / "dataset_description.json").unlink()
    (house.root / f"{T1W}.nii.gz").rename(house.root / SESSION / "anat" / "T1.nii.gz")
    assert {"MISSING_DATASET_DESCRIPTION", "NOT_INCLUDED"} <= {code for code, _ in complaints(house.root, tmp_path)}


def test_a_sidecar_says_what_the_allow_list_names_and_nothing_of_the_person_but_sex_and_age(house):
    house.give(*series(1, "T1 MPRAGE", RepetitionTime="7", InstitutionName="Zq7", StationName="Zq7"))
    text = (house.root / f"{T1W}.json").read_text()
    assert set(json.loads(text)) <= {*module.KEPT, *module.OF_THE_PERSON}
    assert (json.loads(text)["RepetitionTime"], json.loads(text)["PatientAge"]) == (0.007, "072Y")
    assert "Zq7" not in text
    assert not {"PatientID", "PatientBirthDate", "AcquisitionDate", "StudyID"} & set(json.loads(text))


def test_files_and_folders_are_the_groups_alone(house, monkeypatch):
    given = set()
    monkeypatch.setattr(os, "chown", lambda path, _owner, group: given.add((Path(path).name, group)))
    house.exporter.where = Surroundings(house.config.export, house.staging.work, 1011, lambda: house.today)
    house.give(*series(1, "T1 MPRAGE"))
    made = list(house.root.rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o640, 0o750}
    assert {(path.name, 1011) for path in (house.root, *made)} <= given


def test_what_no_pattern_places_is_left_out_and_said(house, tmp_path):
    house.give(*series(1, "T1 MPRAGE"), *series(2, "LOCALIZER"), *series(3, "T1 MAP"), *series(4, "UNLISTED"))
    assert [name for name in house.files() if name.endswith(".nii.gz")] == [f"{T1W}.nii.gz"]
    assert house.said() == {"3 series left out: no place in [bids]"}
    assert complaints(house.root, tmp_path) == []


def test_where_nothing_has_a_place_there_is_no_dataset(house):
    assert house.give(*series(1, "LOCALIZER")) == 1
    assert not house.root.exists()
    assert house.said() == {"1 series left out: no place in [bids]"}


def test_series_of_one_place_are_runs_in_their_order(house, tmp_path):
    house.mapped(**{"*t1*": "anat/acq-mprage_T1w", "*t2*": "anat/T2w", "*flair*": "anat/FLAIR"})
    house.give(*series(12, "T1 A"), *series(3, "T1 B"), *series(4, "T2 FLAIR"))
    anat = house.root / SESSION / "anat"
    stem = f"sub-{PSEUDONYM}_ses-{VISIT}"
    assert sorted(path.name for path in anat.glob("*.nii.gz")) == [
        f"{stem}_T2w.nii.gz",  # the first pattern that fits
        f"{stem}_acq-mprage_run-1_T1w.nii.gz",
        f"{stem}_acq-mprage_run-2_T1w.nii.gz",
    ]
    numbers = [
        json.loads((anat / f"{stem}_acq-mprage_run-{run}_T1w.json").read_text())["SeriesNumber"] for run in (1, 2)
    ]
    assert numbers == [3, 12]
    assert complaints(house.root, tmp_path) == []


def bold(times=3, **attributes):
    """A series of volumes in time, as an EPI sequence makes it."""
    return [
        image(
            5000 + time_ * 10 + slice_,
            **pixels(time_),
            SeriesNumber="5",
            SeriesInstanceUID="2.25.75",
            SeriesDescription="BOLD REST",
            AcquisitionNumber=str(time_),
            TemporalPositionIdentifier=str(time_),
            NumberOfTemporalPositions=str(times),
            ImagePositionPatient=["-10", "-20", str(slice_)],
            SliceLocation=str(slice_),
            **attributes,
        )
        for time_ in range(1, times + 1)
        for slice_ in range(1, 5)
    ]


def test_a_run_of_volumes_gets_its_task(house, tmp_path):
    house.mapped(**{"bold*": "func/task-rest_bold"})
    house.give(*bold(RepetitionTime="2000"))
    stem = house.root / SESSION / "func" / f"sub-{PSEUDONYM}_ses-{VISIT}_task-rest_bold"
    assert nibabel.load(f"{stem}.nii.gz").shape == (8, 8, 4, 3)
    assert json.loads(Path(f"{stem}.json").read_text())["TaskName"] == "rest"
    assert complaints(house.root, tmp_path) == []


def test_what_bids_would_not_take_under_its_suffix_is_left_out(house):
    house.mapped(**{"bold*": "func/task-rest_bold", "dwi*": "dwi/dwi", "t1*": "anat/T1w", "epi*": "fmap/dir-AP_epi"})
    house.give(*bold(), *series(6, "DWI"), *series(7, "EPI"))  # no RepetitionTime, no b-values, no readout time
    assert house.said() == {"3 series left out: not what BIDS wants under this suffix"}
    house.mapped(**{"bold*": "anat/T1w"})
    assert house.ledger.again("bids", VISIT) == 1
    house.exporter.round()
    assert house.said() == {
        "2 series left out: no place in [bids]; 1 series left out: not what BIDS wants under this suffix"
    }
    assert not house.root.exists()


class Converter:
    """A dcm2niix that makes what it is told: by name, a shape; beside each a sidecar and b-values."""

    def __init__(self, *names, shape=(8, 8, 4), code=0, **sidecar):
        self.names, self.shape, self.code, self.sidecar = names, shape, code, sidecar

    def without_sidecar(self):
        self.sidecar = None
        return self

    def __call__(self, source, target, name, *, zipped):
        assert list(source.iterdir())
        assert zipped
        made = convert(source, target, name, zipped=zipped)
        for path in target.iterdir():
            path.unlink()
        for suffix in self.names:
            volume = nibabel.Nifti1Image(np.zeros(self.shape, "i2"), np.eye(4))
            volume.header.set_xyzt_units("mm", "sec")
            if len(self.shape) == 4:
                volume.header["pixdim"][4] = 2
            nibabel.save(volume, target / f"{name}{suffix}.nii.gz")
            if self.sidecar is not None:
                (target / f"{name}{suffix}.json").write_text(json.dumps(self.sidecar))
            count = self.shape[-1]
            (target / f"{name}{suffix}.bval").write_text(" ".join(["0"] * count) + "\n")
            (target / f"{name}{suffix}.bvec").write_text((" ".join(["0"] * count) + "\n") * 3)
        return made._replace(volumes=tuple(sorted(target.glob("*.nii.gz"))), code=self.code)


@pytest.mark.parametrize(
    ("place", "converter", "made"),
    [
        (
            "dwi/dwi",
            Converter("", shape=(4, 4, 4, 3)),
            [f"dwi/_dwi.{suffix}" for suffix in ("bval", "bvec", "json", "nii.gz")],
        ),
        (
            "fmap/dir-AP_epi",
            Converter("", PhaseEncodingDirection="j", TotalReadoutTime=0.05),
            ["fmap/_dir-AP_epi.json", "fmap/_dir-AP_epi.nii.gz"],
        ),
        (
            "func/task-n_bold",
            Converter("_e1", "_e2", shape=(4, 4, 4, 3), RepetitionTime=2, EchoTime=0.03),
            [f"func/_task-n_echo-{echo}_bold.{suffix}" for echo in (1, 2) for suffix in ("json", "nii.gz")],
        ),
        (
            "func/task-n_bold",
            Converter("_e2", shape=(4, 4, 4, 3), RepetitionTime=2),
            ["func/_task-n_bold.json", "func/_task-n_bold.nii.gz"],
        ),
    ],
)
def test_what_comes_of_a_series_decides_on_its_names(house, tmp_path, place, converter, made):
    house.converts(converter)
    house.mapped(**{"*": place})
    house.give(*series(1, "ANY"))
    found = [name.removeprefix(f"{SESSION}/") for name in house.files() if "/ses-" in name]
    assert [name.replace(f"sub-{PSEUDONYM}_ses-{VISIT}", "") for name in found] == made
    assert house.said() == {""}
    assert complaints(house.root, tmp_path) == []


@pytest.mark.parametrize(
    ("place", "converter", "why"),
    [
        ("func/task-n_bold", Converter("_e1", "_e1_ph"), "dcm2niix makes several volumes of it"),
        ("anat/T1w", Converter("_e1", "_e2"), "dcm2niix makes several volumes of it"),
        ("anat/T1w", Converter("", code=10), "dcm2niix does not take all of it"),
        ("anat/T1w", Converter(code=8), "dcm2niix does not take all of it"),
        ("anat/T1w", Converter(code=2), "dcm2niix finds no image in it"),
        ("anat/T1w", Converter("", shape=(4, 4, 4, 3)), "not what BIDS wants under this suffix"),
        ("anat/T1w", Converter("", code=1).without_sidecar(), "dcm2niix gives the volume no sidecar"),
    ],
)
def test_what_is_not_surely_one_thing_is_left_out(house, place, converter, why):
    house.converts(converter)
    house.mapped(**{"*": place})
    assert house.give(*series(1, "ANY")) == 1
    assert not house.root.exists()
    assert house.said() == {f"1 series left out: {why}"}


@pytest.mark.parametrize(
    ("converter", "why"),
    [
        (Converter(), "dcm2niix made no volume of a series that [bids] places, and ended with 0"),
        (Converter(code=5), "dcm2niix made no volume of a series that [bids] places, and ended with 5"),
        (Converter("", code=6), "dcm2niix made no volume of a series that [bids] places, and ended with 6"),
    ],
)
def test_a_series_that_has_a_place_and_no_volume_fails_and_leaves_the_session_as_it_was(house, converter, why):
    house.give(*series(1, "T1 MPRAGE"))
    before = {name: (house.root / name).read_bytes() for name in house.files()}
    house.converts(converter)
    assert house.give(*series(2, "T1 SPGR")) == 0
    assert house.said() == {"", why}
    assert {name: (house.root / name).read_bytes() for name in house.files()} == before


@pytest.mark.parametrize(("keyword", "vr", "end"), [("SeriesNumber", "IS", b"9"), ("PatientAge", "AS", b"Y")])
def test_a_number_that_is_too_long_for_any_holds_nothing_up(house, keyword, vr, end):
    """A sender may write more digits than Python reads; what comes behind that visit is exported all the same."""
    for number in range(1, 5):
        written, tag = encoded(header(number, **pixels())), Tag(keyword)
        at = written.index(struct.pack("<HH2s", tag.group, tag.element, vr.encode())) + 6
        behind = at + 2 + int.from_bytes(written[at : at + 2], "little")
        value = b"9" * 5999 + end
        body = written[:at] + len(value).to_bytes(2, "little") + value + written[behind:]
        house.store(clean(number, body=body))
    assert house.give(*series(1, "T1 MPRAGE", OTHER)) == 2
    assert f"{T1W}.nii.gz" in house.files()
    assert ["ses-" + VISIT, "n/a" if vr == "AS" else "72"] in house.rows(
        f"sub-{PSEUDONYM}/sub-{PSEUDONYM}_sessions.tsv"
    )


def test_a_report_among_the_images_holds_nothing_up(house, tmp_path):
    house.mapped(**{"*": "anat/T1w"})
    report = {"PixelData": None, "Rows": None, "Columns": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22"}
    house.give(*series(1, "T1 MPRAGE"), *series(99, "T1 REPORT", count=1, **report, Modality="SR"))
    assert house.said() == {"1 series left out: dcm2niix finds no image in it"}
    assert [name for name in house.files() if name.endswith(".nii.gz")] == [f"{T1W}.nii.gz"]
    assert complaints(house.root, tmp_path) == []


def test_late_instances_are_in_the_session_with_those_of_all_its_days(house):
    house.give(*series(1, "T1 MPRAGE"))
    house.today = house.today.replace(day=4)
    house.give(*(one for one in series(1, "T1 MPRAGE", count=6) if one.instance_number > 1004))
    assert len(list((house.config.export / "DICOM" / "2031").iterdir())) == 2
    assert nibabel.load(house.root / f"{T1W}.nii.gz").shape == (8, 8, 6)
    assert [path.name for path in (house.root / f"sub-{PSEUDONYM}").glob("ses-*")] == [f"ses-{VISIT}"]
    assert len(house.rows(f"sub-{PSEUDONYM}/sub-{PSEUDONYM}_sessions.tsv")) == 2


def test_where_a_day_is_gone_the_session_stays_as_it_was(house):
    house.give(*series(1, "T1 MPRAGE"))
    before = (house.root / f"{T1W}.nii.gz").read_bytes()
    for path in (house.config.export / "DICOM" / "2031" / "20310203" / VISIT).iterdir():
        path.unlink()
    house.today = house.today.replace(day=4)
    assert house.give(*(one for one in series(1, "T1 MPRAGE", count=6) if one.instance_number > 1004)) == 0
    assert "the folder of 20310203 is gone or empty, so what came later cannot join the session" in house.said()
    assert (house.root / f"{T1W}.nii.gz").read_bytes() == before


def test_the_dataset_grows_by_sessions_and_subjects(house, tmp_path):
    house.give(*series(1, "T1 MPRAGE"))
    house.give(*series(1, "T1 MPRAGE", OTHER, PatientAge="006M"))
    house.give(*series(1, "T1 MPRAGE", "4711", PatientID=SECOND, PatientSex="O", PatientAge=None))
    assert house.rows(f"sub-{PSEUDONYM}/sub-{PSEUDONYM}_sessions.tsv")[1:] == [
        [f"ses-{VISIT}", "72"],
        [f"ses-{OTHER}", "0"],
    ]
    assert house.rows("participants.tsv")[1:] == [[f"sub-{PSEUDONYM}", "F"], [f"sub-{SECOND}", "n/a"]]
    assert house.rows(f"sub-{SECOND}/sub-{SECOND}_sessions.tsv")[1:] == [["ses-4711", "n/a"]]
    assert complaints(house.root, tmp_path) == []


def test_a_subject_that_did_not_change_is_not_read_again(house, monkeypatch):
    house.give(*series(1, "T1 MPRAGE", "4711", PatientID=SECOND))
    read = []
    said = dataset._said
    monkeypatch.setattr(
        dataset, "_said", lambda session, keyword: read.append(session.parent.name) or said(session, keyword)
    )
    house.give(*series(1, "T1 MPRAGE"))
    assert set(read) == {f"sub-{PSEUDONYM}"}
    assert [row[0] for row in house.rows("participants.tsv")[1:]] == [f"sub-{PSEUDONYM}", f"sub-{SECOND}"]


def test_a_session_that_is_replaced_is_never_renamed_away(house):
    house.give(*series(1, "T1 MPRAGE"))
    steps = []

    def hear(event, args):
        if watched and event == "os.rename":
            steps.append(tuple(Path(os.fsdecode(path)).name for path in args[:2]))

    watched = [True]
    sys.addaudithook(hear)
    house.ledger.again("bids", VISIT)
    house.exporter.round()
    watched.clear()
    assert steps, "the tables are"
    assert not [step for step in steps if f"ses-{VISIT}" in step]
    assert not list(house.where.work.iterdir())


def test_a_session_of_which_nothing_has_a_place_any_more_goes_and_its_subject_with_the_last(house, tmp_path):
    house.give(*series(1, "T1 MPRAGE"))
    house.give(*series(1, "T1 MPRAGE", OTHER))
    house.give(*series(1, "T1 MPRAGE", "4711", PatientID=SECOND))
    house.mapped(**{"t2*": "anat/T2w"})
    for visit in (OTHER, "4711"):
        house.ledger.again("bids", visit)
    assert house.exporter.round() == 2
    assert [row[0] for row in house.rows("participants.tsv")[1:]] == [f"sub-{PSEUDONYM}"]
    assert [row[0] for row in house.rows(f"sub-{PSEUDONYM}/sub-{PSEUDONYM}_sessions.tsv")[1:]] == [f"ses-{VISIT}"]
    assert not (house.root / f"sub-{SECOND}").exists()
    assert complaints(house.root, tmp_path) == []


def test_what_a_site_wrote_at_the_top_stays_and_a_spoilt_table_is_made_again(house):
    house.give(*series(1, "T1 MPRAGE"))
    house.give(*series(1, "T1 MPRAGE", "4711", PatientID=SECOND))
    (house.root / "README").write_text("ours")
    (house.root / "participants.json").unlink()
    for spoilt in (b"\xff\x00", b"participant_id\tsex\tage\nsub-x\t1\t2\n", b""):
        (house.root / "participants.tsv").write_bytes(spoilt)
        house.ledger.again("bids", VISIT)
        assert house.exporter.round() == 1
        assert house.rows("participants.tsv")[1:] == [[f"sub-{PSEUDONYM}", "F"], [f"sub-{SECOND}", "F"]]
    assert (house.root / "README").read_text() == "ours"
    assert (house.root / "participants.json").exists()
    (house.root / f"{T1W}.json").write_bytes(b"\xff")
    dataset.Dataset(house.root, house.where.work, -1).renew(f"sub-{PSEUDONYM}")
    assert house.rows("participants.tsv")[1] == [f"sub-{PSEUDONYM}", "n/a"]


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"PatientID": "S_AAAAAAA"}, "PatientID is not of letters and digits alone, so it is no label in BIDS"),
        ({"PatientID": ""}, "PatientID is not of letters and digits alone, so it is no label in BIDS"),
        ({"PatientID": SECOND}, "the visit's files name several subjects"),
    ],
)
def test_a_label_is_the_pseudonym_itself_or_there_is_none(house, monkeypatch, spoilt, why):
    object.__setattr__(house.config.gates, "consistent", "pass")
    second = [] if spoilt["PatientID"] != SECOND else series(2, "T1 MPRAGE")
    assert house.give(*series(1, "T1 MPRAGE", **spoilt), *second) == 0
    assert house.said() == {why}
    assert not house.root.exists()


def test_without_dcm2niix_or_a_whole_volume_nothing_appears(house, tmp_path, monkeypatch):
    monkeypatch.setattr("scp.exports.volumes.program", lambda: None)
    house.give(*series(1, "T1 MPRAGE"))
    assert house.said() == {"dcm2niix is not installed"}
    script = tmp_path / "dcm2niix"
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr("scp.exports.volumes.program", lambda: str(script))
    with pytest.raises(ExportError, match="ended by signal 9"):
        EXPORTS["bids"](Visit(VISIT, 1, house.config.export / "DICOM" / "2031" / "20310203" / VISIT), house.where)
    assert not house.root.exists()
    for content in (b"", bytes(10), nibabel.Nifti1Image(np.zeros((2, 2, 2), "i2"), np.eye(4)).to_bytes()[:41]):
        (tmp_path / "v.nii.gz").write_bytes(b"" if not content else gzip.compress(content)[:-9])
        with pytest.raises(ExportError, match="cannot be read"):
            dimensions(tmp_path / "v.nii.gz")


def test_a_sidecar_that_cannot_be_read_is_a_failure_in_words(house):
    def spoilt(source, target, name, *, zipped):
        made = convert(source, target, name, zipped=zipped)
        (target / f"{name}.json").write_bytes(b"{")
        return made

    house.converts(spoilt)
    house.give(*series(1, "T1 MPRAGE"))
    assert house.said() == {"dcm2niix made a sidecar that cannot be read"}
    assert not house.root.exists()
