"""Attributes that recipes keep as they are: what a person writes into them only the residual guard finds."""

from planted.place import Hidden, Place, Plant
from scp.dictionary import ATTRIBUTES, TAGS

_KEPT = [
    "ImageType",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "BodyPartExamined",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SequenceName",
    "AngioFlag",
    "ImagedNucleus",
    "InPlanePhaseEncodingDirection",
    "VariableFlipAngleFlag",
    "PatientPosition",
    "ConvolutionKernel",
    "PhotometricInterpretation",
    "RescaleType",
    "LossyImageCompressionMethod",
    "BurnedInAnnotation",
    "PatientSex",
    "EchoNumbers",
    "RepetitionTime",
    "EchoTime",
    "SliceThickness",
    "SeriesNumber",
    "AcquisitionNumber",
    "SoftwareVersions",
    "ReceiveCoilName",
    "TransmitCoilName",
    "PulseSequenceName",
    "FilterType",
    "PositionReferenceIndicator",
    "Laterality",
    "StackID",
]


def _kept(keyword: str) -> Place:
    vr = ATTRIBUTES[TAGS[keyword]].vrs[0]

    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(keyword, vr, plant.person.family)])

    return Place(f"kept: {keyword}", make, paths=((TAGS[keyword],),))


def _kept_inside(plant: Plant) -> Hidden:
    frame = plant.element("FrameType", "CS", f"ORIGINAL\\{plant.person.family}")
    return Hidden([plant.sequence("MRImageFrameTypeSequence", frame)])


def _character_set(plant: Plant) -> Hidden:
    return Hidden(terms=("ISO_IR 100", plant.person.family))


PLACES = [
    *map(_kept, _KEPT),
    Place("kept: FrameType inside", _kept_inside, paths=((TAGS["MRImageFrameTypeSequence"], TAGS["FrameType"]),)),
    Place("kept: SpecificCharacterSet", _character_set, paths=((0x00080005,),), refusable=True),
]
