"""Originals that stay beside a watched folder, sealed as in the node's quarantine: no name and no byte in the clear."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scp.db.fingerprint import Fingerprint
from scp.inbound.entry import Entry
from scp.store.quarantine import Quarantine

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sealing:
    """Seals to the officer's public half; `fingerprinting` makes keyed digests, so that nothing is sealed twice."""

    quarantine: Quarantine
    fingerprinting: Callable[[], Fingerprint]

    def __call__(self, place: str, path: Path, entry: Entry, why: str) -> None:
        """Seal the file at `path` as `<place>/<id>.age` and remove it.

        The id is made of name and content, so that a crash between the two leaves one sealed file. Raises OSError
        where the file cannot be read, and Failure where the disk will not; it stands where it stood then.
        """
        name, seen = "/".join(entry.parts), self.fingerprinting()
        seen.update(f"{place} {name}\0".encode("utf-8", "surrogateescape"))
        for piece in _pieces(path):
            seen.update(piece)
        sealed = seen.digest()[:8].hex()
        if not (self.quarantine.root / place / f"{sealed}.age").exists():
            head = {"outcome": place, "why": why, "received_at": time.time(), "name": name}
            self.quarantine.put(place, sealed, head, _pieces(path))
        path.unlink()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
