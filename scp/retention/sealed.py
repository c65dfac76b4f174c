"""Forgetting sealed originals: their rows go first, so that the same content sent again is sealed again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scp import faults
from scp.db.expiry import Expiry
from scp.retention.due import Due
from scp.store.files import answerable, sync_folder


@dataclass(frozen=True, slots=True)
class Sealed:
    """The quarantine below `root`."""

    expiry: Expiry
    root: Path

    def forget(self, entries: Sequence[Due]) -> None:
        """Forget these and remove their files; raises Failure when index or disk will not."""
        self.expiry.bury_sealed(each.name for each in entries)
        faults.point("expire.unsealed")
        self.resume()

    def resume(self) -> int:
        """Remove the files of all that is forgotten, now or before a crash; how many those were."""
        entries = self.expiry.unremoved()
        if not entries:
            return 0
        with answerable("the removal of a sealed original"):
            for outcome, entry in entries:
                (self.root / outcome / f"{entry}.age").unlink(missing_ok=True)
            for folder in sorted({self.root / outcome for outcome, _entry in entries}):
                if folder.exists():
                    sync_folder(folder)
        faults.point("expire.forgotten")
        self.expiry.removed(entry for _outcome, entry in entries)
        return len(entries)
