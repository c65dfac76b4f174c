"""The key: what has to become of each instance, in the challenge's ten actions, kept as rows of an SQLite table."""

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydicom import Dataset

from answers.subjects import Made

ACTIONS = (
    "tag_retained", "text_notnull", "text_retained", "text_removed", "date_shifted", "uid_changed", "uid_consistent",
    "patid_consistent", "pixels_hidden", "pixels_retained",
)  # fmt: skip
_TECHNICAL = [
    "SOPClassUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ImageType",
    "BodyPartExamined",
    "PatientPosition",
    "SliceThickness",
    "KVP",
    "GantryDetectorTilt",
    "ConvolutionKernel",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
    "SequenceName",
    "MagneticFieldStrength",
    "FlipAngle",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "EchoTrainLength",
    "PixelBandwidth",
    "ImagedNucleus",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SeriesNumber",
    "InstanceNumber",
    "AcquisitionNumber",
    "PatientSex",
    "SpecificCharacterSet",
]
RETAINED = {
    "mip": _TECHNICAL,
    "research-mri": [*_TECHNICAL, "PatientWeight", "PatientSize", "StudyTime", "AcquisitionTime"],
}
"""Attributes that have to stay with their values."""
_NAMED = [
    "PatientID",
    "PatientName",
    "StudyID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
]
NEEDED = {"mip": [*_NAMED, "PatientBirthDate"], "research-mri": _NAMED}
"""Attributes that have to have a value, whatever it is."""
SHIFTED = {
    "mip": ["StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PatientBirthDate"],
    "research-mri": ["StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime"],
}
CLEARED = [
    "PatientAddress",
    "PatientTelephoneNumbers",
    "OtherPatientIDs",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "OperatorsName",
    "StationName",
    "DeviceSerialNumber",
    "PatientName",
    "PatientID",
    "SeriesDescription",
    "PatientComments",
    "ImageComments",
    "AdditionalPatientHistory",
    "RequestedProcedureDescription",
]
"""Attributes whose own words have to be gone from the file; of the last ones only the words that are PHI."""
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_REFERENCES = {
    "mip": (),
    "research-mri": ("ReferencedImageSequence", "SourceImageSequence"),
}
_DESCRIBED = ("SeriesDescription", "ProtocolName")


class Answer(NamedTuple):
    """One thing to be done: the action, where, and the value that it is about."""

    instance: str
    subject: str
    action: str
    path: str
    value: str


def answers(instances: Iterable[Made], recipe: str) -> Iterator[Answer]:
    """All answers for the made-up instances."""
    for made in instances:
        dataset, subject = made.dataset, str(made.subject)
        uid = str(dataset.SOPInstanceUID)
        if made.shown:
            yield Answer(uid, subject, "pixels_hidden", "PixelData", "")
            continue
        for action, path, value in (*_whatever(dataset, recipe), *_made(made, recipe)):
            yield Answer(uid, subject, action, path, value)


def of_a_file(dataset: Dataset, name: str, subject: str, recipe: str) -> Iterator[Answer]:
    """The answers for a file that was not made for this: no text in it is known to be harmless."""
    for action, path, value in _whatever(dataset, recipe):
        yield Answer(name, subject, action, path, value)
    shown = f"{dataset.get('Manufacturer', '')} {dataset.get('ManufacturerModelName', '')}"
    for keyword in CLEARED:
        for word in _words(dataset.get(keyword)):
            if word not in shown:  # phantoms are called after their make
                yield Answer(name, subject, "text_removed", keyword, word)


def _whatever(dataset: Dataset, recipe: str) -> Iterator[tuple[str, str, str]]:
    """What holds for every image."""
    for keyword in RETAINED[recipe]:
        if keyword in dataset:
            yield "tag_retained", keyword, ""
            if dataset[keyword].VM:
                yield "text_retained", keyword, str(dataset.get(keyword))
    for keyword in SHIFTED[recipe]:
        if len(str(dataset.get(keyword, ""))) >= len("YYYYMMDD"):
            yield "date_shifted", keyword, str(dataset.get(keyword))
    for keyword in _UIDS:
        if dataset.get(keyword):
            yield "uid_changed", keyword, str(dataset.get(keyword))
            yield "uid_consistent", keyword, str(dataset.get(keyword))
    yield "patid_consistent", "PatientID", str(dataset.get("PatientID"))
    if "PixelData" in dataset:
        yield "pixels_retained", "PixelData", hashlib.sha256(dataset.PixelData).hexdigest()


def _made(made: Made, recipe: str) -> Iterator[tuple[str, str, str]]:
    for keyword in NEEDED[recipe]:
        yield "text_notnull", keyword, ""
    for keyword in _DESCRIBED:
        for word in re.split("[ _]", made.harmless):
            yield "text_retained", keyword, word
    for word in made.phi:
        yield "text_removed", "", word
    for keyword in _REFERENCES[recipe]:
        path = f"{keyword}[0].ReferencedSOPInstanceUID"
        for action in ("uid_changed", "uid_consistent"):
            yield action, path, str(made.dataset[keyword].value[0].ReferencedSOPInstanceUID)


def _words(value: object) -> list[str]:
    """The parts of a value that are long enough to be looked for in a whole file."""
    if value is None or not str(value).strip():
        return []
    parts = str(value).replace("\\", "^").replace("=", "^").split("^")
    return [part.strip() for part in parts if len(part.strip()) >= 6]


def table(found: Iterable[Answer]) -> sqlite3.Connection:
    """The key in a database, as the challenge gives out its own."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE answer (instance TEXT, subject TEXT, action TEXT, path TEXT, value TEXT)")
    database.executemany("INSERT INTO answer VALUES (?, ?, ?, ?, ?)", found)
    database.commit()
    return database
