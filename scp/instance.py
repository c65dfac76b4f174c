"""The types that walk through the house; identified and de-identified are different types, kept apart by mypy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self, final

from scp.dataset import DataSet
from scp.outcome import Failure, Outcome
from scp.pixels import Pixels

Part = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Peer:
    """Who speaks on an association: the AE titles as sent (at most 16 characters each) and the source address.

    `certificate` is what the peer has proven over TLS: its certificate's SHA-256 fingerprint (hexadecimal) and its
    names in lower case; empty without one.
    """

    calling: str
    called: str
    address: str
    certificate: frozenset[str] = field(default=frozenset(), repr=False)


class Broken(Exception):  # noqa: N818  an end, not an error
    """The association ended within a data set, so nothing of it is kept; `error` is what the wire says of it."""

    def __init__(self, error: Exception) -> None:
        super().__init__("the association ended within a data set")
        self.error = error


class Rest(Iterator[memoryview]):
    """What of a large data set is still on the wire: pulled once, each piece good until the next one is asked for.

    `size` counts the bytes pulled. Raises Broken when the association ends before the data set does. `room` says
    whether so many bytes of the data set may be in memory.
    """

    def __init__(self, pieces: Iterator[memoryview], room: Callable[[int], bool] = lambda _size: True) -> None:
        self._pieces = pieces
        self._room = room
        self.size = 0

    def keep(self, size: int) -> None:
        """To be asked before more of it is kept in memory than came with it; raises Failure OUT_OF_RESOURCES."""
        if not self._room(size):
            raise Failure(Outcome.OUT_OF_RESOURCES, "as many bytes as may be are in flight already")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> memoryview:
        piece = next(self._pieces)
        self.size += len(piece)
        return piece


@dataclass(frozen=True, slots=True, repr=False)
class Arrival:
    """A data set as it came, not yet examined: identified, in memory only.

    The UIDs are the command's, as sent (padding stripped, not checked); `context_class` is the abstract syntax of the
    presentation context that carried it. `data` is all of a small data set; of a large one it is the beginning, and
    `rest` what is behind it.
    """

    peer: Peer
    sop_class_uid: str
    sop_instance_uid: str
    context_class: str
    transfer_syntax: str
    data: bytes | bytearray = field(repr=False)
    rest: Rest | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Instance:
    """A well-formed data set that agrees with its command: identified, in memory only.

    It is complete where `pixels` is None; else `dataset` ends with the pixel data's header, and `pixels` tells what of
    the bytes that come is pixel data.
    """

    arrival: Arrival
    dataset: DataSet
    pixels: Pixels | None = None

    @property
    def size(self) -> int:
        """Bytes that are still to be written, as far as is known: of encapsulated pixel data only the end says."""
        return len(self.dataset.data) + (self.pixels.left if self.pixels else 0)


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Whose visit an instance belongs to, in the hospital's own words; only the linkage may keep it, encrypted.

    `visit` is what several studies of one visit have in common, empty where a study is one; `sex` and `birth_date` are
    what a study may not have two of. With `hours` above 0 a study joins the visit of its patient that began within so
    many hours of when it `begins` (s, local time; None where it does not say). What stands `apart` is not moved with
    the instances of its study when an operator splits a visit: volumes that came as files.
    """

    patient_id: str
    issuer: str
    study_uid: str
    visit: str = ""
    sex: str = ""
    birth_date: str = ""
    hours: int = 0
    begins: float | None = None
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """What the linkage gives for an identity: pseudonym, visit number, and the secret that all tokens derive from.

    `moves` is how often studies of the visit had been moved to another one when it was asked.
    """

    pseudonym: str
    scan_research_id: str
    secret: bytes = field(repr=False)
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Keyed fingerprints of an original, by which a re-send is known without keeping its UID or content."""

    uid: bytes
    digest: bytes


@final
@dataclass(frozen=True, slots=True)
class DeidentifiedInstance:
    """An instance that may be written under the export root; only `deidentify.plan` makes one.

    `parts` is its content; empty where that stands in a temporary already, written as it came. `calling` is the AE
    title of who sent it, `moves` what its subject says of its visit.
    """

    pseudonym: str
    scan_research_id: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    series_number: int
    instance_number: int
    recipe: str
    digest: bytes
    size: int
    parts: tuple[Part, ...] = field(repr=False)
    calling: str = ""
    moves: int = 0


@final
@dataclass(frozen=True, slots=True, repr=False)
class DeidentifiedHead:
    """What may be written of an instance whose pixels are still coming; only `deidentify.plan` makes one.

    Behind `parts` go the bytes of the pixel data as they are, then what `behind` makes of the elements that follow
    them; `finish` takes the SHA-256 and the size of it all. With `blank` they do not go as they are: it makes of a
    piece and its place in the pixel data the piece that may be written.
    """

    pixels: Pixels
    parts: tuple[Part, ...]
    behind: Callable[[DataSet], tuple[Part, ...]]
    finish: Callable[[bytes, int], DeidentifiedInstance]
    blank: Callable[[Part, int], bytearray] | None = None
