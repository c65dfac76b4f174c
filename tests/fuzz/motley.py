"""What a series may be made of: elements that depend on others, and those that others depend on."""

from collections.abc import Mapping, Sequence

from trees import Element, Level

from scp.dataset import IMAGE

FRAMES = (
    b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
)
_NAMES = ["Qzab^Cdef  ", "M\xfcllerin^A ", "Qzab^Other", ""]
_CHARSETS = ["ISO_IR 100", "ISO_IR 192", "GB18030 ", "\\ISO 2022 IR 87", "ISO_IR 13 ", "", "ISO_IR 999", "\0bad"]
_DATES = ["20240215", "20230215", "20240815", "", "2024.02.15", "19991231\\20240215"]


def _text(*values: str) -> list[bytes]:
    return [value.encode("latin-1") for value in values]


def _us(*values: int) -> list[bytes]:
    return [value.to_bytes(2, "little") for value in values]


TELLING: Mapping[int, tuple[str, Sequence[bytes]]] = {
    0x00080005: ("CS", _text(*_CHARSETS)),
    0x00080008: ("CS", _text("ORIGINAL\\PRIMARY\\M\\ND ", "DERIVED\\PRIMARY\\MPR ", "SCREEN", "STRANGE ", "")),
    0x00080016: ("UI", _text("1.2.840.10008.5.1.4.1.1.4\0", "1.2.840.10008.5.1.4.1.1.7\0")),
    0x00080020: ("DA", _text(*_DATES)),
    0x00080022: ("DA", _text(*_DATES)),
    0x00080060: ("CS", _text("MR", "CT", "US", "PT", "")),
    0x00080070: ("LO", _text("SIEMENS ", "PHANTOM ", "QZSTAT", "")),
    0x00081010: ("SH", _text("QZSTATION1", "PHANTOM ", "ELITION ")),
    0x00081090: ("LO", _text("Numbers 3T", "Elition ", "QZSTATION1")),
    0x0008103E: ("LO", _text("T1 AXIAL", "localizer of Qzab", "M\xfcller  ")),
    0x00080050: ("SH", _text("ACC1234567", "QZAB12", "")),
    0x00100010: ("PN", _text(*_NAMES)),
    0x00100020: ("LO", _text("PATIENT-77", "ACC1234567", "QZ77AB", "")),
    0x00100030: ("DA", _text("19540312", "19240312", "20240101", "")),
    0x00101010: ("AS", _text("070Y", "012M", "x ", "")),
    0x00204000: ("LT", _text("plain ", "seen by Qzab today", "Cdef, Qzab", "on 2024-02-15 ", "M\xfcllerin ")),
    0x00280002: ("US", _us(1, 3)),
    0x00280004: ("CS", _text("MONOCHROME2 ", "RGB ", "PALETTE COLOR ")),
    0x00280008: ("IS", _text("1 ", "2 ", "x ")),
    0x00280010: ("US", _us(4, 2, 8)),
    0x00280100: ("US", _us(16, 8, 32)),
    0x00280103: ("US", [*_us(0, 1), b"", b"\1\0\0\0"]),
    0x00280301: ("CS", _text("NO", "YES ", "")),
}
"""Attributes that others depend on, each with its VR and the values it takes."""
MOST_TELLING = (0x00080005, 0x00080008, 0x00080022, 0x00100010, 0x00280103)
IDENTIFYING = (
    *("Qzab", "Cdef", "QzabCdef", "Cdef, Qzab", "Qzab^Cdef", "M\xfcllerin", "ACC1234567", "QZAB12", "QZSTATION1"),
    *("PATIENT-77", "QZ77AB", "20240215", "2024-02-15", "15.02.2024", "19540312", "1.2.3.105", "1.2.3.4.5", "STEP12"),
)
"""What stands in some of them, or in a UID or an item."""
KEPT_TEXTS = (
    *((0x00204000, "LT"), (0x00204000, "LT"), (0x00181020, "LO"), (0x00180024, "SH"), (0x00180022, "CS")),
    *((0x00081090, "LO"), (0x00180023, "CS"), (0x00180087, "DS"), (0x0040A160, "UT"), (0x0019100C, "IS")),
)
"""Texts that one recipe or another keeps."""


