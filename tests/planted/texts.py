"""Texts: the attributes that people write into, each form a name can have, each character set."""

from collections.abc import Callable

from planted.place import Hidden, Place, Plant
from planted.scripts import SCRIPTS
from scp.dictionary import ATTRIBUTES, TAGS

_ATTRIBUTES = [
    "PatientComments",
    "AdditionalPatientHistory",
    "Occupation",
    "MilitaryRank",
    "BranchOfService",
    "EthnicGroup",
    "CountryOfResidence",
    "PatientReligiousPreference",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "IssuerOfPatientID",
    "MedicalAlerts",
    "Allergies",
    "ResponsiblePerson",
    "ResponsibleOrganization",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ReferringPhysicianAddress",
    "PhysiciansOfRecord",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "AdmittingDiagnosesDescription",
    "DerivationDescription",
    "ImageComments",
    "FrameComments",
    "StudyComments",
    "ReasonForStudy",
    "RequestingPhysician",
    "RequestingService",
    "RequestedProcedureDescription",
    "RequestedContrastAgent",
    "AdmissionID",
    "IssuerOfAdmissionID",
    "CurrentPatientLocation",
    "PatientState",
    "SpecialNeeds",
    "VisitComments",
    "PerformedStationName",
    "PerformedStationAETitle",
    "PerformedLocation",
    "PerformedProcedureStepID",
    "PerformedProcedureStepDescription",
    "CommentsOnThePerformedProcedureStep",
    "ScheduledPerformingPhysicianName",
    "RequestedProcedureID",
    "RequestedProcedureComments",
    "NamesOfIntendedRecipientsOfResults",
    "OrderEnteredBy",
    "OrderCallbackPhoneNumber",
    "FillerOrderNumberImagingServiceRequest",
    "PlacerOrderNumberImagingServiceRequest",
    "ImagingServiceRequestComments",
    "ConfidentialityConstraintOnPatientDataDescription",
    "ClinicalTrialSponsorName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSiteName",
    "ContrastBolusAgent",
    "ContributionDateTime",
    "DeviceID",
    "GantryID",
    "CassetteID",
    "PlateID",
    "DetectorID",
    "AcquisitionComments",
    "AcquisitionDeviceProcessingDescription",
    "RetrieveAETitle",
    "TextString",
    "ResultsComments",
    "InterpretationText",
    "InterpretationAuthor",
    "Impressions",
    "DistributionName",
    "NameToUse",
    "PronounComment",
    "EthnicGroups",
    "DisplayURI",
    "RetrieveURL",
    "RetrieveURI",
    "PatientTelecomInformation",
    "SmokingStatus",
]
_AROUND = {"AE": "{0}", "CS": "{0}", "SH": "{0}", "DT": "{0}", "UR": "https://ward.example/{0}"}

FORMS: dict[str, Callable[[str, str], str]] = {
    "as DICOM writes it": lambda family, given: f"{family}^{given}",
    "all five components": lambda family, given: f"{family}^{given}^Zw^Prof.^jun.",
    "given name first": lambda family, given: f"{given} {family}",
    "with a comma": lambda family, given: f"{family}, {given}",
    "upper case": lambda family, given: f"{given} {family}".upper(),
    "lower case": lambda family, given: f"{given} {family}".lower(),
    "titled": lambda family, _given: f"Frau Dr. {family.title()}",
    "family name alone": lambda family, _given: family,
    "given name alone": lambda _family, given: f"for {given}!",
    "joined": lambda family, given: family + given,
    "joined the other way": lambda family, given: given + family,
    "with an underscore": lambda family, given: f"T1_{family}_{given}",
    "with a hyphen": lambda family, given: f"{given}-{family}",
    "in an address": lambda family, given: f"{given.lower()}.{family.lower()}@ward.example",
    "with an initial": lambda family, given: f"{given[0]}. {family}",
    "between protocol words": lambda family, _given: f"T1 MPRAGE {family} SAG",
    "touching protocol words": lambda family, _given: f"T1{family}SAG",
    "behind many words": lambda family, _given: "T2 AX " * 20 + family,
    "between quotes": lambda family, given: f"\"{family}\" '{given}'",
    "on a second line": lambda family, given: f"head\r\n{given}\t{family}",
    "with a possessive": lambda family, _given: f"{family}'s head",
}


