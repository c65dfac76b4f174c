"""DCMTK's tools against a node: what a PACS administrator would try first."""

import subprocess
from pathlib import Path

import pydicom
import pytest
from imaging import header, leaks, needles, volumes

from scp import phantom

pytestmark = [
    pytest.mark.debian,
    pytest.mark.filterwarnings("ignore:The value length:UserWarning"),  # scanners write longer than they may
]

REAL = Path(__file__).parents[3] / "shared" / "data"
STUDIES = ["phantom", *(name for name in ("ge-t1-head", "ge-siemens-epi") if (REAL / name).is_dir())]


def run(*words, check=True):
    return subprocess.run([str(word) for word in words], check=check, capture_output=True, timeout=300)


@pytest.fixture(params=STUDIES)
def study(request, tmp_path):
    """The files of a study: one the project draws, and public scans where they are at hand."""
    if request.param != "phantom":
        return sorted(path for path in (REAL / request.param).rglob("*") if path.is_file())
    (tmp_path / "study").mkdir()
    for number, dataset in enumerate(phantom.study()):
        dataset.save_as(tmp_path / "study" / f"{number:04d}.dcm", enforce_file_format=True)
    return sorted((tmp_path / "study").iterdir())


def visits(files):
    """The files of each study."""
    studies = {}
    for file in files:
        studies.setdefault(pydicom.dcmread(file, specific_tags=["StudyInstanceUID"]).StudyInstanceUID, []).append(file)
    return list(studies.values())


def test_echoscu(node):
    run("echoscu", "-aec", "CLOAKROOM", "127.0.0.1", node.port)
    refused = run("echoscu", "-aec", "ANOTHER", "127.0.0.1", node.port, check=False)
    assert refused.returncode != 0
    assert b"Called AE Title Not Recognized" in refused.stderr


def test_storescu_pushes_a_study_and_every_file_is_published(node, study, tmp_path):
    folder = tmp_path / "push"
    folder.mkdir()
    for number, file in enumerate(study):
        (folder / f"{number:06d}").symlink_to(file)
    run("storescu", "-aec", "CLOAKROOM", "-R", "+sd", "+r", "127.0.0.1", node.port, folder)
    published = node.published(len(study))

    for file in published:
        run("dcmftest", file)
    assert run("dcmdump", "+E", *published).stdout.count(b"# Dicom-File-Format") == len(published)

    after = sorted(
        volume
        for number, files in enumerate(visits(published))
        for volume in volumes(files, tmp_path / f"after{number}")
    )
    before = sorted(
        volume for number, files in enumerate(visits(study)) for volume in volumes(files, tmp_path / f"before{number}")
    )
    assert len(before) >= 1
    assert after == before

    assert leaks(needles(study), node.clear()) == []
    short = {str(pydicom.dcmread(file, stop_before_pixels=True).PatientID).encode() for file in study}
    assert leaks(short, {file.name: header(file) for file in published}) == []
