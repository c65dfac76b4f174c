"""Dates, times, ages and UIDs, in their own attributes and everywhere else."""

from datetime import date

from planted.person import KINDS, written
from planted.place import Hidden, Place, Plant
from scp.dictionary import ATTRIBUTES, TAGS

_DAYS = [
    "PatientBirthDate",
    "LastMenstrualDate",
    "InstanceCreationDate",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "PerformedProcedureStepStartDate",
    "ScheduledProcedureStepStartDate",
    "DateOfLastCalibration",
    "DateOfSecondaryCapture",
    "AdmittingDate",
]
_MOMENTS = ["AcquisitionDateTime", "FrameReferenceDateTime", "StartAcquisitionDateTime", "InstanceCoercionDateTime"]
_HOURS = ["StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "InstanceCreationTime", "PatientBirthTime"]
_TEXTS = ("SeriesDescription", "ImageComments")
_UIDS = [
    "SynchronizationFrameOfReferenceUID",
    "ConcatenationUID",
    "DimensionOrganizationUID",
    "InstanceCreatorUID",
    "IrradiationEventUID",
    "TransactionUID",
    "DeviceUID",
    "TrackingUID",
    "RelatedGeneralSOPClassUID",
    "ReferencedFrameOfReferenceUID",
    "ObservationUID",
]
_UID_TEXTS = {"SH": "StationName", "LO": "SeriesDescription", "LT": "ImageComments", "ST": "DerivationDescription",
              "UT": "TextValue", "UC": "StrainDescription", "CS": "RequestedProcedurePriority"}  # fmt: skip
_FORMATS = list(written(date(2000, 1, 2)))


def _typed(keyword: str, *, inside: bool) -> Place:
    def make(plant: Plant) -> Hidden:
        day = plant.person.born if "Birth" in keyword else plant.person.scanned
        one = plant.element(keyword, "DA", f"{day:%Y%m%d}")
        return Hidden([plant.sequence("PlaneOrientationSequence", one) if inside else one])

    where = "nested " if inside else ""
    path = (*((TAGS["PlaneOrientationSequence"],) if inside else ()), TAGS[keyword])
    return Place(f"date: {where}{keyword}", make, kind="date", paths=(path,))


def _moment(keyword: str, form: str, kind: str) -> Place:
    def make(plant: Plant) -> Hidden:
        day, time = f"{plant.person.scanned:%Y%m%d}", plant.person.time
        text = form.format(day=day, time=time, short=time[:6], dotted=f"{plant.person.scanned:%Y.%m.%d}")
        return Hidden([plant.element(keyword, ATTRIBUTES[TAGS[keyword]].vrs[0], text)])

    return Place(f"{kind}: {keyword} as {form}", make, kind=kind, paths=((TAGS[keyword],),))


def _in_text(form: str, keyword: str) -> Place:
    def make(plant: Plant) -> Hidden:
        text = f"T1 {written(plant.person.scanned)[form]} born {written(plant.person.born)[form]}"
        return Hidden([plant.element(keyword, "LO", text)])

    return Place(f"date {form}: {keyword}", make, kind="date", paths=((TAGS[keyword],),))


def _private_date(form: str) -> Place:
    def make(plant: Plant) -> Hidden:
        text = written(plant.person.scanned)[form]
        return Hidden([plant.private(0x2001, "Philips Imaging DD 001", (0xC8, "LO", text), (0x03, "FL", bytes(4)))])

    return Place(f"date {form}: private", make, kind="date")


def _uid(keyword: str, values: int) -> Place:
    def make(plant: Plant) -> Hidden:
        texts = [plant.person.uid(f"{keyword} {number}") for number in range(values)]
        return Hidden([plant.element(keyword, "UI", "\\".join(texts))])

    return Place(f"UID: {keyword} x {values}", make, kind="uid", paths=((TAGS[keyword],),))


def _uid_text(vr: str) -> Place:
    keyword = _UID_TEXTS[vr]

    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(keyword, vr, plant.person.uid("study"))])

    return Place(f"UID in {vr}: {keyword}", make, kind="uid", paths=((TAGS[keyword],),))


def _references(plant: Plant) -> Hidden:
    one = plant.element("ReferencedSOPInstanceUID", "UI", plant.person.uid("other"))
    sequences = [plant.sequence(tag, one) for tag in (0x00081110, 0x00081111, 0x00081140, 0x00082112, 0x00089154)]
    return Hidden(sequences)


def _gems(plant: Plant) -> Hidden:
    uid = plant.person.uid("study")
    return Hidden([plant.private(0x0043, "GEMS_PARM_01", (0x61, "UI", uid), (0x62, "SH", uid), (0x28, "OB", uid))])


def _deep_uid(plant: Plant) -> Hidden:
    one = plant.element("ReferencedSOPInstanceUID", "UI", plant.person.uid("deep"))
    for tag in ("SourceImageSequence", "DerivationImageSequence"):
        one = plant.sequence(tag, one)
    return Hidden([plant.sequence("SharedFunctionalGroupsSequence", one)])


def _date_as_uid(plant: Plant) -> Hidden:
    stamped = f"1.3.12.2.1107.5.{plant.person.scanned:%Y%m%d}{plant.person.time[:6]}.1"
    return Hidden([plant.element("ConcatenationUID", "UI", stamped)])


def _age(keyword: str, vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(keyword, vr, plant.person.age)])

    return Place(f"age: {keyword}", make, kind="age", paths=((TAGS[keyword],),))


def _age_inside(plant: Plant) -> Hidden:
    return Hidden([plant.sequence("PlaneOrientationSequence", plant.element("PatientAge", "AS", plant.person.age))])


def _parted(plant: Plant) -> Hidden:
    days = f"{plant.person.born:%Y%m%d}\\{plant.person.scanned:%Y%m%d}"
    return Hidden([plant.element("DateOfLastCalibration", "DA", days), plant.element("StudyDate", "DA", days)])


PLACES = [
    *(Place(f"{kind}: where every image has it", lambda _plant: Hidden(), kind=kind) for kind in KINDS),
    *(_typed(keyword, inside=inside) for keyword in _DAYS for inside in (False, True)),
    *(_moment(keyword, "{day}{time}", "date") for keyword in _MOMENTS),
    _moment("AcquisitionDateTime", "{day}{short}+0200", "date"),
    _moment("StudyDate", "{dotted}", "date"),
    _moment("StudyDate", "{day}-{day}", "date"),
    _moment("StudyDate", " {day} ", "date"),
    _moment("StudyDate", "{day}{short}", "date"),
    _moment("StudyTime", "{day}", "date"),
    _moment("StudyTime", "{day}{short}", "date"),
    *(_moment(keyword, "{time}", "time") for keyword in _HOURS),
    _moment("ImageComments", "at {time}", "time"),
    *(_in_text(form, keyword) for form in _FORMATS for keyword in _TEXTS),
    *map(_private_date, _FORMATS),
    Place("date: several in one attribute", _parted, kind="date", paths=((TAGS["DateOfLastCalibration"],),)),
    Place("date: in a UID", _date_as_uid, kind="date", paths=((TAGS["ConcatenationUID"],),)),
    *(_uid(keyword, values) for keyword in _UIDS for values in (1, 3)),
    *map(_uid_text, _UID_TEXTS),
    Place("UID: references", _references, kind="uid"),
    Place("UID: references in functional groups", _deep_uid, kind="uid"),
    Place("UID: GEMS_PARM_01", _gems, kind="uid"),
    _age("PatientAge", "AS"),
    _age("PatientComments", "LT"),
    Place("age: nested", _age_inside, kind="age"),
]
