"""What the Data Factory does with an export tree, restated from its own programs' behaviour: every way it would fail.

Nothing here is taken from the node: not its names, not its table of states, not its recipe. `violations` is empty for
a tree that every consumer takes whole.
"""

import re
import stat
from collections import defaultdict

import pydicom
from pydicom.multival import MultiValue

LONGEST = 50
FATAL_VRS = {"OD", "OL", "OV", "SV", "UC", "UR", "UV"}
CATALOG_NUMBERS = (
    "MagneticFieldStrength", "SliceThickness", "RepetitionTime", "EchoTime", "NumberOfPhaseEncodingSteps",
    "PercentPhaseFieldOfView", "PixelBandwidth", "FlipAngle", "Rows", "Columns", "EchoTrainLength", "PercentSampling",
    "SpacingBetweenSlices",
)  # fmt: skip
MANDATORY = (
    "PatientID", "StudyID", "SeriesDescription", "SeriesNumber", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "SliceLocation", "SamplesPerPixel", "Rows", "Columns", "PixelSpacing", "BitsAllocated",
    "BitsStored", "HighBit",
)  # fmt: skip
FOLDER_OF = ("PatientID", "StudyID", "SeriesDescription", "SeriesNumber")


def violations(root):
    """(rule, place) for everything in the tree at `root` that a consumer would refuse, lose or mistake."""
    found, copies, persons = [], defaultdict(list), defaultdict(set)
    for path in sorted((root / "DICOM").rglob("*")):
        place = str(path.relative_to(root))
        found += [(rule, place) for rule in _of_path(path, root)]
        if path.is_file() and path.suffix == ".dcm":
            dataset = pydicom.dcmread(path)
            found += [(rule, place) for rule in _of_file(path, dataset)]
            target = tuple(_folder(dataset.get(keyword)) for keyword in FOLDER_OF)
            copies[(*target, path.name)].append(place)
            copies[path.name].append(place)
            persons[str(dataset.get("StudyID"))].add(_person(dataset))
    found += [("one copy overwrites another", places[1]) for places in copies.values() if len(places) > 1]
    found += [("one visit is several persons", visit) for visit, several in persons.items() if len(several) > 1]
    return found + [("something besides DICOM/ is scanned", path.name) for path in root.iterdir() if _stray(path)]


def _stray(path):
    return path.name not in {".tmp", "BIDS", "DICOM", "EHR", "NIFTI"}


def _of_path(path, root):
    """The scanner's rules: years hold their days, days hold visits, visits hold files and their marker."""
    parts = path.relative_to(root / "DICOM").parts
    if path.stat().st_mode & stat.S_IRWXO:
        yield "the world may read or write"
    if not path.stat().st_mode & stat.S_IRGRP:
        yield "the Data Factory's group cannot read"
    if path.is_dir():
        if not any(path.iterdir()):
            yield "an empty folder aborts the scan"
        shapes = (r"\d{4}", r"\d{8}", r"[1-9]\d{1,14}")
        if len(parts) > len(shapes) or not re.fullmatch(shapes[len(parts) - 1], parts[-1]):
            yield "a folder is called as no folder is"
        if len(parts) == 2 and not parts[1].startswith(parts[0]):
            yield "a day stands in another year"
        if len(parts) == 3 and not (path / ".ready").exists():
            yield "a visit has no marker"
    elif path.name != ".ready" and (path.suffix != ".dcm" or len(parts) != 4 or len(path.name) > LONGEST):
        yield "a file stands where none is read"


def _of_file(path, dataset):
    """The rules of the reader, the reorganiser, the Data Catalog and the pre-processing."""
    raw = path.read_bytes()
    if raw[:128] != bytes(128) or raw[128:132] != b"DICM":
        yield "libmagic does not say DICOM medical imaging data"
    if any(element.VR in FATAL_VRS for element in dataset.iterall()):
        yield "a value representation aborts the run"
    if dataset.file_meta.TransferSyntaxUID in {"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"}:
        yield "the encoding is not explicit little endian"
    yield from _of_names(path, dataset)
    yield from _of_person(dataset)
    if any(dataset.get(keyword) in (None, "", []) for keyword in MANDATORY):
        yield "a mandatory attribute is missing"
    if any(isinstance(dataset.get(keyword), MultiValue) for keyword in CATALOG_NUMBERS):
        yield "several values abort the catalog"


def _of_names(path, dataset):
    if str(dataset.get("StudyID")) != path.parent.name:
        yield "StudyID is not the visit"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{7,31}", str(dataset.get("PatientID"))):
        yield "PatientID is no pseudonym that every consumer takes"
    texts = [str(dataset.get(keyword) or "") for keyword in FOLDER_OF]
    if any(len(text) > LONGEST for text in texts):
        yield "a name is longer than the catalog's columns"
    if any(re.search(r'[/*"$`\\;]|\.\.', text) for text in texts):
        yield "a name is no folder's, or means something to a shell"


def _of_person(dataset):
    if not re.fullmatch(r"\d{4}0101", str(dataset.get("PatientBirthDate"))):
        yield "the birth date is not the year's"
    if not re.fullmatch(r"\d{3}[DWMY]", str(dataset.get("PatientAge"))):
        yield "the age becomes NULL"
    for keyword in ("AcquisitionDate", "SeriesDate"):
        if not re.fullmatch(r"\d{4}(0[1-9]|1[0-2])01", str(dataset.get(keyword))):
            yield "a date is not the month's"


def _person(dataset):
    keywords = ("PatientID", "PatientSex", "PatientBirthDate", "PatientAge")
    return tuple(str(dataset.get(keyword)) for keyword in keywords)


def _folder(value):
    """A folder's name as the reorganiser makes it."""
    return str(value).replace("/", "_").replace("*", "_") if value not in (None, "") else "unknown"
