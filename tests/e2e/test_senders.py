"""Other people's senders push a study, in the transfer syntaxes they know; each time a whole visit is published."""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pydicom
import pytest
from factories import ct, mr, needle
from imaging import leaks, needles
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from running import free_port, wait

pytestmark = pytest.mark.debian

COUNT = 12
COMPRESSED = {  # DCMTK's program, the option of storescu that proposes what it makes
    JPEGLosslessSV1: (["dcmcjpeg", "+e1"], "-xs"),
    JPEGLSLossless: (["dcmcjpls", "+el"], "-xt"),
    RLELossless: (["dcmcrle"], "-xr"),
}


def run(*words):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=120)


def write(folder, make=mr, syntax=ExplicitVRLittleEndian):
    """A study of one patient, as files."""
    folder.mkdir()
    for number in range(COUNT):
        dataset = make(1, SOPInstanceUID=f"2.25.{77_000 + number}", InstanceNumber=str(number + 1))
        dataset.PixelData = bytes(((number * 16 + at) % 256 if at % 2 == 0 else at % 8) for at in range(32))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(
            folder / f"{number:03d}.dcm", implicit_vr=syntax == ImplicitVRLittleEndian, enforce_file_format=True
        )
    return sorted(folder.iterdir())


@pytest.fixture
def study(tmp_path):
    return write(tmp_path / "study")


def compressed(files, syntax, folder):
    folder.mkdir()
    for file in files:
        run(*COMPRESSED[syntax][0], file, folder / file.name)
    return sorted(folder.iterdir())


def check(node, files, *syntaxes):
    """All are published, readable and without identity, with the transfer syntaxes they were sent in."""
    published = node.published(len(files))
    sets = [pydicom.dcmread(file) for file in published]
    assert {dataset.file_meta.TransferSyntaxUID for dataset in sets} == set(syntaxes)
    assert {dataset.InstanceNumber for dataset in sets} == {number + 1 for number in range(COUNT)}
    assert {dataset.PatientIdentityRemoved for dataset in sets} == {"YES"}
    assert leaks(needles(files), node.clear()) == []
    assert needle("PatientID", 1).encode() not in b"".join(file.read_bytes() for file in published)
    for file in published:
        run("dcmftest", file)
    return sets


def pixels(files):
    return sorted(pydicom.dcmread(file).PixelData for file in files)


@pytest.mark.parametrize("make", [mr, ct])
def test_dcmtk_uncompressed(node, tmp_path, make):
    files = write(tmp_path / "study", make)
    run("storescu", "-aec", "CLOAKROOM", "+sd", "127.0.0.1", node.port, tmp_path / "study")
    sets = check(node, files, ExplicitVRLittleEndian)
    assert sorted(dataset.PixelData for dataset in sets) == pixels(files)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.name)
def test_dcmtk_compressed(node, study, tmp_path, syntax):
    files = compressed(study, syntax, tmp_path / "compressed")
    words = ["storescu", "-aec", "CLOAKROOM", COMPRESSED[syntax][1], "+sd"]
    run(*words, "127.0.0.1", node.port, tmp_path / "compressed")
    sets = check(node, files, syntax)
    assert sorted(dataset.PixelData for dataset in sets) == pixels(files)


def test_gdcm(node, study, tmp_path):
    """Debian 12's gdcmscu (3.0.21) ends in an exception of its own after the release, whoever it spoke to."""
    words = ["gdcmscu", "--store", "--call", "CLOAKROOM", "127.0.0.1", str(node.port), "-r", "-i", tmp_path / "study"]
    subprocess.run(words, check=False, capture_output=True, timeout=120)
    check(node, study, ExplicitVRLittleEndian)
    ended = [json.loads(line) for line in node.log.read_text().splitlines() if '"association_ended"' in line]
    assert [(entry["result"], entry["messages"]) for entry in ended] == [("released", COUNT)]


def test_odil(node, study):
    run("odil", "store", "127.0.0.1", node.port, "ODIL", "CLOAKROOM", *study)
    check(node, study, ExplicitVRLittleEndian)


def by_pynetdicom(port, files, syntax):
    """The statuses heard, None for an answer that did not come."""
    entity = AE("PYNETDICOM")
    entity.dimse_timeout = 5
    entity.add_requested_context(pydicom.dcmread(files[0]).SOPClassUID, syntax)
    association = entity.associate("127.0.0.1", port, ae_title="CLOAKROOM")
    assert association.is_established
    statuses = []
    for file in files:
        statuses.append(association.send_c_store(str(file)).get("Status"))
        if statuses[-1] is None:
            break
    association.release()
    association.join(10)
    return statuses


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda syntax: syntax.name)
def test_pynetdicom(node, tmp_path, syntax):
    files = write(tmp_path / "study", syntax=syntax)
    for _attempt in range(5):  # pynetdicom's requestor loses an answer at times, and a sender then tries again
        statuses = by_pynetdicom(node.port, files, syntax)
        if None not in statuses:
            break
    assert statuses == [0] * COUNT
    check(node, files, ExplicitVRLittleEndian)  # implicit VR leaves as explicit


@contextmanager
def orthanc(folder: Path, peer: int):
    """Orthanc with the node as its modality, and the address of its REST API."""
    folder.mkdir()
    http = free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": free_port(),
        "HttpPort": http,
        "AuthenticationEnabled": False,
        "DicomModalities": {"node": ["CLOAKROOM", "127.0.0.1", peer]},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        wait(lambda: answers(f"http://127.0.0.1:{http}/system"), "Orthanc answers")
        yield f"http://127.0.0.1:{http}"
    finally:
        process.terminate()
        process.wait(timeout=60)


def answers(url):
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310  our own Orthanc
            return answer.status == 200
    except (URLError, ConnectionError):
        time.sleep(0.1)
        return False


def post(url, body):
    with urlopen(Request(url, data=body, method="POST"), timeout=60) as answer:  # noqa: S310  our own Orthanc
        return json.loads(answer.read())


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *COMPRESSED], ids=lambda syntax: syntax.name)
def test_orthanc(node, study, tmp_path, syntax):
    files = study if syntax == ExplicitVRLittleEndian else compressed(study, syntax, tmp_path / "compressed")
    with orthanc(tmp_path / "orthanc", node.port) as url:
        parents = {post(f"{url}/instances", file.read_bytes())["ParentStudy"] for file in files}
        assert len(parents) == 1
        said = post(f"{url}/modalities/node/store", parents.pop().encode())
        assert (said["InstancesCount"], said["FailedInstancesCount"]) == (COUNT, 0)
    sets = check(node, files, syntax)
    assert sorted(dataset.PixelData for dataset in sets) == pixels(files)
