"""Where bytes can stand that no attribute names: long values, padding, wrong VRs, other groups, in front and behind."""

from struct import pack

from encoded import explicit, implicit, sequence

from planted.place import EXPLICIT, Hidden, Place, Plant
from scp.dictionary import TAGS

_WRONG = {
    "PatientName": ("LO", "OB", "UN", "UT", "SH", "CS", "DA", "UI", "ST"),
    "PatientID": ("UN", "OB", "IS"),
    "StudyDate": ("LO", "UN", "OB"),
    "SeriesDescription": ("UN", "OB", "UT"),
    "ReferringPhysicianName": ("UN", "OW", "SQ"),
}
_KEPT_WRONG = {"EchoTime": ("UN", "LT", "OB", "PN"), "Rows": ("UN", "LO"), "ImagePositionPatient": ("UT", "UN", "LO")}
_LONG = ("UN", "UT", "UC", "OB", "LT", "LO", "PN")


def _wrong(keyword: str, vr: str, *, kept: bool) -> Place:
    def make(plant: Plant) -> Hidden:
        if vr == "SQ":
            return Hidden([sequence(TAGS[keyword], explicit(0x00100010, "PN", plant.name))])
        return Hidden([explicit(TAGS[keyword], vr, plant.person.family)])

    return Place(
        f"{keyword} as {vr}",
        make,
        syntaxes=(EXPLICIT,),
        paths=((TAGS[keyword],),),
        broken=kept or keyword == "PatientID",
    )


def _long(vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        text = "x" * 66_000 + plant.name + "y" * 1_000
        return Hidden([plant.element("PatientComments", vr, text)])

    return Place(f"behind 64 KiB of {vr}", make)


def _long_private(plant: Plant) -> Hidden:
    text = "x" * 70_000 + plant.name
    return Hidden([plant.private(0x0029, "SIEMENS CSA HEADER", (0x10, "UN", text), (0x20, "UN", text))])


def _long_kept(plant: Plant) -> Hidden:
    return Hidden([explicit(TAGS["ImageOrientationPatient"], "UN", "0\\" * 33_000 + plant.person.family)])


def _padded(keyword: str, vr: str, value: str, padding: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(keyword, vr, f"{value}{padding}{plant.person.family}")])

    return Place(f"behind {padding!r} in {keyword}", make, paths=((TAGS[keyword],),))


def _other_group(name: str, tag: int, vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.element(tag, vr, plant.name)])

    return Place(name, make, paths=((tag,),))


def _directory(plant: Plant) -> Hidden:
    record = plant.element(0x00041430, "CS", "PATIENT") + plant.element("PatientName", "PN", plant.name)
    return Hidden([plant.element(0x00041130, "CS", plant.person.family), plant.sequence(0x00041220, record)])


def _group_lengths(plant: Plant) -> Hidden:
    return Hidden([plant.element(tag, "UL", plant.person.family) for tag in (0x00080000, 0x00100000, 0x00280000)])


def _trailing_padding(plant: Plant) -> Hidden:
    return Hidden([plant.element(0xFFFCFFFC, "OB", plant.name.encode() + bytes(200))])


def _behind_pixels(plant: Plant) -> Hidden:
    signature = plant.element(0x04000115, "OB", plant.name) + plant.element(0x04000510, "UI", plant.person.uid("mac"))
    block = plant.private(0x7FE1, "NOBODY KNOWS 1.0", (0x10, "OB", plant.name), (0x11, "LO", plant.name))
    return Hidden([block, plant.sequence(0xFFFAFFFA, signature)])


def _signature(plant: Plant) -> Hidden:
    inside = [
        plant.element(0x04000015, "CS", "RIPEMD160"),
        plant.element(0x04000105, "DT", f"{plant.person.scanned:%Y%m%d}{plant.person.time}"),
        plant.element(0x04000115, "OB", b"\x30\x82" + plant.name.encode()),
        plant.element(0x04000120, "OB", plant.name),
        plant.element(0x04000310, "OB", plant.name),
    ]
    return Hidden([plant.sequence(0x04000561, b"".join(inside)), plant.sequence(0xFFFAFFFA, b"".join(inside))])


def _tail(name: str, make: object) -> Place:
    assert callable(make)
    return Place(name, lambda plant: Hidden(tail=make(plant)), broken=True)


