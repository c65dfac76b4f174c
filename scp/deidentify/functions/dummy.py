"""Dummies: a value that says nothing, fits its VR, and is always the same (PS3.15 E.1.1, action D)."""

from collections.abc import Mapping
from struct import Struct

from scp import dictionary
from scp.deidentify.functions.original import VALUES, Function, Original, Rewrite

TEXTS: Mapping[str, str] = {
    "AE": "DUMMY",
    "AS": "000Y",
    "CS": "DUMMY",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LO": "DUMMY",
    "LT": "DUMMY",
    "PN": "DUMMY",
    "SH": "DUMMY",
    "ST": "DUMMY",
    "TM": "000000",
    "UC": "DUMMY",
    "UR": "urn:x-dummy",
    "UT": "DUMMY",
}
_BYTES: Mapping[str, bytes] = dict.fromkeys(("AT", "FL", "SL", "UL", "OF", "OL"), bytes(4)) | dict.fromkeys(
    ("FD", "SV", "UV", "OD", "OV"), bytes(8)
)
_TWO = bytes(2)
_SHORT, _LONG, _ITEM = Struct("<HH2sH"), Struct("<HH2sHI"), Struct("<HHI")
_LONG_VRS = frozenset({"SQ", "UT"})
_CONTENT, _GRAPHIC, _WAVEFORM = 0x0040A730, 0x00700001, 0x0040B020


def text(vr: str) -> Function | None:
    """What writes the dummy of a text VR, one for each value sent and nothing for nothing; None for other VRs."""
    if vr not in TEXTS:
        return None
    written = TEXTS[vr]

    def dummy(value: str, _original: Original) -> str:
        return VALUES.join(written if one.strip(" \0") else "" for one in value.split(VALUES))

    return dummy


def encoded(tag: int, vr: str) -> Rewrite:
    """What writes the dummy of numbers, bytes and sequences: zeros, or one item that is valid where it stands."""
    written = _sequence(tag) if vr == "SQ" else _BYTES.get(vr, _TWO)

    def dummy(sent: bytes) -> bytes:
        return written if sent else b""

    return dummy


def item(*elements: bytes) -> bytes:
    """An item of a sequence, of defined length."""
    content = b"".join(elements)
    return _ITEM.pack(0xFFFE, 0xE000, len(content)) + content


def element(tag: int, vr: str, value: bytes) -> bytes:
    """An explicit element, padded to even length by a space."""
    value += b" " * (len(value) & 1)
    group, number = tag >> 16, tag & 0xFFFF
    if vr in _LONG_VRS:
        return _LONG.pack(group, number, vr.encode(), 0, len(value)) + value
    return _SHORT.pack(group, number, vr.encode(), len(value)) + value


def code(value: str, scheme: str, meaning: str) -> bytes:
    """An item of a code sequence (PS3.3 8.8)."""
    return item(
        element(0x00080100, "SH", value.encode()),
        element(0x00080102, "SH", scheme.encode()),
        element(0x00080104, "LO", meaning.encode()),
    )


_CODE = code("DUMMY", "99CLOAKROOM", "Dummy")
_ITEMS: Mapping[int, bytes] = {
    _CONTENT: item(  # PS3.3 C.17.3
        element(0x0040A010, "CS", b"CONTAINS"),
        element(0x0040A040, "CS", b"TEXT"),
        element(0x0040A043, "SQ", _CODE),
        element(0x0040A160, "UT", b"DUMMY"),
    ),
    _GRAPHIC: item(  # PS3.3 C.10.5
        element(0x00700002, "CS", b"DUMMY"),
        element(
            0x00700008,
            "SQ",
            item(
                element(0x00700004, "CS", b"DISPLAY"),
                element(0x00700006, "ST", b"DUMMY"),
                element(0x00700014, "FL", bytes(8)),
                element(0x00700015, "CS", b"N"),
            ),
        ),
    ),
    _WAVEFORM: item(element(0x0040A0B0, "US", b"\1\0\1\0"), element(0x00700006, "ST", b"DUMMY")),  # PS3.3 C.10.10
}


def _sequence(tag: int) -> bytes:
    attribute = dictionary.find(tag)
    coded = attribute is not None and attribute.keyword.endswith("CodeSequence")
    return _ITEMS.get(tag, _CODE if coded else item())


def has_item(tag: int) -> bool:
    """Whether a sequence gets a dummy item of its own; others are gone through by the rules for what is inside."""
    return _sequence(tag) != item()
