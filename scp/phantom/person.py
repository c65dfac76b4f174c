"""Who the phantom is said to be: names nobody bears, and every place a scanner writes them."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

_FAMILIES = ("Ziegelmohn", "Brugnièrel", "Quastenfels", "Oxentwhistle", "Vandermuurke", "Jolivernant")
_GIVEN = ("Odilette", "Aurelinde", "Brunhardt", "Celestinus", "Dorotheus", "Emmelina")
_WARDS = ("Neurologie Quellenhof", "Clinique Belvalmont", "Northmere Memory Clinic")

_PRIVATE_CREATOR = "PHANTOM HEADER 1.0"


@dataclass(frozen=True)
class Person:
    """A made-up patient and visit; everything here is identity and must not survive."""

    name: str
    patient_id: str
    birth: date
    sex: str
    accession: str
    physician: str
    operator: str
    institution: str
    station: str
    serial: str
    examined: date
    study_uid: str

    @property
    def age(self) -> str:
        """Age at the examination as PS3.5 writes it (AS)."""
        before_birthday = (self.examined.month, self.examined.day) < (self.birth.month, self.birth.day)
        return f"{self.examined.year - self.birth.year - before_birthday:03d}Y"


def invent(seed: int) -> Person:
    """The person of a seed, always the same."""
    generator = np.random.default_rng([seed, 1])
    family, physician, operator = generator.permutation(_FAMILIES)[:3]
    given = generator.permutation(_GIVEN)
    number = int(generator.integers(10**6, 10**7))
    examined = date(2026, 1, 5) + timedelta(days=int(generator.integers(0, 300)))
    return Person(
        name=f"{family}^{given[0]}",
        patient_id=f"QX{number}-K",
        birth=date(1936, 1, 1) + timedelta(days=int(generator.integers(0, 365 * 55))),
        sex=str(generator.choice(["F", "M"])),
        accession=f"ACC{number + 77:08d}",
        physician=f"{physician}^{given[1]}^^Dr",
        operator=f"{operator}^{given[2]}",
        institution=str(generator.choice(_WARDS)),
        station=f"MRSTATION{number % 97:02d}",
        serial=f"SN{number * 3}",
        examined=examined,
        study_uid=generate_uid(entropy_srcs=["phantom study", str(seed)]),
    )


def write_person(dataset: Dataset, person: Person) -> None:
    """The patient, study and equipment modules with all their free text, as scanners fill them."""
    day = f"{person.examined:%Y%m%d}"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.StudyDate, dataset.StudyTime = day, "101500.000000"
    dataset.AccessionNumber = person.accession
    dataset.InstitutionName = person.institution
    dataset.InstitutionAddress = f"17 Invented Lane, {person.institution}"
    dataset.InstitutionalDepartmentName = "Radiology Two"
    dataset.ReferringPhysicianName = person.physician
    dataset.PerformingPhysicianName = person.physician
    dataset.OperatorsName = person.operator
    dataset.StationName = person.station
    dataset.StudyDescription = f"MRI head for {person.name.split('^')[0]}"
    dataset.PatientName = person.name
    dataset.PatientID = person.patient_id
    dataset.IssuerOfPatientID = "NORTHMERE"
    dataset.PatientBirthDate = f"{person.birth:%Y%m%d}"
    dataset.PatientSex = person.sex
    dataset.PatientAge = person.age
    dataset.PatientWeight = "71.5"
    dataset.PatientAddress = f"4 Nowhere Street, {person.station}"
    dataset.PatientTelephoneNumbers = "+00 555 0100 77"
    dataset.PatientComments = f"Daughter of {person.name.split('^')[0]} called twice"
    dataset.DeviceSerialNumber = person.serial
    dataset.StudyInstanceUID = person.study_uid
    dataset.StudyID = person.accession[-6:]
    _write_requests(dataset, person)
    block = dataset.private_block(0x0029, _PRIVATE_CREATOR, create=True)
    block.add_new(0x10, "LO", person.name)
    block.add_new(0x11, "SH", person.serial)


def _write_requests(dataset: Dataset, person: Person) -> None:
    """Identity inside sequences, two levels deep."""
    other = Dataset()
    other.PatientID = f"OLD-{person.patient_id}"
    other.TypeOfPatientID = "TEXT"
    dataset.OtherPatientIDsSequence = [other]
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "MRH1", "99LOCAL", f"Head of {person.patient_id}"
    request = Dataset()
    request.AccessionNumber = person.accession
    request.RequestedProcedureID = f"RP{person.accession}"
    request.ScheduledProcedureStepID = f"SPS{person.accession}"
    request.ScheduledProcedureStepDescription = f"Head, {person.physician.split('^')[0]}"
    request.RequestedProcedureCodeSequence = [code]
    dataset.RequestAttributesSequence = [request]
