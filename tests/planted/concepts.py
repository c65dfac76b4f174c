"""Content items by their concept names, and drawings: what options of PS3.15 E.3.3 and E.3.4 go through one by one."""

from struct import pack

from encoded import explicit, implicit, items

from planted.nesting import SR
from planted.place import EXPLICIT, Hidden, Place, Plant
from scp.dictionary import TAGS

STATE = "1.2.840.10008.5.1.4.1.1.11.1"
_TEXTS = (
    ("121106", "DCM"),  # comment: removed
    ("121071", "DCM"),  # finding: a dummy, or cleaned
    ("363698007", "SCT"),  # finding site
    ("G-C0E3", "SRT"),  # the same before
    ("121016", "DCM"),  # serial number of the observer: kept with its device
    ("121009", "DCM"),  # organisation of the observer: kept with its institution
    ("S-100", "99SITE"),  # nobody knows
)
_KEPT = {"121016", "121009"}  # by an option, so that the guard has to find who stands in it
_NAMES = (("121008", "DCM"), ("121036", "DCM"), ("S-101", "99SITE"))
_DATES = (("121031", "DCM"), ("111060", "DCM"), ("S-102", "99SITE"))
_HOLDERS = ("ContentSequence", "AcquisitionContextSequence", "SpecimenPreparationSequence")


def _named(plant: Plant, code: tuple[str, str]) -> bytes:
    value, scheme = code
    coded = plant.element("CodeValue", "SH", value) + plant.element("CodingSchemeDesignator", "SH", scheme)
    return plant.sequence("ConceptNameCodeSequence", coded + plant.element("CodeMeaning", "LO", "concept"))


def _item(kind: str, code: tuple[str, str], holder: str) -> Place:
    def make(plant: Plant) -> Hidden:
        value = {
            "TEXT": plant.element("TextValue", "UT", f"of {plant.name}"),
            "PNAME": plant.element("PersonName", "PN", plant.name),
            "DATE": plant.element("Date", "DA", f"{plant.person.scanned:%Y%m%d}"),
        }[kind]
        body = plant.element("ValueType", "CS", kind) + _named(plant, code) + value
        return Hidden([plant.sequence(holder, body, body)], sop_class=SR, pixels=b"")

    hidden = "date" if kind == "DATE" else "person"
    return Place(f"in {holder}, {kind} {' '.join(code)}", make, kind=hidden, refusable=code[0] in _KEPT)


def _unknown(plant: Plant) -> Hidden:
    code = implicit(0x00080100, "121106") + implicit(0x00080102, "DCM ")
    item = implicit(0x0040A040, "TEXT") + implicit(0x0040A043, items([code])) + implicit(0x0040A160, plant.name)
    return Hidden([explicit(TAGS["ContentSequence"], "UN", items([item]))], sop_class=SR, pixels=b"")


def _annotation(plant: Plant, *more: bytes) -> Hidden:
    circle = plant.element("GraphicData", "FL", pack("<ffff", 1, 2, 3, 4))
    circle += plant.element("GraphicType", "CS", "CIRCLE")
    layer, drawn = plant.element("GraphicLayer", "CS", "LAYER"), plant.sequence("GraphicObjectSequence", circle)
    body = layer + b"".join(sorted([drawn, *more], key=lambda one: one[2:4][::-1]))
    return Hidden([plant.sequence("GraphicAnnotationSequence", body)], sop_class=STATE, pixels=b"")


def _text_object(plant: Plant) -> Hidden:
    text = plant.element("UnformattedTextValue", "ST", f"seen by {plant.name}")
    return _annotation(plant, plant.sequence("TextObjectSequence", text, text))


def _compound(plant: Plant) -> Hidden:
    text = plant.element("UnformattedTextValue", "ST", plant.name)
    return _annotation(plant, plant.sequence("CompoundGraphicSequence", text))


def _only_text(plant: Plant) -> Hidden:
    text = plant.sequence("TextObjectSequence", plant.element("UnformattedTextValue", "ST", plant.name))
    layer = plant.element("GraphicLayer", "CS", "LAYER")
    return Hidden([plant.sequence("GraphicAnnotationSequence", layer + text)], sop_class=STATE, pixels=b"")


PLACES = [
    *(_item("TEXT", code, holder) for holder in _HOLDERS for code in _TEXTS),
    *(_item("PNAME", code, "ContentSequence") for code in _NAMES),
    *(_item("DATE", code, "ContentSequence") for code in _DATES),
    Place("in ContentSequence as UN of defined length", _unknown, syntaxes=(EXPLICIT,)),
    Place("in a text object", _text_object),
    Place("in a compound graphic", _compound),
    Place("in an annotation of text alone", _only_text),
]
