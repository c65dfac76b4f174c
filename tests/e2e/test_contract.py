"""What the Data Factory requires of a node, each requirement by its number, on what one node publishes."""

import json
import os
import re
import stat
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from acceptance import violations
from exporting import complaints
from factories import mr
from running import Node, wait

from scp import phantom
from scp.retrieve.send import send

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "ge-t1-head"
MIP = Path(__file__).parents[2] / "deid_recipes" / "mip.dicom"
GROUP = os.getegid()
FACTORY = ("MagneticFieldStrength", "SliceThickness", "EchoTime", "RepetitionTime", "FlipAngle", "Manufacturer")


def slices(count, first=1, **attributes):
    return [
        mr(
            seed=7,
            SOPInstanceUID=f"2.25.815{number}",
            InstanceNumber=str(number),
            ImagePositionPatient=["-10", "-20", str(number)],
            SliceLocation=str(number),
            **attributes,
        )
        for number in range(first, first + count)
    ]


def push(node, instances):
    return send(list(instances), host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)


class Handed:
    """What one node was sent, and what it made of it."""

    def __init__(self, node, sent):
        self.node, self.sent = node, sent
        self.export = node.export
        self.files = node.published(len(sent))
        self.headers = {path: pydicom.dcmread(path) for path in self.files}
        self.visits = defaultdict(list)
        for path in self.files:
            self.visits[path.parent].append(path)

    def values(self, keyword):
        return {str(header.get(keyword)) for header in self.headers.values()}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    settings = {"export_group": GROUP} if GROUP else {}
    node = Node(tmp_path_factory.mktemp("contract"), **settings)
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def handed(node):
    """A phantom's whole study, another person's slices, and a real T1 series where its files are present."""
    sent = [*phantom.study(), *slices(4)]
    for path in sorted(SAMPLES.rglob("*.dcm"))[:10]:
        sent.append(pydicom.dcmread(path))
        sent[-1].PatientBirthDate, sent[-1].PatientAge = "19500607", "070Y"  # they were taken out before it was given
    assert set(push(node, sent)) == {0x0000}
    return Handed(node, sent)


def test_nothing_that_is_published_breaks_a_rule_of_the_data_factory(handed):
    assert violations(handed.export) == []


def test_r1_visits_stand_under_year_and_day(handed):
    for visit in handed.visits:
        year, day, number = visit.relative_to(handed.export / "DICOM").parts
        assert datetime.strptime(day, "%Y%m%d").strftime("%Y") == year  # noqa: DTZ007  a folder has no zone
        assert number.isdecimal()


def test_r2_each_visit_is_marked_and_nothing_of_it_is_left_in_staging(handed):
    assert all((visit / ".ready").is_file() for visit in handed.visits)
    assert [path for path in (handed.export / ".tmp").rglob("*") if path.suffix == ".dcm"] == []
    assert not any(path.is_dir() and not any(path.iterdir()) for path in (handed.export / "DICOM").rglob("*"))
    assert list((handed.export / "DICOM").glob("*/*/.ready")) == []  # a day's is an operator's


def test_r3_study_id_is_the_visit_a_random_number_that_matlab_takes_for_one(handed):
    for path, header in handed.headers.items():
        assert header.StudyID == path.parent.name
        assert re.fullmatch(r"[1-9][0-9]{1,14}", header.StudyID)
        assert str(int(float(header.StudyID))) == header.StudyID
    assert len(handed.visits) == len({visit.name for visit in handed.visits})


def test_r4_patient_ids_are_pseudonyms_and_none_is_sent_through(handed):
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]{7,31}", value) for value in handed.values("PatientID"))
    assert handed.values("PatientID").isdisjoint({str(dataset.PatientID) for dataset in handed.sent})
    assert len(handed.values("PatientID")) == len({str(dataset.PatientID) for dataset in handed.sent})


def test_r5_names_are_unique_and_in_order(handed):
    assert len({path.name for path in handed.files}) == len(handed.files)
    for files in handed.visits.values():
        numbers = [(handed.headers[path].SeriesNumber, handed.headers[path].InstanceNumber) for path in sorted(files)]
        assert numbers == sorted(numbers)


def test_r5_sending_again_changes_nothing(handed):
    before = {path: path.stat().st_mtime_ns for path in handed.files}
    assert set(push(handed.node, handed.sent[-4:])) == {0x0000}
    assert {path: path.stat().st_mtime_ns for path in handed.node.published(len(before))} == before


def test_r6_files_are_part_10_with_an_empty_preamble_and_plain_representations(handed):
    for path, header in handed.headers.items():
        assert path.read_bytes()[:132] == bytes(128) + b"DICM"
        assert header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert {element.VR for element in header.iterall()}.isdisjoint({"OD", "OL", "OV", "SV", "UC", "UR", "UV"})


