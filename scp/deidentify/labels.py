"""`%filter`: labels of images by what their attributes say, with the regions of pixels that each stands for.

Labels are read here; what becomes of a labelled image is the pixel policy's decision.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scp import dictionary

_WITH_VALUE = ("notcontains", "contains", "notequals", "equals")
_WITHOUT_VALUE = ("missing", "present", "empty")
_CRITERIA = (*_WITH_VALUE, *_WITHOUT_VALUE)
_BETWEEN = re.compile(rf"\s*(\|\||\+)\s*(?=(?:{'|'.join(_CRITERIA)})\s)")
_REGION = re.compile(r"(ctpkeepcoordinates|ctpcoordinates|keepcoordinates|coordinates)\s+(\S.*)")
_BOX = re.compile(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})", re.ASCII)
_HEXADECIMAL = re.compile(r"0x([0-9A-Fa-f]{8})")
ULTRASOUND_REGIONS = 0x00186011
"""SequenceOfUltrasoundRegions, the one attribute whose regions can be kept (PS3.3 C.8.5.5)."""
_OPERATORS: Mapping[str, str] = {"+": "and", "||": "or"}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition on one attribute; `value` is None for those that need none, an expression for `contains`."""

    criterion: str
    field: str
    tag: int
    value: str | None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of terms: how it is joined to the line before ("and", "or", "" for the first) and its terms."""

    operator: str
    terms: tuple[Term, ...]
    between: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels to blank, or to keep: a box (left, top, right, bottom), the attribute that has it, or the whole image."""

    keep: bool
    box: tuple[int, int, int, int] | None
    source: int | None


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a group: an image has it that meets its criteria. `layer` is its recipe's, as a rule's."""

    line: int
    group: str
    name: str
    criteria: tuple[Criterion, ...] = ()
    regions: tuple[Region, ...] = ()
    path: Path = Path()
    layer: int = 0


def criterion(line: str) -> Criterion:
    """One line of criteria. Raises ValueError with a sentence where it is not understood."""
    operator = next((_OPERATORS[sign] for sign in _OPERATORS if line.startswith(sign)), "")
    rest = line.removeprefix("||" if operator == "or" else "+" if operator else "").strip()
    parts = _BETWEEN.split(rest)
    return Criterion(operator, tuple(map(_term, parts[::2])), tuple(_OPERATORS[sign] for sign in parts[1::2]))


def region(line: str) -> Region | None:
    """A line of coordinates; None where the line is none. Raises ValueError where it is one and not understood."""
    if not line.lower().startswith(("coordinates", "keepcoordinates", "ctp")):
        return None
    match = _REGION.fullmatch(line)
    if not match:
        raise ValueError(f"{line} is not understood; write coordinates x0,y0,x1,y1 or all or from:Keyword")
    kind, text = match[1], match[2].replace(" ", "")
    keep = "keep" in kind
    if text == "all":
        return Region(keep, None, None)
    if text.startswith("from:") and not kind.startswith("ctp"):
        return Region(keep, None, _tag(text.removeprefix("from:")))
    box = _BOX.fullmatch(text)
    if not box:
        raise ValueError(f"{text} is no region; write four whole numbers with commas between, all, or from:Keyword")
    left, top, third, fourth = (int(number) for number in box.groups())
    right, bottom = (left + third, top + fourth) if kind.startswith("ctp") else (third, fourth)
    if right <= left or bottom <= top:
        raise ValueError(f"the region {text} is empty")
    return Region(keep, (left, top, right, bottom), None)


def as_deid_reads(criterion: Criterion) -> dict[str, Any]:
    """The same line in the form that deid's parser gives it."""
    return {
        "action": [term.criterion for term in criterion.terms],
        "field": [term.field for term in criterion.terms],
        "operator": criterion.operator or None,
        "InnerOperators": list(criterion.between),
        "value": [term.value for term in criterion.terms if term.value is not None],
    }


def _term(text: str) -> Term:
    name, _, rest = text.partition(" ")
    if name.lower() not in _CRITERIA:
        raise ValueError(f"unknown criterion {name} (known: {', '.join(sorted(_CRITERIA))})")
    field, _, value = rest.strip().partition(" ")
    wanted = name.lower() in _WITH_VALUE
    if not field or bool(value.strip()) != wanted:
        raise ValueError(f"{name} needs a field{' and a value' if wanted else ' and no value'}")
    if name.lower().endswith("contains"):
        _check_expression(value.strip())
    return Term(name.lower(), field, _tag(field), value.strip() if wanted else None)


def _check_expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text} is no regular expression: {error.msg}") from None


def _tag(field: str) -> int:
    if match := _HEXADECIMAL.fullmatch(field):
        return int(match[1], 16)
    tag = dictionary.TAGS.get(field) or dictionary.REPEATED.get(field)
    if tag is None:
        raise ValueError(f"{field} is no keyword of the data dictionary; write a keyword or 0xGGGGEEEE")
    return tag
