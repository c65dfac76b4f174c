"""Which volumes stand where in the tree NIFTI/: a place is committed before a file is, so that no crash makes two."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scp.db.engine import Engine


@dataclass(frozen=True, slots=True)
class Place:
    """A volume's name without a suffix, its folder below the export root, and whether it is known to stand there."""

    name: str
    path: str
    stored: bool


class Volumes:
    """The volumes' rows of the index, by pseudonyms only."""

    def __init__(self, path: Path) -> None:
        self._engine = Engine(path, "volumes")

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()

    def knows(self, source: bytes) -> bool:
        """Whether this very original, by its keyed fingerprint, is stored."""
        row = self._engine.row("source", {"source": source})
        return row is not None and bool(row["stored"])

    def claim(self, name: str, scan_research_id: str, pseudonym: str, path: str, source: bytes) -> Place:
        """The place of a volume: the one written down for this name before, else `path`."""
        row = {"name": name, "scan_research_id": scan_research_id, "pseudonym": pseudonym, "path": path}
        with self._engine.write():
            self._engine.change("unclaim", {"source": source, "name": name})  # cleaned otherwise since, with new words
            self._engine.change("claim", {**row, "source": source, "now": time.time()})
            found = self._engine.rows("place", {"name": name})[0]
        return Place(name, str(found["path"]), bool(found["stored"]))

    def placed(self, place: Place, size: int, digests: Mapping[str, bytes]) -> None:
        """Its files, by name with their SHA-256, are durable; when this returns it may be acknowledged."""
        with self._engine.write():
            for file, digest in digests.items():
                self._engine.change("add_file", {"name": place.name, "file_name": file, "digest": digest})
            self._engine.change("placed", {"name": place.name, "size": size, "now": time.time()})

    def count(self) -> int:
        """How many are stored."""
        return int(self._engine.rows("count")[0]["volumes"])