def private_attributes(header):
    """Group, creator and last byte of every private attribute that is not a creator itself."""
    private = [element for element in header.iterall() if element.tag.is_private and element.tag.element > 0xFF]
    return {(element.tag.group, element.private_creator, element.tag.element & 0xFF) for element in private}


def test_r7_what_the_catalog_reads_is_kept_and_of_private_groups_the_named_numbers_alone(handed):
    sent = {keyword for dataset in handed.sent for keyword in FACTORY if dataset.get(keyword) is not None}
    kept = {keyword for header in handed.headers.values() for keyword in FACTORY if header.get(keyword) is not None}
    assert kept == sent
    named = re.findall(r'^[A-Z]+ \((\w{4}),"([^"]+)",(\w\w)\)', MIP.read_text("utf-8"), re.MULTILINE)
    allowed = {(int(group, 16), creator, int(element, 16)) for group, creator, element in named}
    assert len(allowed) == len(named) > 30
    assert set().union(*map(private_attributes, handed.headers.values())) <= allowed


def test_r8_dates_are_cut_to_the_year_and_the_month_and_ages_are_written_out(handed):
    assert all(value.endswith("0101") for value in handed.values("PatientBirthDate"))
    for keyword in ("SeriesDate", "AcquisitionDate"):
        assert all(re.fullmatch(r"\d{6}01", value) for value in handed.values(keyword))
    assert all(re.fullmatch(r"\d{3}[YMWD]", value) for value in handed.values("PatientAge"))


def test_r9_one_visit_is_one_person(handed):
    for files in handed.visits.values():
        for keyword in ("PatientID", "PatientSex", "PatientBirthDate", "PatientAge"):
            assert len({str(handed.headers[path].get(keyword)) for path in files}) == 1


def test_r9_another_person_in_a_study_is_sealed(handed):
    changes = ({"PatientSex": "M"}, {"PatientBirthDate": "19530101"}, {"PatientID": "SOMEBODY"})
    for number, change in enumerate(changes):
        assert push(handed.node, slices(1, first=60 + number, **change)) == [0xC009]
    listed = json.loads(handed.node.command("quarantine", "list", "--json").stdout)
    assert [entry["outcome"] for entry in listed] == ["other_person"] * len(changes)
    assert len(handed.node.published(len(handed.files))) == len(handed.files)


def test_r9_a_visit_in_which_sex_is_sometimes_missing_is_held(handed):
    study = {"StudyInstanceUID": "2.25.99"}
    assert set(push(handed.node, [*slices(1, 50, **study), *slices(1, 51, PatientSex=None, **study)])) == {0x0000}

    def held():
        listed = json.loads(handed.node.command("visit", "list", "--json").stdout)
        return [visit for visit in listed if visit["state"] == "held"]

    visit = wait(held, "the visit is held")[0]
    assert "consistent" in handed.node.command("visit", "report", visit["scan_research_id"]).stdout
    assert len(handed.node.published(len(handed.files))) == len(handed.files)


def test_r10_descriptions_are_folders_that_a_shell_leaves_alone(handed):
    for value in handed.values("SeriesDescription"):
        assert 0 < len(value) <= 50
        assert not re.search(r'[/*"$`\\;]|\.\.', value)


def test_r11_what_the_gates_said_is_kept_for_every_visit(handed):
    for visit in handed.visits:
        report = json.loads(handed.node.command("visit", "report", visit.name, "--json").stdout)
        assert report["verdict"] in {"pass", "warn"}
        assert sorted(name for one in report["series"] for name in one["files"]) == sorted(
            path.name for path in handed.visits[visit]
        )


def test_r17_exports_are_valid_bids_and_volumes_that_the_pipeline_finds(tmp_path):
    node = Node(tmp_path, exports="bids,nifti")
    node.start()
    try:
        sent = list(phantom.study())
        assert set(push(node, sent)) == {0x0000}
        visits = {path.parent.name for path in node.published(len(sent))}

        def states():
            return {row["state"] for row in json.loads(node.command("export", "list", "--json").stdout)}

        wait(lambda: states() == {"done"}, "everything is exported")
        assert complaints(node.export / "BIDS", tmp_path) == []
        assert {path.name for path in node.export.glob("BIDS/sub-*/ses-*")} == {f"ses-{visit}" for visit in visits}
        volumes = list(node.export.glob("NIFTI/*/*/*/*.nii"))
        assert {path.parent.name for path in volumes} == visits
        assert all(path.with_suffix(".json").exists() for path in volumes)
        assert list(node.export.glob("BIDS/sub-*/ses-*/anat/*_T1w.nii.gz"))
    finally:
        node.stop()


def test_r18_the_group_reads_and_the_world_does_not(handed):
    for path in (handed.export / "DICOM").rglob("*"):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == (0o750 if path.is_dir() else 0o640)
        assert status.st_gid == GROUP
