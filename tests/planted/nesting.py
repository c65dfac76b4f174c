"""Sequences: deep, unknown, with lengths of both kinds, in structured reports and in functional groups."""

from struct import pack

from encoded import explicit, implicit, items, sequence

from planted.place import EXPLICIT, Hidden, Place, Plant
from scp.dataset import UNDEFINED
from scp.dictionary import TAGS

SR, MR_ENHANCED = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.4.1"
_GEOMETRY = "PlanePositionSequence"
_DEPTHS = (1, 2, 3, 5, 8, 13, 21, 31, 32)
_HOLDERS = [
    "RequestAttributesSequence",
    "ReferencedPatientSequence",
    "OtherPatientIDsSequence",
    "PersonIdentificationCodeSequence",
    "ReferringPhysicianIdentificationSequence",
    "InstitutionCodeSequence",
    "ProcedureCodeSequence",
    "ReferencedStudySequence",
    "ReferencedPerformedProcedureStepSequence",
    "SourceImageSequence",
    "ReferencedImageSequence",
    "ContributingEquipmentSequence",
    "OriginalAttributesSequence",
    "ModifiedAttributesSequence",
    "DigitalSignaturesSequence",
    "ReferencedDigitalSignatureSequence",
    "ContentSequence",
    "VerifyingObserverSequence",
    "AuthorObserverSequence",
    "ParticipantSequence",
    "ContentCreatorIdentificationCodeSequence",
    "GraphicAnnotationSequence",
    "WaveformAnnotationSequence",
    "VOILUTSequence",
    "ModalityLUTSequence",
    "PresentationLUTSequence",
    "IconImageSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "FrameContentSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "RealWorldValueMappingSequence",
    "MRImageFrameTypeSequence",
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRDiffusionSequence",
    "DiffusionGradientDirectionSequence",
    "DimensionIndexSequence",
    "MRFOVGeometrySequence",
    "DimensionOrganizationSequence",
    "AcquisitionContextSequence",
    "PerformedProtocolCodeSequence",
    "ReferencedWaveformSequence",
    "StructureSetROISequence",
    "ROIContourSequence",
    "BeamSequence",
    "PatientSetupSequence",
    "ReferencedInstanceSequence",
    "MultiplexedSharedFunctionalGroupsSequence",
    "PersonNamesToUseSequence",
    "GenderIdentitySequence",
]
_HOLDERS = [keyword for keyword in _HOLDERS if keyword in TAGS]


def _holder(keyword: str) -> Place:
    def make(plant: Plant) -> Hidden:
        inside = plant.element("PatientComments", "LT", plant.name) if plant.random.random() < 0.5 else b""
        name = plant.element("PatientName", "PN", plant.name)
        return Hidden([plant.sequence(keyword, name + inside, name)])

    return Place(f"in {keyword}", make)


def _deep(depth: int) -> Place:
    def make(plant: Plant) -> Hidden:
        body = plant.element("PatientName", "PN", plant.name)
        for _ in range(depth - 1):
            body = plant.sequence(_GEOMETRY, body)
        return Hidden([plant.sequence(_GEOMETRY, body)])

    return Place(f"in {depth} sequences", make)


def _report(depth: int, kind: str) -> Place:
    def make(plant: Plant) -> Hidden:
        value = {
            "PNAME": plant.element("PersonName", "PN", plant.name),
            "TEXT": plant.element("TextValue", "UT", f"seen by {plant.name}"),
            "UIDREF": plant.element("UID", "UI", plant.person.uid("observer")),
            "CODE": plant.sequence("ConceptCodeSequence", plant.element("CodeMeaning", "LO", plant.name)),
        }[kind]
        body = plant.element("ValueType", "CS", kind) + value
        for _ in range(depth - 1):
            container = plant.element("ValueType", "CS", "CONTAINER")
            body = container + plant.sequence("ContentSequence", body)
        return Hidden([plant.sequence("ContentSequence", body)], sop_class=SR, pixels=b"")

    hidden = "uid" if kind == "UIDREF" else "person"
    coded = (TAGS["ContentSequence"], TAGS["ConceptCodeSequence"], TAGS["CodeMeaning"])
    paths = (coded,) if kind == "CODE" else ()
    return Place(f"in a report, {kind} at depth {depth}", make, kind=hidden, paths=paths, refusable=True)