def _number(tag: int, vr: str, value: bytes = b"\1\0") -> Element:
    return Element(tag, vr, value)


def _ambiguous(vr: str) -> Level:
    return tuple(_number(0x00280000 | element, vr) for element in (0x0106, 0x0107, 0x0108, 0x0120))


_DESCRIPTOR = b"\1\0\0\0\x10\0"
_LUT: Level = (_number(0x00283002, "US", _DESCRIPTOR), _number(0x00283006, "OW", b"\7\0"))
_LUT_UNKNOWN: Level = (_number(0x00283002, "UN", _DESCRIPTOR), _number(0x00283006, "UN", b"\7\0"))
_MAPPING: Level = (_number(0x00409211, "UN"), _number(0x00409216, "UN"))
_REFERRED: Level = (
    Element(0x00080020, "DA"),
    Element(0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.4\0"),
    Element(0x00081155, "UI", b"1.2.3.4.5\0"),
)
_REQUEST: Level = (Element(0x00400007, "LO", b"head of Qzab"), Element(0x00400009, "SH", b"STEP12"))
_STACK = Element(0x2001105F, "SQ", b"", ((Element(0x00100010, "PN", b"Qzab^Cdef "), _number(0x00280106, "US")),))
_PHILIPS: Level = (
    Element(0x20010010, "LO", b"Philips Imaging DD 001"),
    Element(0x20011003, "FL", bytes(4)),
    Element(0x20011005, "SS", b"\2\0"),
)

MORE: Sequence[Level] = (
    _ambiguous("US"),
    _ambiguous("UN"),
    (_number(0x00281101, "UN", _DESCRIPTOR), _number(0x00281201, "UN", b"\1\0\2\0")),
    (Element(0x00283000, "SQ", b"", (_LUT,)),),
    (Element(0x00283000, "SQ", b"", (_LUT_UNKNOWN, _LUT)),),
    (Element(0x00283010, "UN", b"", (_LUT,)),),
    (Element(0x00409096, "SQ", b"", (_MAPPING, (*_MAPPING, _number(0x00409225, "FD", bytes(8))))),),
    (Element(0x00081140, "SQ", b"", (_REFERRED,) * 5),),
    (Element(0x00082112, "SQ", b"", (_REFERRED,) * 6), Element(0x00081140, "SQ", b"", (_REFERRED,) * 5)),
    (Element(0x0008114A, "SQ", b"", (_REFERRED,) * 4, undefined=True, items_undefined=True),),
    (Element(0x00400275, "SQ", b"", (_REQUEST,), undefined=True),),
    (Element(0x00400275, "SQ", b"", (_REQUEST, _REQUEST)),),
    (Element(0x00190010, "LO", b"SIEMENS MR HEADER "), Element(0x0019100C, "IS", b"1000")),
    (Element(0x00190010, "LO", b"GEMS_ACQU_01"), Element(0x00191023, "DS", b"12")),
    (*_PHILIPS, _STACK),
    (*_PHILIPS, _STACK._replace(undefined=True), Element(0x200110FF, "LO", b"no rule ")),
    (Element(0x00210010, "LO", b"NOBODY'S CREATOR"), Element(0x00211001, "LO", b"Qzab")),
    (Element(0x00204000, "LT", b"plain "), Element(0x00181020, "LO", b"syngo E11 ")),
    (Element(0x00100010, "PN", b"M\xfcllerin^A "), Element(0x0008103E, "LO", b"M\xfcller AXIAL")),
    (Element(0x60000102, "US", b"\0\0"), Element(0x60003000, "OW", b"\1\2")),
    (Element(0xFFFCFFFC, "OB", bytes(8)),),
    (Element(0x7FE10010, "LO", b"SIEMENS MR HEADER "), Element(0x7FE11010, "OB", b"Qzab")),
    tuple(Element(tag, vr, values[0]) for tag, (vr, values) in TELLING.items() if tag not in IMAGE),
)
"""What an instance may have more."""
