"""Every little-endian test file that pydicom brings, through both MIP recipes."""

import re
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_files

from scp import dictionary
from scp.dataset import read
from scp.deidentify.plan import Plan
from scp.deidentify.step import Action
from scp.instance import Arrival, DeidentifiedInstance, Instance, Peer, Subject
from scp.outcome import Failure, Outcome

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
NOT_TAKEN = {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
EXCLUDED = {"OD", "OL", "OV", "SV", "UC", "UR", "UV"}
SECRET = {"PatientName", "PatientID", "OtherPatientIDs", "PatientAddress", "PatientTelephoneNumbers", "PatientComments"}
SECRET |= {"AccessionNumber", "InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber"}
SECRET |= {"ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName", "RequestingPhysician"}
# What the file itself breaks, not the reader: wrong VRs, elements out of order, cut short.
BROKEN = {
    "SC_rgb_jpeg.dcm": Outcome.MALFORMED,
    "rtplan_truncated.dcm": Outcome.INCOMPLETE,
    "MR_truncated.dcm": Outcome.INCOMPLETE,
}


def whole(path: Path) -> Dataset | None:
    """The file if it is a little-endian instance with file meta information."""
    try:
        dataset = pydicom.dcmread(path)
    except (pydicom.errors.InvalidDicomError, ValueError, NotImplementedError):
        return None
    meta = dataset.file_meta
    needed = {"TransferSyntaxUID", "FileMetaInformationGroupLength", "MediaStorageSOPInstanceUID"}
    if any(keyword not in meta for keyword in needed) or "SOPInstanceUID" not in dataset:
        return None
    return None if meta.TransferSyntaxUID in NOT_TAKEN else dataset


def instances() -> Iterator[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in sorted(get_testdata_files()):
            path = Path(name)
            if "test_files" in path.parts and path.suffix == ".dcm" and whole(path) is not None:
                yield path


FILES = list(instances())
GOOD = [path for path in FILES if path.name not in BROKEN]


def instance(path: Path) -> Instance:
    data = path.read_bytes()
    meta = pydicom.dcmread(path, specific_tags=[]).file_meta
    body = data[132 + 12 + meta.FileMetaInformationGroupLength :]
    arrival = Arrival(
        peer=Peer("MODALITY", "CLOAKROOM", "192.0.2.7"),
        sop_class_uid=str(meta.MediaStorageSOPClassUID),
        sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
        context_class=str(meta.MediaStorageSOPClassUID),
        transfer_syntax=str(meta.TransferSyntaxUID),
        data=body,
    )
    return Instance(arrival, read(body, explicit=arrival.transfer_syntax != IMPLICIT))


def made(plan: Plan, path: Path, subject: Subject) -> tuple[DeidentifiedInstance, bytes]:
    result = plan.apply(instance(path), subject)
    return result, b"".join(result.parts)


@pytest.fixture(params=["mip", "mip_strict"])
def plan(request: pytest.FixtureRequest) -> Plan:
    compiled = request.getfixturevalue(request.param)
    assert isinstance(compiled, Plan)
    return compiled


@pytest.fixture(params=GOOD, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def test_there_are_files_of_many_kinds() -> None:
    assert len(GOOD) > 50
    assert len({str(pydicom.dcmread(path, specific_tags=[]).file_meta.TransferSyntaxUID) for path in GOOD}) > 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_as_what_it_is(name: str) -> None:
    (broken,) = [path for path in FILES if path.name == name]
    with pytest.raises(Failure) as error:
        instance(broken)
    assert error.value.outcome is BROKEN[name]


@pytest.mark.filterwarnings("ignore")
def test_what_leaves_is_a_file_of_allowed_attributes(plan: Plan, path: Path, subject: Subject) -> None:
    result, data = made(plan, path, subject)
    dataset = pydicom.dcmread(BytesIO(data))
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID == result.sop_instance_uid
    assert dataset.file_meta.MediaStorageSOPClassUID == dataset.SOPClassUID == result.sop_class_uid
    assert dataset.get("PatientID", subject.pseudonym) == subject.pseudonym
    assert dataset.StudyID == subject.scan_research_id
    allowed = {tag for tag, step in plan.decisions.items() if step.action is not Action.REMOVE} | set(plan.added)
    allowed |= {element.tag for element in dataset.DeidentificationMethodCodeSequence[0]}
    for element in dataset.iterall():
        if not element.tag.is_private:
            assert element.tag in allowed
        assert element.VR not in EXCLUDED


@pytest.mark.filterwarnings("ignore")
def test_no_identifier_is_left_in_any_byte(plan: Plan, path: Path, subject: Subject) -> None:
    _, data = made(plan, path, subject)
    for needle in needles(pydicom.dcmread(path)):
        assert needle not in without_pixels(data), needle


def needles(original: Dataset) -> set[bytes]:
    """Identifiers, dates and UIDs of the original, long enough not to stand in numbers by chance."""
    found: set[bytes] = set()
    for element in original.iterall():
        values = [str(value).strip() for value in (element.value if element.VM > 1 else [element.value])]
        if element.VR == "UI":
            found |= {value.encode() for value in values if "." in value and not value.startswith("1.2.840.10008.")}
        if element.VR in {"DA", "DT"}:
            found |= {value[:8].encode() for value in values if re.fullmatch(r"\d{8}.*", value) and value[6:8] != "01"}
        if element.keyword in SECRET:
            found |= {value.encode("utf-8") for value in values if len(value) > 4}
    # Phantoms are called after their make and model, which may stay.
    shown = {str(original.get(keyword, "")).encode() for keyword in ("Manufacturer", "ManufacturerModelName")}
    return {needle for needle in found if not any(needle in text for text in shown)}


def without_pixels(data: bytes) -> bytes:
    return data[: data.find(b"\xe0\x7f\x10\x00")] if b"\xe0\x7f\x10\x00" in data else data


@pytest.mark.filterwarnings("ignore")
def test_pixel_data_is_the_same_bytes(plan: Plan, path: Path, subject: Subject) -> None:
    _, data = made(plan, path, subject)
    before, after = pydicom.dcmread(path), pydicom.dcmread(BytesIO(data))
    assert ("PixelData" in before) == ("PixelData" in after)
    if "PixelData" in before:
        assert after.PixelData == before.PixelData


@pytest.mark.filterwarnings("ignore")
def test_kept_elements_are_the_same_bytes(plan: Plan, path: Path, subject: Subject) -> None:
    result, data = made(plan, path, subject)
    before, after = instance(path).dataset, pydicom.dcmread(BytesIO(data))
    for element in before.elements:
        step = plan.decisions.get(element.tag)
        if step is None or step.action is not Action.KEEP or element.tag in plan.added:
            continue
        raw = after.get_item(element.tag)
        assert raw is not None
        if isinstance(raw.value, bytes | None) and element.end == element.stop:
            assert (raw.value or b"") == bytes(before.data[element.value : element.end]), dictionary.write(element.tag)
    assert result.size == len(data)


@pytest.mark.filterwarnings("ignore")
def test_a_second_pass_finds_nothing_more_to_remove(plan: Plan, path: Path, subject: Subject) -> None:
    result, data = made(plan, path, subject)
    once = pydicom.dcmread(BytesIO(data))
    body = data[132 + 12 + once.file_meta.FileMetaInformationGroupLength :]
    arrival = Arrival(
        Peer("A", "B", "192.0.2.7"), result.sop_class_uid, result.sop_instance_uid, "", result.transfer_syntax, body
    )
    again = plan.apply(Instance(arrival, read(body, explicit=True)), subject)
    twice = pydicom.dcmread(BytesIO(b"".join(again.parts)))
    assert [element.tag for element in once.iterall()] == [element.tag for element in twice.iterall()]
    mapped = {"SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientAge"}
    for element in once:
        if element.keyword not in mapped and element.VR != "SQ":
            assert twice[element.tag] == element
