"""The phantom's study: the data sets of two series with the geometry and headers of real ones."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from scp.phantom.head import draw
from scp.phantom.person import Person, invent, write_person
from scp.phantom.series import AXIAL, SAGITTAL, Series

# What a reader of the published visit must not find, by keyword.
PLANTED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers", "PatientComments",
    "IssuerOfPatientID", "AccessionNumber", "StudyDate", "StudyInstanceUID", "StudyDescription", "InstitutionName",
    "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "StationName",
    "DeviceSerialNumber", "ImageComments",
)  # fmt: skip


def study(seed: int = 1) -> list[Dataset]:
    """The study of a seed, always the same: 112 and 40 MR images in explicit VR little endian, with `file_meta`."""
    person = invent(seed)
    return [image for series in (SAGITTAL, AXIAL) for image in _images(series, person, seed)]


def identity(datasets: Iterable[Dataset]) -> dict[str, str]:
    """The identifiers planted in the first data set, by keyword, as text: none may be found in what is published."""
    first = next(iter(datasets))
    return {keyword: str(first[keyword].value) for keyword in PLANTED if keyword in first}


def _images(series: Series, person: Person, seed: int) -> Iterable[Dataset]:
    positions = _positions(series)
    volume = _volume(series, positions, np.random.default_rng([seed, series.number]))
    series_uid = generate_uid(entropy_srcs=["phantom series", str(seed), str(series.number)])
    for index, (position, pixels) in enumerate(zip(positions, volume, strict=True)):
        dataset = Dataset()
        dataset.SOPClassUID = MRImageStorage
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(index)])
        dataset.SeriesInstanceUID = series_uid
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["phantom frame", str(seed)])
        write_person(dataset, person)
        _write_series(dataset, series, person)
        _write_image(dataset, series, index, position)
        _write_pixels(dataset, series, pixels)
        dataset.file_meta = _file_meta(dataset)
        yield dataset


def _axes(series: Series) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Directions in LPS of growing column, growing row and growing slice (PS3.3 C.7.6.2.1.1)."""
    along, down = np.array(series.orientation[:3], float), np.array(series.orientation[3:], float)
    return along, down, np.abs(np.cross(along, down))


def _positions(series: Series) -> NDArray[np.float64]:
    """ImagePositionPatient of each slice in mm: the middle of the volume is the middle of the head."""
    along, down, through = _axes(series)
    corner = -(series.size - 1) / 2 * series.spacing * (along + down)
    offsets = (np.arange(series.slices) - (series.slices - 1) / 2) * series.thickness
    middle = np.array([0.0, -4.0, -8.0])
    positions: NDArray[np.float64] = np.round(middle + corner + offsets[:, None] * through, 3)
    return positions


def _volume(series: Series, positions: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.uint16]:
    """Pixels of all slices, [slice, row, column]; the axes of the grid lie along those of the patient."""
    along, down, through = _axes(series)
    steps = np.arange(series.size) * series.spacing
    lines = (
        (positions[:, None, None, :] - positions[0]) * through,
        (steps[:, None] * down)[None, :, None, :],
        (steps[:, None] * along)[None, None, :, :],
    )
    x, y, z = (
        sum((line[..., axis] for line in lines if np.any(line[..., axis])), start=np.zeros((1, 1, 1)))
        + positions[0][axis]
        for axis in range(3)
    )
    return draw((x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)), series.signal, generator)


def _write_series(dataset: Dataset, series: Series, person: Person) -> None:
    day = f"{person.examined:%Y%m%d}"
    dataset.Modality = "MR"
    dataset.Manufacturer = "PHANTOM"
    dataset.ManufacturerModelName = "Numbers 3T"
    dataset.SoftwareVersions = "numpy"
    dataset.SeriesNumber = str(series.number)
    dataset.SeriesDescription = dataset.ProtocolName = series.description
    dataset.SequenceName = series.sequence
    dataset.SequenceVariant = ["SP", "MP"]
    dataset.ScanOptions = ""
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = "HFS"
    dataset.MagneticFieldStrength = "3"
    dataset.ImagingFrequency = "123.25"
    dataset.ImagedNucleus = "1H"
    dataset.NumberOfAverages = "1"
    dataset.PixelBandwidth = "240"
    dataset.NumberOfPhaseEncodingSteps = str(series.size)
    dataset.PercentSampling = "100"
    dataset.PercentPhaseFieldOfView = "100"
    dataset.InPlanePhaseEncodingDirection = "ROW"
    dataset.SliceThickness = f"{series.thickness:g}"
    dataset.SpacingBetweenSlices = f"{series.thickness:g}"
    dataset.PixelSpacing = [f"{series.spacing:g}"] * 2
    dataset.ImageOrientationPatient = [str(cosine) for cosine in series.orientation]
    dataset.SeriesDate, dataset.SeriesTime = day, f"10{15 + 5 * series.number}00.000000"
    dataset.AcquisitionNumber = "1"
    dataset.BurnedInAnnotation = "NO"
    for keyword, value in series.header.items():
        setattr(dataset, keyword, value)


def _write_image(dataset: Dataset, series: Series, index: int, position: NDArray[np.float64]) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.InstanceNumber = str(index + 1)
    dataset.ImagePositionPatient = [f"{value:g}" for value in position]
    dataset.SliceLocation = f"{float(position @ _axes(series)[2]):g}"
    dataset.AcquisitionDate = dataset.ContentDate = dataset.SeriesDate
    dataset.AcquisitionTime = dataset.ContentTime = f"10{15 + 5 * series.number}{index % 60:02d}.000000"
    dataset.ImageComments = f"{dataset.PatientName.family_name} moved a little"


def _write_pixels(dataset: Dataset, series: Series, pixels: NDArray[np.uint16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = series.size
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue = int(pixels.min()), int(pixels.max())
    dataset.WindowCenter, dataset.WindowWidth = "450", "900"
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.PixelData = pixels.astype("<u2").tobytes()


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
