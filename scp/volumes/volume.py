"""The types that walk: a volume as it came, with what lies beside it, and the files that may be written of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Protocol, final

from scp.instance import Peer
from scp.store.files import Temporary

SUFFIXES: Final = (".nii", ".nii.gz")
BESIDE: Final = (".json", ".bval", ".bvec")
PIECE: Final = 262_144


class Reader(Protocol):
    """An open file; raises Broken where it cannot be read."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or fewer; none at the end."""

    def close(self) -> None:
        """Let go of it."""


def upto(file: Reader, most: int) -> bytes:
    """So many bytes, or fewer at the end of the file: what unpacks may give less at a time."""
    parts: list[bytes] = []
    while most and (part := file.read(min(most, PIECE))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


@dataclass(frozen=True, slots=True, repr=False)
class File:
    """One file as it came: `size` in bytes; every opening begins at its first byte."""

    size: int
    open: Callable[[], Reader]

    def pieces(self) -> Iterator[bytes]:
        """All of it."""
        with closing(self.open()) as file:
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True, slots=True, repr=False)
class Volume:
    """A NIfTI file and, by their suffixes, the files of its name beside it: identified.

    `parts` are the names of its path, of which BIDS labels are read and nothing else.
    """

    peer: Peer
    parts: tuple[str, ...]
    file: File
    beside: Mapping[str, File] = field(default_factory=dict)

    def files(self) -> Iterator[tuple[str, File]]:
        """Each with the path by which the officer knows it again."""
        path = "/".join(self.parts)
        yield path, self.file
        for suffix, file in sorted(self.beside.items()):
            yield stem(path) + suffix, file


@dataclass(frozen=True, slots=True)
class Written:
    """A file that may stand under the export root, whole in a temporary; its SHA-256."""

    file: Temporary = field(repr=False)
    digest: bytes


@final
@dataclass(frozen=True, slots=True)
class DeidentifiedVolume:
    """What may be written of a volume, by suffix; only `scp.volumes.clean` makes one. `name` is without a suffix."""

    pseudonym: str
    scan_research_id: str
    name: str
    files: Mapping[str, Written]


def stem(name: str) -> str:
    """A name without the suffix that makes it a volume's; "" for a name that has none."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return ""