def _attribute(keyword: str) -> Place:
    vr = ATTRIBUTES[TAGS[keyword]].vrs[0]

    def make(plant: Plant) -> Hidden:
        name = plant.name if vr == "PN" else plant.person.family
        return Hidden([plant.element(keyword, vr, _AROUND.get(vr, "{0}").format(name))])

    return Place(f"text: {keyword}", make, paths=((TAGS[keyword],),))


def _form(name: str, keyword: str) -> Place:
    def make(plant: Plant) -> Hidden:
        text = FORMS[name](plant.person.family, plant.person.given)
        return Hidden([plant.element(keyword, "LO", text)])

    return Place(f"name {name}: {keyword}", make, paths=((TAGS[keyword],),))


def _script(name: str) -> list[Place]:
    script = SCRIPTS[name]

    def native(plant: Plant) -> str:
        return "^".join(plant.person.native(name))

    def in_comments(plant: Plant) -> Hidden:
        return Hidden([plant.element("PatientComments", "LT", script.encode(native(plant)))], terms=script.terms)

    def in_name(plant: Plant) -> Hidden:
        written = f"{plant.name}=".encode() + script.encode(native(plant)) + b"=" + script.encode(native(plant))
        return Hidden([plant.element("PatientName", "PN", written)], terms=script.terms)

    def inside(plant: Plant) -> Hidden:
        name_inside = plant.element("PersonName", "PN", script.encode(native(plant)))
        description = plant.element("SeriesDescription", "LO", b"T1 " + script.encode(native(plant)))
        return Hidden([description, plant.sequence("PlanePositionSequence", name_inside)], terms=script.terms)

    makes = {"comments": in_comments, "name groups": in_name, "description and nested": inside}
    return [Place(f"{name}: {where}", make, script=name) for where, make in makes.items()]


def _misdeclared() -> list[Place]:
    def as_utf8(plant: Plant) -> Hidden:
        name = "^".join(plant.person.native("Latin 1")).encode()
        return Hidden([plant.element("SeriesDescription", "LO", name)], terms=("ISO_IR 100",))

    def undeclared(plant: Plant) -> Hidden:
        name = SCRIPTS["Kanji"].encode("^".join(plant.person.native("Kanji")))
        return Hidden([plant.element("StudyDescription", "LO", name)])

    def invalid(plant: Plant) -> Hidden:
        name = plant.person.family.encode() + b"\xff\xfe\x80"
        return Hidden([plant.element("StudyDescription", "LO", name)], terms=("ISO_IR 192",))

    def unknown(plant: Plant) -> Hidden:
        return Hidden([plant.element("StudyDescription", "LO", plant.name + " \xe4")], terms=("ISO_IR 999",))

    def escapes(plant: Plant) -> Hidden:
        name = b"\x1b$B" + plant.person.family.encode() + b"\x1b(Q"
        return Hidden([plant.element("SeriesDescription", "LO", name)], terms=("", "ISO 2022 IR 87"))

    def wide(plant: Plant) -> Hidden:
        return Hidden([plant.element("PatientComments", "LT", plant.name.encode("utf-16-le"))])

    return [
        Place("UTF-8 said to be Latin 1", as_utf8, script="Latin 1"),
        Place("Kanji without a character set", undeclared, script="Kanji"),
        Place("bytes that are no UTF-8", invalid),
        Place("a character set that is none", unknown, broken=True),
        Place("an escape sequence that is none", escapes, broken=True),
        Place("UTF-16", wide),
    ]


PLACES = [
    *map(_attribute, _ATTRIBUTES),
    *(_form(name, keyword) for name in FORMS for keyword in ("SeriesDescription", "ImageComments")),
    *(place for name in SCRIPTS for place in _script(name)),
    *_misdeclared(),
]
