"""Around the pixels: overlays, curves, icons, palettes, fragments, what native pixel data has too much; documents."""

from struct import pack

from encoded import EXPLICIT, RLE, explicit, items

from planted.place import Hidden, Place, Plant
from scp.dataset import UNDEFINED
from scp.dictionary import TAGS

JPEG = "1.2.840.10008.1.2.4.50"
PDF, CDA, STL, KEY_OBJECT, PRESENTATION, CAPTURE, ECG, RT_PLAN = (
    f"1.2.840.10008.5.1.4.1.1.{last}" for last in ("104.1", "104.2", "104.3", "88.59", "11.1", "7", "9.1.1", "481.5")
)
_OVERLAY = {0x1500: "LO", 0x0022: "LO", 0x4000: "LT", 0x1301: "IS", 0x0015: "IS"}
_CURVE = {0x0022: "LO", 0x0030: "SH", 0x0040: "SH", 0x2500: "LO", 0x3000: "OW"}
_PALETTES = ("RedPaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData")
_IN_THE_PIXELS = "inside the pixel data, which no header recipe opens"


def _overlay(group: int, element: int, vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(group << 16 | element, vr, plant.person.family)])

    return Place(f"({group:04X},{element:04X})", make)


def _overlay_bits(group: int) -> Place:
    """The name as the bits of an overlay's bitmap."""

    def make(plant: Plant) -> Hidden:
        whole = [
            (0x0010, "US", pack("<H", 16)), (0x0011, "US", pack("<H", 8)), (0x0040, "CS", b"G"),
            (0x0050, "SS", pack("<hh", 1, 1)), (0x0100, "US", pack("<H", 1)), (0x0102, "US", pack("<H", 0)),
            (0x3000, "OW", plant.name.encode()),
        ]  # fmt: skip
        elements = b"".join(plant.element(group << 16 | tag, vr, value) for tag, vr, value in whole)
        return Hidden([elements])

    return Place(f"bits of overlay {group:04X}", make, paths=((group << 16 | 0x3000,),))


def _encapsulated(first: bytes, *fragments: bytes, vr: str = "OB") -> bytes:
    return explicit(0x7FE00010, vr, items([first, *fragments], undefined=True), UNDEFINED)


def _offsets(plant: Plant) -> Hidden:
    return Hidden(pixels=_encapsulated(plant.person.family.encode().ljust(12), bytes(64)))


def _fragment(plant: Plant) -> Hidden:
    return Hidden(pixels=_encapsulated(b"", bytes(64), plant.name.encode() + b" " * (len(plant.name) & 1)))


def _jpeg_comment(plant: Plant) -> Hidden:
    name = plant.name.encode()
    jpeg = b"\xff\xd8\xff\xfe" + pack(">H", len(name) + 2) + name + b"\xff\xd9"
    return Hidden(pixels=_encapsulated(b"", jpeg + b"\0" * (len(jpeg) & 1)))


def _behind_native(plant: Plant) -> Hidden:
    return Hidden(pixels=plant.element(0x7FE00010, "OW", bytes(8) + plant.name.encode()))


def _instead_of_pixels(tag: int, vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(tag, vr, plant.person.family + "xx")])

    return Place(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) beside the pixels", make, paths=((tag,),), refusable=True)


def _embedded(*, declared: bool) -> Place:
    """The name in the four bits above HighBit of 64 pixels, as overlays were once embedded (PS3.5 8.1.2)."""

    def make(plant: Plant) -> Hidden:
        name = plant.name.encode().ljust(32)[:32]
        nibbles = [half for byte in name for half in (byte & 15, byte >> 4)]
        pixels = plant.element(0x7FE00010, "OW", pack("<64H", *(nibble << 12 | 7 for nibble in nibbles)))
        size = [plant.element(tag, "US", pack("<H", 8)) for tag in (0x00280010, 0x00280011)]
        overlay = [
            plant.element(0x60000040, "CS", "G"),
            plant.element(0x60000100, "US", pack("<H", 16)),
            plant.element(0x60000102, "US", pack("<H", 12)),
        ]
        return Hidden([*size, *(overlay if declared else ())], pixels=pixels)

    if declared:
        return Place("in bits above HighBit, as an overlay", make, unfold=_unfolded, refusable=True)
    return Place("in bits above HighBit", make, unfold=_unfolded, beyond=_IN_THE_PIXELS)


def _unfolded(file: bytes) -> bytes:
    halves = [file[at + 1] >> 4 for at in range(len(file) - 128, len(file), 2)]
    return bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))


def _icon(plant: Plant) -> Hidden:
    inside = plant.element(0x00280010, "US", pack("<H", 2)) + plant.element(0x7FE00010, "OW", plant.name)
    return Hidden([plant.sequence("IconImageSequence", inside)])


def _private_icon(plant: Plant) -> Hidden:
    return Hidden([plant.private(0x0009, "GEMS_IDEN_01", (0x01, "OB", plant.name * 20))])


def _palette(keyword: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(keyword, "OW", plant.person.family)])

    return Place(f"in {keyword}", make, paths=((TAGS[keyword],),))