def _meta_inside(plant: Plant) -> Hidden:
    return Hidden([plant.element(0x00020016, "AE", plant.person.family), plant.element(0x00020102, "OB", plant.name)])


def _preamble(plant: Plant) -> Hidden:
    return Hidden(preamble=plant.name.encode().ljust(128, b"\0"))


def _file_meta(plant: Plant) -> Hidden:
    meta = explicit(0x00020016, "AE", plant.person.family) + explicit(0x00020100, "UI", plant.person.uid("private"))
    return Hidden(meta=meta + explicit(0x00020102, "OB", plant.name))


def _odd(plant: Plant) -> Hidden:
    name = plant.person.family.encode()[:9]
    return Hidden([pack("<HH2sH", 0x0010, 0x4000, b"LT", 9) + name])


def _unknown_vr(plant: Plant) -> Hidden:
    return Hidden([pack("<HH2sH", 0x0010, 0x4000, b"ZZ", 10) + plant.person.family.encode()])


def _reserved(plant: Plant) -> Hidden:
    """Two bytes of a name in the two that are reserved behind a VR, in each of several kept elements."""
    family = plant.person.family.encode()
    tags = (0x00281201, 0x00281202, 0x00281203, 0x7FE00010)
    parts = [family[at : at + 2] for at in range(0, 8, 2)]
    return Hidden([
        pack("<HH2s2sI", tag >> 16, tag & 0xFFFF, b"OW", part, 8) + bytes(8)
        for tag, part in zip(tags, parts, strict=True)
    ])  # fmt: skip


def _many(plant: Plant) -> Hidden:
    names = "\\".join(f"{plant.name}^{number}" for number in range(500))
    return Hidden([plant.element("OtherPatientNames", "PN", names), plant.element("OtherPatientIDs", "LO", names)])


def _repeated_tag(plant: Plant) -> bytes:
    return plant.element("PatientName", "PN", plant.name)


def _cut(plant: Plant) -> bytes:
    whole = explicit(0x7FE10010, "LO", plant.name) if plant.explicit else implicit(0x7FE10010, plant.name)
    return whole[:-3]


PLACES = [
    *(_wrong(keyword, vr, kept=False) for keyword, vrs in _WRONG.items() for vr in vrs),
    *(_wrong(keyword, vr, kept=True) for keyword, vrs in _KEPT_WRONG.items() for vr in vrs),
    *map(_long, _LONG),
    Place("behind 64 KiB of private UN", _long_private),
    Place("behind 64 KiB of UN where numbers are kept", _long_kept, syntaxes=(EXPLICIT,), broken=True,
          paths=((TAGS["ImageOrientationPatient"],),)),
    *(
        _padded(keyword, vr, value, padding)
        for keyword, vr, value in (("PatientSex", "CS", "F"), ("Modality", "CS", "MR"), ("InstanceNumber", "IS", "7"),
                                   ("EchoTime", "DS", "3.5"), ("ImageType", "CS", "ORIGINAL\\PRIMARY"))
        for padding in ("\0", "  ", "\\")
    ),
    _other_group("group 0006", 0x00060010, "LO"),
    _other_group("group 0004", 0x00041130, "CS"),
    _other_group("an unknown attribute", 0x00089998, "LO"),
    _other_group("an unknown group", 0x77760010, "LO"),
    _other_group("a retired group", 0x40080212, "ST"),
    _other_group("the last group", 0xFFFA0010, "LO"),
    Place("a directory", _directory),
    Place("group lengths", _group_lengths),
    Place("trailing padding", _trailing_padding),
    Place("behind the pixel data", _behind_pixels),
    Place("digital signatures", _signature),
    _tail("behind the last element", lambda plant: plant.name.encode()),
    _tail("behind the last element, an element out of order", _repeated_tag),
    _tail("behind the last element, one cut short", _cut),
    Place("file meta information in the data set", _meta_inside, broken=True),
    Place("preamble", _preamble),
    Place("file meta information", _file_meta),
    Place("an odd length", _odd, syntaxes=(EXPLICIT,), broken=True),
    Place("a VR that is none", _unknown_vr, syntaxes=(EXPLICIT,), broken=True),
    Place("reserved bytes of headers", _reserved, syntaxes=(EXPLICIT,)),
    Place("five hundred values", _many),
]  # fmt: skip
