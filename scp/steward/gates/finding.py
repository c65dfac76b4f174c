"""What a gate is: a question to a visit's headers, and what it says of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from scp.steward.headers import Header, by_series


class Verdict(IntEnum):
    """What becomes of a visit, the gentlest first; the worst of its findings counts."""

    PASS = 0
    WARN = 1
    HOLD = 2
    QUARANTINE = 3

    @property
    def label(self) -> str:
        """As the configuration and reports write it."""
        return self.name.lower()


class Said(NamedTuple):
    """One thing a gate has to say: a sentence without any value of the visit, and the files it is about."""

    why: str
    files: tuple[str, ...]


class Finding(NamedTuple):
    """The same with the gate's name and what it weighs on this node."""

    gate: str
    verdict: Verdict
    why: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A complete visit before the gates: its files' headers, the folder they lie in, the site's protocol names."""

    folder: Path
    headers: tuple[Header, ...]
    protocols: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def series(self) -> dict[str, tuple[Header, ...]]:
        """Headers by SeriesInstanceUID."""
        return by_series(self.headers)

    @property
    def t1(self) -> dict[str, tuple[Header, ...]]:
        """The series that call themselves T1-weighted."""
        return {uid: members for uid, members in self.series.items() if is_t1(members[0].text("SeriesDescription"))}


def is_t1(description: str) -> bool:
    """Whether a description says T1, or names a sequence that is only run with T1 weighting."""
    return any(word in description.upper() for word in ("T1", "MPRAGE", "MP2RAGE", "SPGR", "BRAVO"))


def names(headers: tuple[Header, ...] | list[Header]) -> tuple[str, ...]:
    """The files that these headers stand in."""
    return tuple(header.file for header in headers)
