"""Thousands of needles looked for in a disk's image at once, wherever its next three bytes could begin one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHORTEST = 3
_CHUNK = 16 << 20


class Needle(NamedTuple):
    """Bytes that may stand nowhere; `folded` ones, given in small letters, in no mixture of small and capital ones."""

    bytes: bytes
    folded: bool = False


class Search:
    """Made once for all needles."""

    def __init__(self, needles: Sequence[Needle], chunk: int = _CHUNK) -> None:
        self._chunk = chunk
        self._longest = max(len(needle.bytes) for needle in needles)
        self._kinds = [
            _Kind([needle.bytes for needle in needles if needle.folded is folded]) for folded in (False, True)
        ]

    def __len__(self) -> int:
        return sum(map(len, self._kinds))

    def file(self, path: Path) -> tuple[dict[bytes, int], int]:
        """The needles that a file holds, each with the first place at which it does, and how many bytes it has."""
        found: dict[bytes, int] = {}
        with path.open("rb") as file:
            kept, at = b"", 0
            while piece := file.read(self._chunk):
                data = kept + piece
                if data.count(0) != len(data):
                    for needle, place in self.data(data):
                        found.setdefault(needle, at - len(kept) + place)
                kept, at = data[-self._longest + 1 :], at + len(piece)
        return found, at

    def data(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        """Each needle at each place."""
        exact, folded = self._kinds
        yield from exact.found(data)
        yield from folded.found(data.lower())


class _Kind:
    def __init__(self, needles: Sequence[bytes]) -> None:
        self._starts: dict[bytes, list[bytes]] = {}
        self._table = np.zeros(1 << 24, bool)
        for needle in needles:
            if len(needle) < SHORTEST:
                raise ValueError("so few bytes stand anywhere by chance")
            start = needle[:SHORTEST]
            self._starts.setdefault(start, []).append(needle)
            self._table[int.from_bytes(start, "little")] = True

    def __len__(self) -> int:
        return sum(map(len, self._starts.values()))

    def found(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        if len(data) < SHORTEST or not self._starts:
            return
        plain = np.frombuffer(data, np.uint8)
        starts = plain[:-2].astype(np.uint32)
        starts |= plain[1:-1].astype(np.uint32) << 8
        starts |= plain[2:].astype(np.uint32) << 16
        for place in np.flatnonzero(self._table[starts]).tolist():
            for needle in self._starts[data[place : place + SHORTEST]]:
                if data.startswith(needle, place):
                    yield needle, place
