"""Where a series stands in BIDS: the site's patterns of series descriptions, and the names that they may give."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from scp.config.kinds import Kind

NONE = "none"

_GRAMMAR = tuple(
    re.compile(text.replace("@", "[A-Za-z0-9]+"))
    for text in (
        "anat/(?:acq-@_)?(?:ce-@_)?(?:rec-@_)?(?:T1w|T2w|FLAIR|PDw|T2starw|inplaneT1|inplaneT2|angio)",
        "func/task-@_(?:acq-@_)?(?:ce-@_)?(?:rec-@_)?(?:dir-@_)?(?:bold|sbref)",
        "dwi/(?:acq-@_)?(?:rec-@_)?(?:dir-@_)?dwi",
        "fmap/(?:acq-@_)?(?:ce-@_)?dir-@_epi",
    )
)
"""Data types with their entities in BIDS's order and their suffixes, so far as an export can be sure of the rest."""


class Place(NamedTuple):
    """Where the volume of a series stands: its folder, what its name says besides subject and session, its suffix."""

    datatype: str
    entities: tuple[str, ...]
    suffix: str


def place(text: str) -> Place:
    """The place that a setting names; raises ValueError for what BIDS has not, or not in this order."""
    if not any(line.fullmatch(text) for line in _GRAMMAR):
        raise ValueError("no place in BIDS")
    datatype, _, name = text.partition("/")
    *entities, suffix = name.split("_")
    return Place(datatype, tuple(entities), suffix)


def place_of(description: str, patterns: Mapping[str, str]) -> Place | None:
    """Where the first pattern that fits the description puts it; None where that is nowhere, or none fits."""
    for pattern, text in patterns.items():
        if fnmatchcase(description.casefold(), pattern.casefold()):
            return None if text == NONE else place(text)
    return None


def _named(value: str) -> str:
    if value != NONE:
        place(value)
    return value


def _frozen(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value))


DEFAULT: Mapping[str, str] = MappingProxyType(
    {
        "*map*": NONE,
        "*loc*": NONE,
        "*scout*": NONE,
        "*mp2rage*": NONE,
        **dict.fromkeys(("*t1*", "*mprage*", "*spgr*", "*bravo*"), "anat/T1w"),
    }
)
"""What the gate `t1` calls T1-weighted, but for maps, localizers and MP2RAGE, whose volumes are other suffixes."""

Bids = Annotated[
    Mapping[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, AfterValidator(_named)]],
    AfterValidator(_frozen),
    Kind('a pattern with a place in BIDS like "anat/T1w", "func/task-rest_bold" or "fmap/dir-AP_epi", or "none"'),
]
