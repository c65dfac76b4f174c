"""The confidentiality profiles of PS3.15 2026c Annex E as data, refused unless they are the tables that are known."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import scp

FOLDER = Path(scp.__file__).parent.parent / "deid_recipes" / "profiles"
PRIVATE = "(gggg,eeee) where gggg is odd"
"""The row that stands for all private attributes."""

_ROWS, _SAFE_ROWS, _CONCEPT_ROWS = 656, 479, 214
_BASIC_COLUMN = "Basic Prof."
_LEADING = ("Attribute Name", "Tag", "Retd. (from )", "In Std. Comp. IOD (from )", _BASIC_COLUMN)
_CONCEPT_COLUMNS = (
    "Code Meaning",
    "Code Value",
    "Coding Scheme Designator",
    "Value Type",
    "Retd. (from )",
    "In Std. Tpl. (from )",
    _BASIC_COLUMN,
)
_BASIC_CODES = frozenset({"D", "U", "X", "X/D", "X/Z", "X/Z/D", "X/Z/U*", "Z", "Z/D"})
_OPTION_CODES = frozenset({"", "C", "K"})
_TAG_LENGTH = len("(gggg,eeee)")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the Basic Profile: its name here, its column in E.1-1, and its code in CID 7050 with meaning."""

    name: str
    column: str
    code: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Concept:
    """One row of E.3.4-1: the concept name of content items of one value type, and what becomes of them."""

    code: str
    scheme: str
    value_type: str
    basic: str
    options: Mapping[str, str]


