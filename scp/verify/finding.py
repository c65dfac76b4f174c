"""What an audit can find, one row each: what is wrong, whether an instance is lost by it, what recovery does."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table: what is wrong, whether something acknowledged is lost, and who puts it right."""

    meaning: str
    lost: bool
    repaired: bool


class Kind(Enum):
    """Each row's name is what `verify` prints, the key of its JSON, and the row in docs/recovery.md."""

    MISSING = Row("a row of the index whose file is not where it belongs", lost=True, repaired=False)
    ALTERED = Row("a file with other content than was indexed", lost=True, repaired=False)
    UNREADABLE = Row("a file or folder that the disk does not give back", lost=True, repaired=False)
    UNSEALED = Row("a row of the quarantine whose sealed file is not there", lost=True, repaired=False)
    CORRUPT = Row("a database that is damaged inside", lost=True, repaired=False)
    DOUBLED = Row("an instance that stands in a second place", lost=False, repaired=False)
    STRAY = Row("something in the export tree or the quarantine that no row knows", lost=False, repaired=False)
    UNMARKED = Row("a published visit without its marker", lost=False, repaired=False)
    MARKED = Row("a marker in a folder that is not published", lost=False, repaired=False)
    UNFINISHED = Row(
        "a publication, an expiry, a merge or a split that was begun and not finished", lost=False, repaired=True
    )
    ORPHAN = Row("a file in staging that was never indexed", lost=False, repaired=True)
    UNLISTED = Row("a sealed original that was never indexed", lost=False, repaired=True)
    TEMPORARY = Row("a file that was never finished", lost=False, repaired=True)

    @property
    def label(self) -> str:
        """The row's name as it is printed."""
        return self.name.lower()

    @property
    def lost(self) -> bool:
        """Whether something that was acknowledged cannot be given back."""
        return self.value.lost

    @property
    def meaning(self) -> str:
        """What the row says to a person."""
        return self.value.meaning


class Finding(NamedTuple):
    """One thing that is wrong, and where: a path below the export or the state folder, never a patient's value."""

    kind: Kind
    where: str


@dataclass(slots=True)
class Report:
    """What an audit looked at and what it found."""

    instances: int = 0
    bytes: int = 0
    visits: int = 0
    sealed: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: Kind, where: object) -> None:
        """One more finding."""
        self.findings.append(Finding(kind, str(where)))

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind, by its label, in the order of the table."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind.label: found[kind] for kind in Kind if found[kind]}

    @property
    def lost(self) -> int:
        """How many things that were acknowledged cannot be given back."""
        return sum(finding.kind.lost for finding in self.findings)
