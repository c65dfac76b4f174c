"""Identified data sets for tests: every place a name can hide holds a needle that no output may contain."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from scp.dataset import read
from scp.instance import Arrival, Instance, Peer

PEER = Peer(calling="MODALITY", called="CLOAKROOM", address="192.0.2.7")
PRIVATE_CREATOR = "TEST CREATOR 1.0"

_TEXT = {  # keyword: what stands around the needle
    "PatientName": "{}^Made^Up",
    "PatientID": "{}",
    "IssuerOfPatientID": "{}",
    "OtherPatientIDs": "{}",
    "OtherPatientNames": "{}",
    "PatientBirthName": "{}",
    "PatientMotherBirthName": "{}^Maiden",
    "PatientAddress": "1 {} Street",
    "PatientTelephoneNumbers": "{}",
    "PatientComments": "called {} twice",
    "AdditionalPatientHistory": "seen by {}",
    "Occupation": "{}",
    "MilitaryRank": "{}",
    "AccessionNumber": "{}",
    "StudyID": "{}",
    "StudyDescription": "head of {}",
    "SeriesDescription": "T1 {}",
    "ProtocolName": "MPRAGE {}",
    "InstitutionName": "{} Hospital",
    "InstitutionAddress": "2 {} Road",
    "InstitutionalDepartmentName": "{}",
    "ReferringPhysicianName": "{}^Ref",
    "PerformingPhysicianName": "{}^Perf",
    "OperatorsName": "{}^Op",
    "StationName": "{}",
    "DeviceSerialNumber": "{}",
    "ImageComments": "{} moved",
    "DerivationDescription": "by {}",
    "RequestedProcedureDescription": "for {}",
    "PerformedProcedureStepID": "{}",
}


def needle(place: str, seed: int = 0) -> str:
    """12 characters that stand nowhere else, never digits alone, short enough for SH."""
    return "Qz" + hashlib.sha256(f"{place} {seed}".encode()).hexdigest()[:9].upper() + "K"


def plant(dataset: Dataset, seed: int = 0) -> tuple[bytes, ...]:
    """Write needles at top level, two sequences deep and into private elements; returns them as bytes."""
    for keyword, around in _TEXT.items():
        setattr(dataset, keyword, around.format(needle(keyword, seed)))
    _plant_sequences(dataset, seed)
    _plant_private(dataset, seed)
    nested = ("nested name", "nested id", "nested code", "private", "private nested", "private unknown")
    return tuple(needle(place, seed).encode("ascii") for place in (*_TEXT, *nested))


def _plant_sequences(dataset: Dataset, seed: int) -> None:
    code = _item(CodeValue="C1", CodingSchemeDesignator="99TEST", CodeMeaning=needle("nested code", seed))
    dataset.RequestAttributesSequence = [
        _item(RequestedProcedureID=needle("nested id", seed), RequestedProcedureCodeSequence=[code])
    ]
    dataset.ReferencedPatientSequence = [_item(PatientName=f"{needle('nested name', seed)}^Deep")]


def _plant_private(dataset: Dataset, seed: int) -> None:
    block = dataset.private_block(0x0009, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", needle("private", seed))
    block.add_new(0x02, "SQ", [_item(PatientID=needle("private nested", seed))])
    block.add_new(0x03, "UN", needle("private unknown", seed).encode("ascii"))


def needles(seed: int = 0) -> tuple[bytes, ...]:
    """The needles of every factory below called with this seed."""
    return plant(Dataset(), seed)


def mr(seed: int = 0, **attributes: Any) -> Dataset:
    """A planted MR image of 4 x 4 pixels; `attributes` by keyword go over it, None takes one away."""
    return _finish(_image(MRImageStorage, "MR", seed), attributes)


def ct(seed: int = 0, **attributes: Any) -> Dataset:
    """A planted CT image."""
    return _finish(_image(CTImageStorage, "CT", seed), {"RescaleIntercept": "-1024", **attributes})


def enhanced(seed: int = 0, **attributes: Any) -> Dataset:
    """A planted enhanced MR image of two frames with its geometry in functional groups."""
    dataset = _image(EnhancedMRImageStorage, "MR", seed)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, keyword)
    measures = _item(PixelSpacing=["1", "1"], SliceThickness="1")
    plane = _item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    dataset.SharedFunctionalGroupsSequence = [_item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[plane])]
    dataset.PerFrameFunctionalGroupsSequence = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=["0", "0", str(frame)])]) for frame in range(2)
    ]
    dataset.NumberOfFrames = "2"
    dataset.PixelData = bytes(range(64))
    return _finish(dataset, attributes)


def encode(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The bare data set, without preamble and file meta, as P-DATA carries it; little endian only."""
    stream = BytesIO()
    output = DicomIO(stream)
    output.is_little_endian = True
    output.is_implicit_VR = transfer_syntax == ImplicitVRLittleEndian
    write_dataset(output, dataset)
    return stream.getvalue()


def arrival(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian, **fields: Any) -> Arrival:
    """The data set as the front door hands it on, everything in agreement; `fields` break that."""
    values: dict[str, Any] = {
        "peer": PEER,
        "sop_class_uid": str(dataset.get("SOPClassUID", "")),
        "sop_instance_uid": str(dataset.get("SOPInstanceUID", "")),
        "context_class": str(dataset.get("SOPClassUID", "")),
        "transfer_syntax": str(transfer_syntax),
        "data": encode(dataset, transfer_syntax),
    }
    return Arrival(**{**values, **fields})


def instance(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> Instance:
    """The data set after examination."""
    arrived = arrival(dataset, transfer_syntax)
    return Instance(arrived, read(arrived.data, explicit=transfer_syntax != ImplicitVRLittleEndian))


def file_meta(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> FileMetaDataset:
    """What a data set needs beside it to be sent or saved by pydicom and pynetdicom."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    return meta


def _image(sop_class: str, modality: str, seed: int) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    plant(dataset, seed)
    dataset.SOPClassUID, dataset.Modality = sop_class, modality
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, generate_uid(entropy_srcs=[keyword, str(seed)]))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20250917"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "134502.123"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19521130", "F", "072Y"
    dataset.Manufacturer, dataset.ManufacturerModelName = "PHANTOM", "Numbers 3T"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = "3", "7", "1"
    dataset.ImagePositionPatient = ["-10", "-20", "30.5"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.SliceLocation = ["1", "1"], "1", "30.5"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.add(DataElement(0x7FE00010, "OW", bytes(range(32))))
    return dataset


def _finish(dataset: Dataset, attributes: Mapping[str, Any]) -> Dataset:
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta = file_meta(dataset) if "SOPClassUID" in dataset and "SOPInstanceUID" in dataset else None
    return dataset


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
