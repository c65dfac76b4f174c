"""A staged file under another visit number: the values that are the number are changed, each for one as long."""

import hashlib
import mmap
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from struct import Struct
from typing import NamedTuple

from scp.bounds import Bounds
from scp.dataset import DataSet, read
from scp.instance import Part
from scp.outcome import Failure, Outcome

_META = 132  # preamble and prefix (PS3.10 7.1)
_GROUP_LENGTH = Struct("<HH2sHI")
_MODALITY, _DESCRIPTION = 0x00080060, 0x00081030
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_WORDS = frozenset({"AE", "CS", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"})
"""Value representations that a visit number can be written in; it is too long for the others, or no number there."""


@dataclass(frozen=True, slots=True, repr=False)
class Staged:
    """One file of this node's making, as it lies on the disk."""

    data: mmap.mmap
    start: int
    dataset: DataSet

    @property
    def study(self) -> str:
        """Its StudyInstanceUID."""
        return self.dataset.text(_STUDY_INSTANCE_UID)

    @property
    def seen(self) -> "Seen":
        """What tells a person its study from others, whatever stands there."""
        description, modality = map(self._shown, (_DESCRIPTION, _MODALITY))
        return Seen(self.study, description, modality, self.dataset.text(_SERIES_INSTANCE_UID))

    def _shown(self, tag: int) -> str:
        text = bytes(self.dataset.value(tag)).decode("utf-8", "replace").strip(" \0")
        return "".join(char if char.isprintable() else "?" for char in text)

    @property
    def digest(self) -> bytes:
        """SHA-256 of its bytes."""
        return hashlib.sha256(self.data).digest()

    def renumbered(self, before: str, after: str) -> tuple[list[Part], bytes]:
        """The file with `after` for `before`, in parts, and their SHA-256; raises ValueError for another length.

        Only whole values, or one of several (PS3.5 6.4), at any depth: digits that stand inside of something else,
        as in a UID or in pixels, are something else.
        """
        if len(before) != len(after):
            raise ValueError("a visit number is changed for one of another length")
        view, at, parts = memoryview(self.data), 0, list[Part]()
        for start, end in self._places(before.encode()):
            parts += [view[at:start], after.encode()]
            at = end
        parts.append(view[at:])
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return parts, digest.digest()

    def _places(self, number: bytes) -> Iterator[tuple[int, int]]:
        """Where the number stands in the file, in ascending order."""
        elements = (element for element in self.dataset.everywhere() if element.vr in _WORDS)
        for element in sorted(elements, key=lambda each: each.value):
            at = self.start + element.value
            for value in bytes(self.dataset.data[element.value : element.end]).split(b"\\"):
                if value.strip(b" \0") == number:
                    begins = at + value.index(number)
                    yield begins, begins + len(number)
                at += len(value) + 1


class Seen(NamedTuple):
    """What one file says of where it belongs, as it left."""

    study: str
    description: str
    modality: str
    series: str


class Study(NamedTuple):
    """One study of a visit, as it left."""

    study_uid: str
    description: str
    modalities: str
    series: int
    instances: int


def summed(files: Iterable[Seen]) -> list[Study]:
    """The studies of these files, by their UIDs."""
    return [_summed(uid, list(own)) for uid, own in groupby(sorted(files), key=attrgetter("study"))]


def _summed(uid: str, files: list[Seen]) -> Study:
    descriptions, modalities = ({getattr(one, name) for one in files} - {""} for name in ("description", "modality"))
    series = {one.series for one in files}
    return Study(uid, ", ".join(sorted(descriptions)), ", ".join(sorted(modalities)), len(series), len(files))


def staged(path: Path, bounds: Bounds) -> Staged:
    """Take a staged file apart; raises Failure where it is none, and OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size <= _META + _GROUP_LENGTH.size:
            raise Failure(Outcome.FAILED, "a staged file is shorter than any file")
        # Closed when nothing looks into it any more: parts of it may be on their way to a disk.
        data = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
    *head, length = _GROUP_LENGTH.unpack_from(data, _META)
    start = _META + _GROUP_LENGTH.size + length
    if data[128:_META] != b"DICM" or head != [0x0002, 0x0000, b"UL", 4] or start > size:
        raise Failure(Outcome.FAILED, "a staged file has no file meta information")
    return Staged(data, start, read(memoryview(data)[start:], explicit=True, bounds=bounds))
