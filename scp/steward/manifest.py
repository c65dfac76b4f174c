"""The digests of what was published, outside the tree, where nothing that reads the tree finds or changes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scp.db.index import Delivery
from scp.steward.report import write


@dataclass(frozen=True, slots=True)
class Manifests:
    """One file for each published delivery, in the form that `sha256sum --check` reads in the export root."""

    folder: Path

    def write(self, delivery: Delivery, path: PurePosixPath, files: Mapping[str, bytes]) -> None:
        """Make it durable; raises OSError."""
        lines = [f"{digest.hex()}  {path / name}\n" for name, digest in sorted(files.items())]
        write(self.path(delivery), "".join(lines).encode("ascii"))

    def path(self, delivery: Delivery) -> Path:
        """The file of a delivery."""
        return self.folder / f"{delivery.folder}.sha256"
