"""One file of what is imported, wherever it lies: known by its position, because its name may be a patient's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import BinaryIO

Parts = tuple[str, ...]


class Aside(Enum):
    """What becomes of a file that does not walk as an instance; such a file is left where it is.

    The value says whether it counts as in order, and what it means.
    """

    UNKNOWN = (True, "no DICOM, for nothing in it begins as a data set does, and no volume by its name")
    DICOMDIR = (True, "the directory of a medium, which is no instance")
    TRANSFER_SYNTAX_REFUSED = (False, "a transfer syntax that the front door accepts from nobody")
    TOO_LARGE = (False, "longer than limits.max_instance_bytes, or a ZIP beyond the limits of [inbound]")
    UNREADABLE = (False, "it could not be read to its end: a damaged or encrypted ZIP, a broken medium, no permission")
    MISSING = (False, "a file that the medium's DICOMDIR names and that is not there")

    @property
    def label(self) -> str:
        """The row's name as the summary writes it."""
        return self.name.lower()

    @property
    def fine(self) -> bool:
        """Whether an import with such files is in order."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """What the row says to a person."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to be taken: `size` in bytes, opened when its turn comes.

    `position` is its place among the files of the import, in sorted order from 1, and within a ZIP that of the entry
    behind it. `parts` are the names of its path below what was given, never shown unless asked for; `aside` is set
    where there is nothing to open. `beside` a volume are the files of its name, by suffix: they go with it.
    """

    position: tuple[int, ...]
    parts: Parts = field(repr=False)
    size: int
    open: Callable[[], BinaryIO] = field(repr=False)
    aside: Aside | None = None
    beside: Mapping[str, "Entry"] = field(default_factory=dict, repr=False)

    def at(self, *position: int) -> "Entry":
        """The same at its place."""
        return replace(self, position=position)

    @property
    def where(self) -> str:
        """Its position as a person is told: `17`, or `17.3` for the third entry of a ZIP."""
        return ".".join(map(str, self.position))


def nothing() -> BinaryIO:
    """For an entry that is not to be opened; raises FileNotFoundError."""
    raise FileNotFoundError
