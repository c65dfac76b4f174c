"""The data dictionary of PS3.6 and the makers' private ones, as pydicom carries them: tag, VR, keyword."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries

ITEMS_GROUP = 0xFFFE
_NEWER = Path(__file__).parent.parent / "deid_recipes" / "profiles" / "attributes.csv"
_AMBIGUOUS = re.compile(r" or ")
_CREATOR_SLOTS = range(0x0010, 0x0100)


class Attribute(NamedTuple):
    """One line of the dictionary; `vrs` has more than one entry where the VR depends on other attributes."""

    tag: int
    keyword: str
    vrs: tuple[str, ...]


def _newer() -> dict[int, Attribute]:
    """Attributes of a newer PS3.6 than pydicom's."""
    with _NEWER.open(encoding="ascii", newline="") as file:
        rows = list(csv.DictReader(file))
    return {int(row["tag"], 16): Attribute(int(row["tag"], 16), row["keyword"], (row["vr"],)) for row in rows}


def _attributes() -> dict[int, Attribute]:
    return _newer() | {
        tag: Attribute(tag, row[4], tuple(_AMBIGUOUS.split(row[0])))
        for tag, row in DicomDictionary.items()
        if tag >> 16 != ITEMS_GROUP and row[4]
    }


def _repeaters() -> tuple[tuple[int, int, Attribute], ...]:
    """Mask, masked tag and attribute of each repeating group (PS3.5 7.6)."""
    rows = []
    for pattern, row in RepeatersDictionary.items():
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        tag = int(pattern.replace("x", "0"), 16)
        rows.append((mask, tag, Attribute(tag, row[4], tuple(_AMBIGUOUS.split(row[0])))))
    return tuple(rows)


ATTRIBUTES: Mapping[int, Attribute] = _attributes()
TAGS: Mapping[str, int] = {attribute.keyword: tag for tag, attribute in ATTRIBUTES.items()}
_REPEATERS = _repeaters()
REPEATED: Mapping[str, int] = {repeated.keyword: tag for _, tag, repeated in _REPEATERS if repeated.keyword}
"""The keywords of repeating groups, each with its tag in the first of them."""
_MOST_BITS = 8
_VRS: Mapping[int, str] = {tag: " or ".join(attribute.vrs) for tag, attribute in ATTRIBUTES.items()}


def find(tag: int) -> Attribute | None:
    """The public attribute with this tag, also one of a repeating group; None for private and unknown tags."""
    if attribute := ATTRIBUTES.get(tag):
        return attribute
    for mask, masked, repeated in _REPEATERS:
        if tag & mask == masked:
            return repeated._replace(tag=tag)
    return None


def repeated(keyword: str) -> tuple[Attribute, ...]:
    """All attributes that share this keyword of a repeating group (PS3.5 7.6), in order; of groups those even.

    Empty where there is no such keyword, or where it stands for thousands.
    """
    for mask, masked, attribute in _REPEATERS:
        if attribute.keyword == keyword and (~mask & 0xFFFFFFFF).bit_count() <= _MOST_BITS:
            return tuple(attribute._replace(tag=tag) for tag in _filled(mask, masked) if not _is_other(tag))
    return ()


def _filled(mask: int, masked: int) -> Iterator[int]:
    """The tags that are like `masked` where the mask says so, in order."""
    free = ~mask & 0xFFFFFFFF
    bits = 0
    while True:
        yield masked | bits
        bits = (bits - free) & free  # the next number that has bits in these places only
        if not bits:
            return


def _is_other(tag: int) -> bool:
    """Whether it is private, or an attribute of its own, as PixelData is among 7Fxx."""
    return bool(tag >> 16 & 1) or tag in ATTRIBUTES


def spellings(attribute: Attribute) -> tuple[str, ...]:
    """What an expression is searched in, as deid does: keyword, `(gggg,eeee)`, the digits alone, and PS3.6's name."""
    group, element = attribute.tag >> 16, attribute.tag & 0xFFFF
    row = DicomDictionary.get(attribute.tag)
    tag = f"({group:04X},{element:04X})", f"{group:04X}{element:04X}"
    return (attribute.keyword, *tag, row[2]) if row else (attribute.keyword, *tag)


def vr(tag: int) -> str:
    """The VR of an element that was sent without one: as the dictionary writes it ("US or SS"), "UN" if unknown."""
    if known := _VRS.get(tag):
        return known
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return "UL"
    if group & 1:
        return "LO" if element in _CREATOR_SLOTS else "UN"
    attribute = find(tag)
    return " or ".join(attribute.vrs) if attribute else "UN"


def private_vr(group: int, creator: str, element: int) -> str | None:
    """The VR of a private attribute by the last two digits of its tag; None where its maker's dictionary has none."""
    row = private_dictionaries.get(creator, {}).get(f"{group:04X}xx{element:02X}")
    return row[0] if row else None


def write(tag: int) -> str:
    """A tag as PS3 writes it, with its keyword where there is one: `(0010,0010) PatientName`."""
    attribute = find(tag)
    number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return f"{number} {attribute.keyword}" if attribute else number
