"""Made-up subjects with several studies: one identity each, dates with intervals, references, text with PHI inside."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from struct import pack

from planted.person import Person
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

SUBJECTS, STUDIES, INSTANCES = 24, 3, 3
HARMLESS = (
    "T1 MPRAGE SAG", "T2 FLAIR AX", "T2 TSE COR", "DWI B1000 TRACE", "DTI 64 DIR", "BOLD REST", "SWI AX",
    "T1 VIBE POST",
    "T2 SPACE SAG", "ADC MAP", "ASL PERFUSION", "TOF 3D AX", "LOCALIZER", "FIELD MAP", "T1 SE COR FS", "PD FS AX",
    "EPI BOLD 2.5MM", "FLAIR 3D SAG", "T2 GRE AX", "PHASE CONTRAST",
    "t1_mprage_sag_p2_iso", "ep2d_diff_64dir_b1000", "ep2d_bold_p2", "SAG 3D T1 BRAVO", "AX T2 PROPELLER",
    "COR T1 FSPGR",
    "t2_space_sag_iso_fs", "SWI minIP AX", "T1 MPRAGE POST GD", "DWI TRACE B0 B1000",
)  # fmt: skip
"""What series are called where nobody wrote a name into them."""
SOURCES = {"mr": MRImageStorage, "ct": CTImageStorage, "enhanced": EnhancedMRImageStorage}


@dataclass(frozen=True)
class Made:
    """One instance, and what of it the key speaks of."""

    subject: int
    study: int
    kind: str
    dataset: Dataset
    harmless: str
    phi: tuple[str, ...]
    """Words that must not be in the file."""
    shown: bool
    """Whether the pixels show who it is."""


def everyone(seed: int = 1) -> Iterator[Made]:
    """All instances of all subjects, the same on every run."""
    for number in range(SUBJECTS):
        subject = Person(seed * 10_000 + number)
        random = Random(f"subject {seed} {number}")  # noqa: S311  made up and always the same
        day = date(2012, 3, 4) + timedelta(random.randrange(3000))
        for study in range(STUDIES):
            day += timedelta(random.randrange(1, 400))
            if day.day == 1:
                day += timedelta(1)
            yield from _study(number, subject, study, day, random)


def _study(number: int, person: Person, study: int, day: date, random: Random) -> Iterator[Made]:
    kinds = ["mr", "mr", "enhanced" if study % 2 else "ct"]
    for series, kind in enumerate(kinds):
        for instance in range(INSTANCES):
            harmless = random.choice(HARMLESS)
            dataset = _common(person, study, series, instance, day)
            dataset.SOPClassUID = SOURCES[kind]
            _acquired(dataset, kind, random)
            phi = _written(dataset, person, harmless, random)
            _references(dataset, person, study, instance)
            yield Made(number, study, kind, _finished(dataset, random), harmless, phi, shown=False)
    shown = _common(person, study, 9, 0, day)
    shown.SOPClassUID, shown.ConversionType, shown.BurnedInAnnotation = SecondaryCaptureImageStorage, "WSD", "YES"
    _pixels(shown, random)
    yield Made(number, study, "capture", _finished(shown, random), "", (person.family,), shown=True)


def _common(person: Person, study: int, series: int, instance: int, day: date) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID = f"{person.family}^{person.given}", person.id
    dataset.PatientBirthDate, dataset.PatientSex = f"{person.born:%Y%m%d}", "F" if person.seed % 2 else "M"
    dataset.PatientAge = f"{day.year - person.born.year:03}Y"
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = f"3 {person.word('street')} Road", person.word("phone")
    dataset.OtherPatientIDs = f"{person.id}-{person.word('free')}"
    dataset.PatientWeight, dataset.PatientSize = "71.5", "1.78"
    dataset.StudyInstanceUID = person.uid(f"study {study}")
    dataset.SeriesInstanceUID = person.uid(f"series {study} {series}")
    dataset.SOPInstanceUID = person.uid(f"instance {study} {series} {instance}")
    dataset.FrameOfReferenceUID = person.uid(f"frame {study}")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = f"{day:%Y%m%d}"
    dataset.StudyTime = dataset.AcquisitionTime = "091502.5"
    dataset.AcquisitionDateTime = f"{day:%Y%m%d}091502.500000"
    dataset.AccessionNumber, dataset.StudyID = person.word("accession"), person.word("free")[:8]
    dataset.InstitutionName, dataset.InstitutionAddress = person.word("institution"), f"4 {person.word('street')} Lane"
    dataset.ReferringPhysicianName, dataset.OperatorsName = (
        f"{person.word('physician')}^A",
        f"{person.word('middle')}^B",
    )
    dataset.StationName, dataset.DeviceSerialNumber = person.word("station"), person.word("serial")
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = series + 1, instance + 1, 1
    return dataset


def _acquired(dataset: Dataset, kind: str, random: Random) -> None:
    dataset.Modality = "CT" if kind == "ct" else "MR"
    dataset.Manufacturer, dataset.ManufacturerModelName = "PHANTOM", "Numbers 3T"
    dataset.ImageType, dataset.BodyPartExamined = ["ORIGINAL", "PRIMARY", "M", "NORM"], "BRAIN"
    dataset.PatientPosition, dataset.SliceThickness = "HFS", "1.2"
    if kind == "ct":
        dataset.KVP, dataset.GantryDetectorTilt, dataset.ConvolutionKernel = "120", "0", "H30s"
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    else:
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.MRAcquisitionType = "GR", ["SP", "MP"], "3D"
        dataset.SequenceName, dataset.MagneticFieldStrength, dataset.FlipAngle = "*tfl3d1", "3", "9"
        dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime = "2300", "2.98", "900"
        dataset.EchoTrainLength, dataset.PixelBandwidth, dataset.ImagedNucleus = "1", "240", "1H"
    dataset.ImagePositionPatient = ["-10", "-20", str(random.randrange(100))]
    dataset.ImageOrientationPatient, dataset.SliceLocation = ["1", "0", "0", "0", "1", "0"], "3.5"
    if kind == "enhanced":
        position = _item(PlanePositionSequence=[_item(ImagePositionPatient=["0", "0", "1"])])
        orientation = [_item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])]
        dataset.SharedFunctionalGroupsSequence = [_item(PlaneOrientationSequence=orientation)]
        dataset.PerFrameFunctionalGroupsSequence = [position]
    _pixels(dataset, random)


def _pixels(dataset: Dataset, random: Random) -> None:
    dataset.Rows = dataset.Columns = 8
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelSpacing = 1, "MONOCHROME2", ["0.9", "0.9"]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.add_new(0x7FE00010, "OW", pack("<64H", *(random.randrange(4096) for _ in range(64))))


def _written(dataset: Dataset, person: Person, harmless: str, random: Random) -> tuple[str, ...]:
    """Text with names in it, in one of several manners, beside text with nothing in it."""
    name = random.choice((person.family, f"{person.given} {person.family}", f"{person.family}, {person.given}".upper()))
    dataset.SeriesDescription = random.choice((harmless, f"{harmless} {name}", f"{name} {harmless}"))
    dataset.ProtocolName, dataset.StudyDescription = harmless, random.choice((f"BRAIN {person.id}", "BRAIN MRI"))
    dataset.PatientComments = f"{name} called from {person.word('street')}"
    dataset.ImageComments = f"moved, repeat for {person.word('physician')}"
    dataset.AdditionalPatientHistory = f"seen on {person.born:%d.%m.%Y} by Dr. {person.word('middle')}"
    dataset.RequestedProcedureDescription = f"head of {name}"
    request = _item(RequestedProcedureID=person.word("accession"), ScheduledProcedureStepDescription=name)
    dataset.RequestAttributesSequence = [request]
    block = dataset.private_block(0x0029, "MADE UP MAKER", create=True)
    block.add_new(0x01, "LO", person.id)
    unknown = f"{name} {person.born:%Y-%m-%d}".encode()
    block.add_new(0x02, "UN", unknown + b" " * (len(unknown) & 1))
    words = ("street", "phone", "free", "accession", "institution", "physician", "middle", "station", "serial")
    return (person.family, person.given, person.id, f"{person.born:%d.%m.%Y}", *map(person.word, words))


def _references(dataset: Dataset, person: Person, study: int, instance: int) -> None:
    """To the first instance of the study and to the first study; they have to lead there afterwards too."""
    first = _item(ReferencedSOPClassUID=MRImageStorage, ReferencedSOPInstanceUID=person.uid(f"instance {study} 0 0"))
    dataset.ReferencedImageSequence = [first]
    dataset.SourceImageSequence = [first]
    other = _item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=person.uid("study 0"))
    if instance == 0:
        dataset.ReferencedStudySequence = [other]


def _finished(dataset: Dataset, random: Random) -> Dataset:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = random.choice((ExplicitVRLittleEndian, ImplicitVRLittleEndian))
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