def _explained_palette(plant: Plant) -> Hidden:
    uid = plant.element(0x00281199, "UI", plant.person.uid("palette"))
    return Hidden([uid, plant.element(0x00283003, "LO", plant.name)])


def _document(sop_class: str, kind: str) -> Place:
    def make(plant: Plant) -> Hidden:
        title = plant.element("DocumentTitle", "ST", plant.name)
        body = plant.element("EncapsulatedDocument", "OB", f"%PDF-1.7 {plant.name} %%EOF")
        return Hidden([title, body], sop_class=sop_class, pixels=b"")

    return Place(f"in an encapsulated {kind}", make, paths=((TAGS["DocumentTitle"],),), refusable=True)


def _state(plant: Plant) -> Hidden:
    text = plant.sequence("TextObjectSequence", plant.element("UnformattedTextValue", "ST", plant.name))
    layer = plant.sequence("GraphicLayerSequence", plant.element("GraphicLayerDescription", "LO", plant.name))
    texts = [
        plant.element("ContentLabel", "CS", plant.person.family),
        plant.element("ContentDescription", "LO", plant.name),
        plant.element("ContentCreatorName", "PN", plant.name),
    ]
    graphic = plant.sequence("GraphicAnnotationSequence", text)
    return Hidden([graphic, *texts, layer], sop_class=PRESENTATION, pixels=b"")


def _waveform(plant: Plant) -> Hidden:
    note = plant.sequence("WaveformAnnotationSequence", plant.element("UnformattedTextValue", "ST", plant.name))
    channel = plant.sequence("ChannelDefinitionSequence", plant.element("ChannelLabel", "SH", plant.person.family))
    return Hidden([note, plant.sequence("WaveformSequence", channel)], sop_class=ECG, pixels=b"")


def _plan(plant: Plant) -> Hidden:
    texts = [plant.element(keyword, "LO", plant.person.family) for keyword in ("RTPlanLabel", "RTPlanName")]
    reviewer = plant.element("ReviewerName", "PN", plant.name)
    sites = plant.element("TreatmentSites", "LO", plant.name)
    dose = plant.sequence("DoseReferenceSequence", plant.element("DoseReferenceDescription", "LO", plant.name))
    return Hidden([*texts, reviewer, sites, dose], sop_class=RT_PLAN, pixels=b"")


def _capture(plant: Plant) -> Hidden:
    device = plant.element("SecondaryCaptureDeviceID", "LO", plant.person.family)
    return Hidden([device, plant.element("ConversionType", "CS", "WSD")], sop_class=CAPTURE)


def _key_object(plant: Plant) -> Hidden:
    evidence = plant.element("ReferencedSOPInstanceUID", "UI", plant.person.uid("key"))
    series = plant.sequence("ReferencedSeriesSequence", plant.sequence("ReferencedSOPSequence", evidence))
    note = plant.element("ValueType", "CS", "TEXT") + plant.element("TextValue", "UT", plant.name)
    both = [
        plant.sequence("CurrentRequestedProcedureEvidenceSequence", series),
        plant.sequence("ContentSequence", note),
    ]
    return Hidden(both, sop_class=KEY_OBJECT, pixels=b"")


PLACES = [
    *(_overlay(group, tag, vr) for group in (0x6000, 0x6002, 0x601E) for tag, vr in _OVERLAY.items()),
    *(_overlay(group, tag, vr) for group in (0x5000, 0x501E) for tag, vr in _CURVE.items()),
    *map(_overlay_bits, (0x6000, 0x6008)),
    Place("in the basic offset table", _offsets, syntaxes=(RLE, JPEG), beyond=_IN_THE_PIXELS),
    Place("in a fragment of its own", _fragment, syntaxes=(RLE, JPEG), beyond=_IN_THE_PIXELS),
    Place("in a comment of a JPEG", _jpeg_comment, syntaxes=(JPEG,), beyond=_IN_THE_PIXELS),
    Place("behind the last native pixel", _behind_native, beyond=_IN_THE_PIXELS),
    _instead_of_pixels(0x7FE00008, "OF"),
    _instead_of_pixels(0x7FE00009, "OD"),
    _embedded(declared=True),
    _embedded(declared=False),
    Place("in an icon", _icon),
    Place("in a maker's icon", _private_icon),
    *map(_palette, _PALETTES),
    Place("in a palette's explanation", _explained_palette, paths=((0x00283003,),)),
    _document(PDF, "PDF"),
    _document(CDA, "CDA"),
    _document(STL, "STL"),
    Place(
        "in a presentation state",
        _state,
        paths=((TAGS["ContentLabel"],), (TAGS["GraphicLayerSequence"], 0x00700068)),
        refusable=True,
    ),
    Place(
        "in a waveform's annotations",
        _waveform,
        paths=((TAGS["WaveformSequence"], 0x003A0200, 0x003A0203),),
        refusable=True,
    ),
    Place("in a radiotherapy plan", _plan, paths=((TAGS["RTPlanName"],),), refusable=True),
    Place(
        "in a secondary capture",
        _capture,
        paths=((TAGS["SecondaryCaptureDeviceID"],),),
        syntaxes=(EXPLICIT,),
        refusable=True,
    ),
    Place("in a key object", _key_object, refusable=True),
]