BASIC_CODE = "113100"
CLEAN_CONTENT_CODE, CLEAN_GRAPHICS_CODE = "113104", "113103"
CLEAN_PIXELS_CODE = "113101"
OPTIONS = (
    Option("retain-safe-private", "Rtn. Safe Priv. Opt.", "113111", "Retain Safe Private Option"),
    Option("retain-uids", "Rtn. UIDs Opt.", "113110", "Retain UIDs Option"),
    Option("retain-device-identity", "Rtn. Dev. Id. Opt.", "113109", "Retain Device Identity Option"),
    Option("retain-institution-identity", "Rtn. Inst. Id. Opt.", "113112", "Retain Institution Identity Option"),
    Option(
        "retain-patient-characteristics", "Rtn. Pat. Chars. Opt.", "113108", "Retain Patient Characteristics Option"
    ),
    Option(
        "retain-full-dates",
        "Rtn. Long. Full Dates Opt.",
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    Option(
        "modified-dates",
        "Rtn. Long. Modif. Dates Opt.",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option("clean-descriptors", "Clean Desc. Opt.", "113105", "Clean Descriptors Option"),
    Option("clean-structured-content", "Clean Struct. Cont. Opt.", "113104", "Clean Structured Content Option"),
    Option("clean-graphics", "Clean Graph. Opt.", "113103", "Clean Graphics Option"),
)
"""In the order of the table's columns."""
MEANINGS: Mapping[str, str] = {
    BASIC_CODE: "Basic Application Confidentiality Profile",
    CLEAN_PIXELS_CODE: "Clean Pixel Data Option",
} | {option.code: option.meaning for option in OPTIONS}
"""The codes of (0012,0064) (PS3.16 CID 7050) that a recipe here can earn."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of E.1-1; `tag` is None for the groups of attributes that `pattern` stands for."""

    name: str
    pattern: str
    tag: int | None
    basic: str
    options: Mapping[str, str]

    def covers(self, tag: int) -> bool:
        """Whether it is this attribute's row; that of all private ones is nobody's."""
        digits = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        return tag == self.tag or (
            self.tag is None
            and len(digits) == len(self.pattern)
            and all(own in {"x", digit} for own, digit in zip(self.pattern, digits, strict=True))
        )


@dataclass(frozen=True, slots=True)
class SafePrivate:
    """One row of E.3.10-1; `vr` is empty where the table gives none or a choice."""

    group: int
    creator: str
    element: int
    vr: str


@dataclass(frozen=True, slots=True)
class Technical:
    """One row of our own list: a private attribute of geometry, timing or diffusion, and what cleans it, if any."""

    group: int
    creator: str
    element: int
    vr: str
    function: str
    meaning: str


@cache
def rows(path: Path = FOLDER / "e.1-1.csv") -> tuple[Row, ...]:
    """Table E.1-1 in its order. Raises ValueError unless it is the one of 656 rows with known codes."""
    columns, read = _read(path)
    if columns != [*_LEADING, *(option.column for option in OPTIONS)]:
        raise ValueError(f"{path}: these are not the columns of PS3.15 Table E.1-1")
    if len(read) != _ROWS:
        raise ValueError(f"{path}: {len(read)} rows, and Table E.1-1 of 2026c has {_ROWS}")
    found = tuple(_row(row) for row in read)
    for row in found:
        if row.basic not in _BASIC_CODES or not _OPTION_CODES.issuperset(row.options.values()):
            raise ValueError(f"{path}: {row.pattern} has a code that PS3.15 does not define")
    if len({row.pattern for row in found}) != _ROWS:
        raise ValueError(f"{path}: a tag stands there twice")
    return found


@cache
def safe_private(path: Path = FOLDER / "e.3.10-1.csv") -> Mapping[tuple[int, str, int], SafePrivate]:
    """Table E.3.10-1 by group, creator and last two digits. Raises ValueError unless it is the one of 479 rows."""
    columns, read = _read(path)
    if columns != ["Data Element", "Private Creator", "VR", "VM"] or len(read) != _SAFE_ROWS:
        raise ValueError(f"{path}: this is not Table E.3.10-1 of 2026c with its {_SAFE_ROWS} rows")
    found = [_safe(row) for row in read]
    return {(one.group, one.creator, one.element): one for one in found}


@cache
def technical(path: Path = FOLDER / "technical.csv") -> Mapping[tuple[int, str, int], Technical]:
    """What research needs beyond E.3.10-1, by group, creator and last two digits.

    Raises ValueError where a row is of E.3.10-1 already, or stands there twice.
    """
    _, read = _read(path)
    found = [
        Technical(
            int(row["Data Element"][1:5], 16),
            row["Private Creator"],
            int(row["Data Element"][8:10], 16),
            row["VR"],
            row["Function"],
            row["Meaning"],
        )
        for row in read
    ]
    named = {(one.group, one.creator, one.element): one for one in found}
    if len(named) != len(found) or not named.keys().isdisjoint(safe_private()):
        raise ValueError(f"{path}: an attribute stands there twice, or in Table E.3.10-1 already")
    return named


@cache
def concepts(path: Path = FOLDER / "e.3.4-1.csv") -> tuple[Concept, ...]:
    """Table E.3.4-1 in its order. Raises ValueError unless it is the one of 214 rows with known codes."""
    columns, read = _read(path)
    with_column = [option for option in OPTIONS if option.column in columns]
    if columns != [*_CONCEPT_COLUMNS, *(option.column for option in with_column)] or len(read) != _CONCEPT_ROWS:
        raise ValueError(f"{path}: this is not Table E.3.4-1 of 2026c with its {_CONCEPT_ROWS} rows")
    found = tuple(
        Concept(
            row["Code Value"],
            row["Coding Scheme Designator"],
            row["Value Type"],
            row[_BASIC_COLUMN],
            {option.name: row[option.column] for option in with_column},
        )
        for row in read
    )
    if any(one.basic not in {"D", "X", "X/D"} or not _OPTION_CODES.issuperset(one.options.values()) for one in found):
        raise ValueError(f"{path}: a concept has a code that PS3.15 does not define")
    return found


@cache
def retired_concepts(path: Path = FOLDER / "e.3.4-1-retired.csv") -> Mapping[tuple[str, str], str]:
    """The SNOMED codes that concepts of E.3.4-1 had before, by code and scheme (PS3.16 Annex O)."""
    _, read = _read(path)
    return {(row["Code Value"], row["Coding Scheme Designator"]): row["Retired Code Value"] for row in read}


def private_vr(group: int, creator: str, element: int) -> str | None:
    """The VR that the standard's table or our own gives a private attribute; None where neither names it."""
    key = group, creator, element
    row = safe_private().get(key) or technical().get(key)
    return row.vr if row else None


def by_tag() -> Mapping[int, Row]:
    """The rows that name one attribute."""
    return {row.tag: row for row in rows() if row.tag is not None}


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader.fieldnames or ()), list(reader)


def _row(row: Mapping[str, str]) -> Row:
    pattern = row["Tag"]
    concrete = len(pattern) == _TAG_LENGTH and "x" not in pattern
    tag = int(pattern[1:5] + pattern[6:10], 16) if concrete else None
    options = {option.name: row[option.column] for option in OPTIONS}
    return Row(row["Attribute Name"], pattern, tag, row[_BASIC_COLUMN], options)


def _safe(row: Mapping[str, str]) -> SafePrivate:
    element = row["Data Element"]  # (gggg,xxee)
    vr = row["VR"] if len(row["VR"]) == len("VR") else ""
    return SafePrivate(int(element[1:5], 16), row["Private Creator"], int(element[8:10], 16), vr)
