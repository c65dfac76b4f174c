"""Private attributes: makers' blocks as they are seen in the wild, and blocks that follow no rule."""

from struct import pack

from encoded import explicit, items

from planted.place import EXPLICIT, Hidden, Place, Plant
from scp.dataset import UNDEFINED

_CREATORS = (
    (0x0009, "GEMS_IDEN_01"), (0x0019, "GEMS_ACQU_01"), (0x0019, "SIEMENS MR HEADER"), (0x0021, "SIEMENS MR SDS 01"),
    (0x0025, "GEMS_SERS_01"), (0x0029, "SIEMENS CSA HEADER"), (0x0029, "SIEMENS MEDCOM HEADER"),
    (0x0043, "GEMS_PARM_01"),
    (0x0051, "SIEMENS MR HEADER"), (0x2001, "Philips Imaging DD 001"), (0x2005, "Philips MR Imaging DD 001"),
    (0x2005, "Philips MR Imaging DD 005"), (0x0065, "Image Private Header"), (0x7005, "TOSHIBA_MEC_MR3"),
    (0x0011, "AGFA PACS Archive Mirroring 1.0"), (0x7FDF, "ACUSON:1.2.840.113680.1.0:7ffe"),
    (0x0033, "NOBODY KNOWS 1.0"),
)  # fmt: skip
_VRS = ("LO", "SH", "ST", "LT", "UT", "UC", "UR", "PN", "AE", "CS", "DS", "IS", "AS", "OB", "OW", "OF", "UN", "UI")
_SAFE = (0x2001, "Philips Imaging DD 001", 0x03)
_MR, _CSA = (0x0019, "SIEMENS MR HEADER"), (0x0029, "SIEMENS CSA HEADER")


def _of(group: int, creator: str, tag: int) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.private(group, creator, (tag, "LO", plant.name))])

    return Place(f"private ({group:04X},{creator},{tag:02X})", make, private=((group, creator, tag),))


def _vr(vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        return Hidden([plant.private(0x0033, "NOBODY KNOWS 1.0", (0x01, vr, plant.person.family))])

    return Place(f"private {vr}", make, syntaxes=(EXPLICIT,))


def _safe_with(vr: str) -> Place:
    def make(plant: Plant) -> Hidden:
        group, creator, element = _SAFE
        return Hidden([plant.private(group, creator, (element, vr, plant.person.family))])

    return Place(f"private: a safe number as {vr}", make, syntaxes=(EXPLICIT,), private=(_SAFE,), broken=True)


def _nested(creator: str, group: int, *, undefined: bool, unknown: bool) -> Place:
    def make(plant: Plant) -> Hidden:
        inner = explicit(0x00100010, "PN", plant.name) if not unknown else _implicit_name(plant)
        value = items([inner], undefined=undefined, undefined_items=undefined)
        block = explicit(group << 16 | 0x10, "LO", creator)
        vr = "UN" if unknown else "SQ"
        return Hidden([block + explicit(group << 16 | 0x105F, vr, value, UNDEFINED if undefined else None)])

    length = "undefined" if undefined else "defined"
    return Place(
        f"private sequence of {length} length{' as UN' if unknown else ''}: {creator}", make, syntaxes=(EXPLICIT,)
    )


def _implicit_name(plant: Plant) -> bytes:
    value = plant.name.encode() + b" " * (len(plant.name) & 1)
    return pack("<HHI", 0x0010, 0x0010, len(value)) + value


def _creator(plant: Plant) -> Hidden:
    return Hidden([plant.private(0x0033, plant.name, (0x01, "LO", "text"))])


def _creator_alone(plant: Plant) -> Hidden:
    return Hidden([plant.element(0x00330010, "LO", plant.name)])


def _no_creator(plant: Plant) -> Hidden:
    return Hidden([plant.element(0x00331001, "LO", plant.name)])


def _below_creators(plant: Plant) -> Hidden:
    return Hidden([plant.element(0x00330001, "LO", plant.name)])


def _other_block(plant: Plant) -> Hidden:
    """A safe element's number in a block that another creator reserved, beside the safe block."""
    group, creator, element = _SAFE
    safe = plant.private(group, creator, (element, "FL", pack("<f", 700.0)))
    return Hidden([safe, plant.element(group << 16 | 0x1103, "LO", plant.name)])


def _padded_creator(plant: Plant) -> Hidden:
    group, creator, element = _SAFE
    return Hidden([plant.private(group, f"{creator}\0{plant.person.family}", (element, "FL", pack("<f", 700.0)))])


def _nested_private(plant: Plant) -> Hidden:
    block = plant.private(0x2005, "Philips MR Imaging DD 001", (0x63, "LO", plant.name), (0x0D, "FL", bytes(4)))
    return Hidden([plant.sequence("PerFrameFunctionalGroupsSequence", plant.sequence("PlanePositionSequence", block))])


def _csa(values: tuple[tuple[str, str], ...], *, gap: bool = False) -> Place:
    def make(plant: Plant) -> Hidden:
        body = b"SV10\4\3\2\1" + pack("<II", len(values), 77)
        for tag, vr in values:
            text = plant.name.encode() + b"\0"
            head = pack("<64si4siii", tag.encode(), 1, vr.encode(), 0, 1, 77)
            number = b"12\0" if gap else text
            filled = number.ljust(len(text) + 8, b"\0")[:-4] + b"Zq12"
            if gap:
                filled = number + text
            body += head + pack("<4i", *(len(filled),) * 2, 77, len(filled)) + filled + b"\0" * (-len(filled) % 4)
        return Hidden([plant.private(*_CSA, (0x10, "OB", body), (0x20, "OB", body))])

    where = "in a gap of" if gap else "in"
    return Place(f"private: {where} a CSA header, {values[0][0]}", make)


def _no_csa(plant: Plant) -> Hidden:
    return Hidden([plant.private(*_CSA, (0x10, "OB", b"SV10\4\3\2\1" + plant.name.encode() * 40))])


def _protocol(plant: Plant) -> Hidden:
    text = f'### ASCCONV BEGIN ###\ntPatientName = "{plant.name}"\n### ASCCONV END ###\n'
    return Hidden(
        [plant.private(0x0021, "SIEMENS MR SDS 01", (0x19, "OB", text)), plant.private(*_MR, (0x0A, "US", b"\4\0"))]
    )


PLACES = [
    *(_of(group, creator, tag) for group, creator in _CREATORS for tag in (0x01, 0xFE)),
    *map(_vr, _VRS),
    *map(_safe_with, ("LO", "UN", "OB")),
    *(
        _nested(creator, group, undefined=undefined, unknown=unknown)
        for creator, group in (("Philips Imaging DD 001", 0x2001), ("NOBODY KNOWS 1.0", 0x0033))
        for undefined in (False, True)
        for unknown in (False, True)
    ),
    Place("private creator", _creator),
    Place("private creator without a block", _creator_alone),
    Place("private attribute without a creator", _no_creator),
    Place("private attribute below the creators", _below_creators),
    Place("private attribute of another block", _other_block),
    Place("behind the padding of a private creator", _padded_creator),
    Place("private attribute in functional groups", _nested_private, refusable=True),
    _csa((("PatientName", "PN"),)),
    _csa((("B_value", "IS"),)),
    _csa((("B_value", "IS"),), gap=True),
    Place("private: in what is no CSA header", _no_csa),
    Place("private: in a protocol", _protocol),
]
