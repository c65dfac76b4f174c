"""A study is pushed to a real node, and the whole way is looked at from both ends."""

import json
from datetime import date

import pydicom
import pytest
from factories import encode, enhanced, mr, needles
from imaging import leaks, volumes
from imaging import needles as needles_of
from pydicom.data import get_testdata_file
from running import Node, wait

from scp import phantom
from scp.outcome import Outcome
from scp.retrieve.send import send

# Bundled with pydicom: explicit and implicit, CT and MR, RLE, JPEG 2000 and JPEG-LS, palette colour, multi-frame.
FILES = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "rtplan.dcm",
)  # fmt: skip
WITHHELD = ("examples_palette.dcm", "examples_ybr_color.dcm", "rtdose.dcm")


def push(node, instances, **options):
    return send(
        instances,
        **{"host": "127.0.0.1", "port": node.port, "called": "CLOAKROOM", "calling": "PACS", "attempts": 3, **options},
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The phantom's study as files, with the data sets."""
    folder = tmp_path_factory.mktemp("study")
    datasets = phantom.study()
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir()), datasets


def test_a_study_becomes_a_visit(node, study, tmp_path):
    files, datasets = study
    assert set(push(node, files)) == {0x0000}
    published = node.published(len(files))

    (visit,) = {path.parent for path in published}
    today = date.today()  # noqa: DTZ011  folders are of local days
    assert visit.parent == node.export / "DICOM" / f"{today:%Y}" / f"{today:%Y%m%d}"
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in published]
    assert {header.StudyID for header in headers} == {visit.name}
    assert len({header.PatientID for header in headers}) == 1
    assert len({header.SeriesInstanceUID for header in headers}) == 2
    assert len({header.SOPInstanceUID for header in headers}) == len(files)
    for path, header in zip(published, headers, strict=True):
        assert path.name.startswith(f"{visit.name}_{header.SeriesNumber:04d}_{header.InstanceNumber:05d}_")

    assert volumes(published, tmp_path / "after") == volumes(files, tmp_path / "before")
    words = needles_of(files) | {
        str(value).encode() for value in phantom.identity(datasets).values() if len(str(value)) > 5
    }
    assert leaks(words, node.clear()) == []


def test_sending_again_changes_nothing(node, study):
    files, _ = study
    push(node, files[:5])
    published = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in node.published(5)}
    assert set(push(node, files[:5])) == {0x0000}
    assert node.metric('cloakroom_instances_total{outcome="unchanged"}') == 5
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in node.published(5)} == published


def test_late_instances_join_their_visit(node, study):
    files, _ = study
    push(node, files[:3])
    first = node.published(3)
    push(node, files[3:5])
    published = node.published(5)
    assert {path.parent for path in published} == {first[0].parent}
    assert len(node.instances()) == 5


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")  # as some of pydicom's files have it
@pytest.mark.parametrize("name", WITHHELD)
def test_pictures_that_may_show_a_name_are_sealed(node, name):
    file = get_testdata_file(name)
    assert push(node, [pydicom.dcmread(file)]) == [Outcome.PIXELS_WITHHELD.status]
    assert node.metric('cloakroom_quarantine_instances{outcome="pixels_withheld"}') == 1
    assert leaks(needles_of([file]), node.clear()) == []


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")  # as some of pydicom's files have it
@pytest.mark.parametrize("name", FILES)
def test_real_files_in_all_their_syntaxes(node, name):
    file = get_testdata_file(name)
    before = pydicom.dcmread(file)
    assert push(node, [before]) == [0x0000]
    (published,) = node.published(1)
    after = pydicom.dcmread(published)
    implicit = before.file_meta.TransferSyntaxUID.is_implicit_VR
    assert after.file_meta.TransferSyntaxUID == (
        "1.2.840.10008.1.2.1" if implicit else before.file_meta.TransferSyntaxUID
    )
    assert after.SOPClassUID == before.SOPClassUID
    assert after.get("PixelData") == before.get("PixelData")
    assert leaks(needles_of([file]), node.clear()) == []


def test_what_fails_for_its_content_is_sealed_and_told_apart(node):
    conflicting = mr(InstanceNumber="2")
    conflicting.SOPInstanceUID = mr().SOPInstanceUID
    conflicting.file_meta.MediaStorageSOPInstanceUID = mr().SOPInstanceUID
    statuses = [
        push(node, [dataset])[0]
        for dataset in (mr(), conflicting, mr(1, BurnedInAnnotation="YES"), mr(2, PatientID=""))
    ]
    expected = (Outcome.STORED, Outcome.CONFLICTING, Outcome.BURNED_IN, Outcome.UNIDENTIFIED)
    assert statuses == [outcome.status for outcome in expected]
    listed = json.loads(node.command("quarantine", "list", "--json").stdout)
    assert {entry["outcome"] for entry in listed} == {"conflicting", "burned_in", "unidentified"}
    words = {word for seed in range(3) for word in needles(seed)}
    assert leaks(words, node.clear()) == []
    push(node, [conflicting])
    assert len(json.loads(node.command("quarantine", "list", "--json").stdout)) == 3


def test_an_enhanced_object_keeps_its_geometry(node):
    dataset = enhanced()
    assert push(node, [dataset]) == [0x0000]
    after = pydicom.dcmread(node.published(1)[0])
    frames = [group.PlanePositionSequence[0].ImagePositionPatient for group in after.PerFrameFunctionalGroupsSequence]
    assert frames == [
        group.PlanePositionSequence[0].ImagePositionPatient for group in dataset.PerFrameFunctionalGroupsSequence
    ]
    assert leaks(set(needles()), node.clear()) == []


def test_implicit_and_explicit_give_the_same_file(tmp_path):
    made = []
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        node = Node(tmp_path / syntax)
        node.folder.mkdir()
        node.start()
        dataset = mr()
        dataset.file_meta.TransferSyntaxUID = syntax
        assert encode(dataset, syntax)
        push(node, [dataset])
        made.append(pydicom.dcmread(node.published(1)[0]))
        node.stop()
    assert content(made[0]) == content(made[1])
    assert len(content(made[0])) > 20


def content(dataset):
    """Every element but those that derive from a node's own secrets."""
    return [
        (element.tag, element.VR, element.value)
        for element in dataset
        if element.VR != "UI" and element.keyword not in {"PatientID", "PatientName", "StudyID"}
    ]


def test_metrics_tell_what_happened(node, study):
    files, _ = study
    push(node, files[:4])
    node.published(4)
    assert node.metric('cloakroom_instances_total{outcome="stored"}') == 4
    assert node.metric('cloakroom_associations_total{result="accepted"}') == 1
    assert node.metric("cloakroom_received_bytes_total") > 4 * 128 * 128 * 2
    assert node.metric('cloakroom_step_seconds_count{step="deidentify"}') == 4
    wait(lambda: node.metric('cloakroom_visits{state="published"}') == 1, "the visit is counted")
    assert node.metric("cloakroom_published_instances_total") == 4
    assert node.metric('cloakroom_disk_free_bytes{volume="export"}') > 0
    assert node.get("/healthz")[0] == 200