def _unknown(keyword: str, *, undefined: bool) -> Place:
    def make(plant: Plant) -> Hidden:
        inner = implicit(0x00100010, plant.name)
        value = items([inner], undefined=undefined, undefined_items=undefined)
        return Hidden([explicit(TAGS[keyword], "UN", value, UNDEFINED if undefined else None)])

    length = "undefined" if undefined else "defined"
    return Place(f"in {keyword} as UN of {length} length", make, syntaxes=(EXPLICIT,))


def _unknown_in_unknown(plant: Plant) -> Hidden:
    inner = implicit(0x00209116, items([implicit(0x00100010, plant.name)]))
    return Hidden([sequence(0x00209113, implicit(0x00209113, items([inner])), vr="UN", undefined=True)])


def _no_sequence(plant: Plant) -> Hidden:
    return Hidden([explicit(0x00209113, "UN", plant.name)])


def _delimiters(plant: Plant) -> Hidden:
    """A name where an item's delimiter says that nothing is."""
    name = plant.person.family.encode().ljust(12)
    body = pack("<HHI", 0xFFFE, 0xE000, UNDEFINED) + pack("<HHI", 0xFFFE, 0xE00D, len(name)) + name
    end = pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return Hidden([explicit(0x00209113, "SQ", body + end, UNDEFINED)])


def _sequence_delimiter(plant: Plant) -> Hidden:
    name = plant.person.family.encode().ljust(12)
    return Hidden([explicit(0x00209113, "SQ", pack("<HHI", 0xFFFE, 0xE0DD, len(name)) + name, UNDEFINED)])


def _between_items(plant: Plant) -> Hidden:
    inside = items([explicit(0x00200032, "DS", "1\\2\\3")])
    return Hidden([explicit(0x00209113, "SQ", inside + plant.person.family.encode().ljust(12))])


def _explanations(plant: Plant) -> Hidden:
    table = plant.element(0x00283002, "US", pack("<HHH", 1, 0, 16)) + plant.element("LUTExplanation", "LO", plant.name)
    return Hidden(
        [plant.sequence(tag, table + plant.element(0x00283006, "OW", b"\0\0")) for tag in (0x00283000, 0x00283010)]
    )


def _frames(count: int) -> Place:
    def make(plant: Plant) -> Hidden:
        frames = []
        for number in range(count):
            position = plant.element("ImagePositionPatient", "DS", f"0\\0\\{number}")
            label = plant.element("FrameComments", "LT", plant.name)
            frames.append(plant.sequence("FrameContentSequence", label) + plant.sequence(_GEOMETRY, position))
        groups = plant.sequence("PerFrameFunctionalGroupsSequence", *frames)
        return Hidden([groups], sop_class=MR_ENHANCED)

    return Place(f"in each of {count} frames", make)


PLACES = [
    *map(_holder, _HOLDERS),
    *map(_deep, _DEPTHS),
    *(_report(depth, kind) for depth in (1, 2, 8, 31, 32) for kind in ("PNAME", "TEXT", "CODE")),
    _report(3, "UIDREF"),
    *(_unknown(keyword, undefined=flag) for keyword in (_GEOMETRY, "VOILUTSequence", "RequestAttributesSequence")
      for flag in (False, True)),
    Place("in UN in UN", _unknown_in_unknown, syntaxes=(EXPLICIT,)),
    Place("in UN that is no sequence where one is kept", _no_sequence, syntaxes=(EXPLICIT,), broken=True),
    Place("in an item's delimiter", _delimiters, syntaxes=(EXPLICIT,), broken=True),
    Place("in a sequence's delimiter", _sequence_delimiter, syntaxes=(EXPLICIT,), broken=True),
    Place("between items", _between_items, syntaxes=(EXPLICIT,), broken=True),
    Place("in explanations of look-up tables", _explanations, paths=((0x00283010, TAGS["LUTExplanation"]),)),
    *map(_frames, (1, 20)),
]  # fmt: skip
