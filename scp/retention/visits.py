"""Taking a visit away: closed in the index, out of the tree by one rename, forgotten, and only then removed.

Every step can be taken up again, and nobody who reads the tree sees a part of a visit: its folder, with its marker, is
there or not.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from scp import faults
from scp.db.expiry import Expiry
from scp.db.index import Standing
from scp.exports import REMOVALS, Surroundings
from scp.retention.due import Due, delivery_of
from scp.steward.publish import READY
from scp.store import held
from scp.store.files import answerable, make_folder, sync_folder
from scp.store.staging import Staging

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Visits:
    """Published visits, with everything that was exported of them, and deliveries that wait in staging."""

    expiry: Expiry
    staging: Staging
    where: Surroundings

    def published(self, due: Due) -> bool:
        """Take a published visit away; False where it has changed meanwhile. Raises Busy while an export reads it."""
        with self.staging.alone(), ExitStack() as locks:
            for path in {each.path for each in self.expiry.places(due.name) if each.path}:
                locks.enter_context(held.alone(self.where.root / path))
            standing = self.expiry.begin(due.name, due.before, "published long enough ago")
            if standing:
                self._forget(due.name, standing)
        self.empty()
        return bool(standing)

    def staged(self, due: Due) -> bool:
        """Take a delivery away that waits in staging; the same, and Busy while a worker adds to it."""
        delivery = delivery_of(due.name)
        with self.staging.alone(), held.alone(self.staging.root / delivery.folder):
            begun = self.expiry.begin_staged(delivery, due.before, "nobody has published it in time")
            if begun:
                standing = [each for each in self.expiry.unfinished() if each.delivery == delivery]
                self._forget(delivery.scan_research_id, standing)
        self.empty()
        return begun

    def resume(self) -> int:
        """Finish what was begun, wherever it stopped; how many visits that were. Raises Busy."""
        unfinished, count = self.expiry.unfinished(), 0
        for visit, standing in groupby(unfinished, key=lambda each: each.delivery.scan_research_id):
            with self.staging.alone(), ExitStack() as locks:
                those = list(standing)
                for folder in {self._folder(each) for each in those}:
                    locks.enter_context(held.alone(folder))
                self._forget(visit, those)
            count += 1
        self.empty()
        return count

    def empty(self) -> None:
        """Remove the files of what the index has forgotten, now or before a crash."""
        aside = self.staging.expired
        if not aside.exists():
            return
        with answerable("the removal of a visit"):
            shutil.rmtree(aside)
            sync_folder(aside.parent)
        faults.point("expire.removed")

    def _forget(self, visit: str, standing: Iterable[Standing]) -> None:
        """Of deliveries that are closed already: folders, exports, rows, in this order."""
        standing = list(standing)
        faults.point("expire.begun")
        with answerable("a visit's way out of the tree"):
            for folder in sorted({self._folder(each) for each in standing}):
                self._aside(NOTHING, folder)
        faults.point("expire.renamed")
        if any(each.path for each in standing):
            today = self.where.today()
            aside: Callable[[Path], None] = partial(self._aside, frozenset({f"{today:%Y}", f"{today:%Y%m%d}"}))
            with answerable("an export's way out of its tree"):
                for name in REMOVALS.keys() & self.expiry.exported(visit):
                    REMOVALS[name](visit, self.where, aside)
                for left in self.where.work.glob(self.where.in_hand("*", visit, "*").name):
                    shutil.rmtree(left)  # a killed exporter's: none that lives has it in hand
        faults.point("expire.exports")
        self.expiry.bury(each.delivery for each in standing)
        faults.point("expire.buried")

    def _folder(self, standing: Standing) -> Path:
        """Where it stands: what waits in staging has no place in the tree."""
        return self.where.root / standing.path if standing.path else self.staging.root / standing.delivery.folder

    def _aside(self, stay: frozenset[str], folder: Path) -> None:
        """Out of its tree by one rename; with it its day and its year, where nothing else is in them.

        Folders that are called as one of `stay` are not moved. Raises OSError.
        """
        if not folder.exists():
            return
        while self._is_last(folder) and folder.parent.name not in stay:
            folder = folder.parent
        aside = self.staging.expired / "-".join(folder.relative_to(self.where.root).parts)
        make_folder(self.staging.expired)
        with suppress(FileNotFoundError):  # removed by half before a crash, and come again since
            shutil.rmtree(aside)
        folder.rename(aside)
        sync_folder(folder.parent)
        sync_folder(aside.parent)

    def _is_last(self, folder: Path) -> bool:
        """Whether it is alone in a folder of a day or a year, but for that one's own marker."""
        within = len(folder.parent.relative_to(self.where.root).parts) > 1
        return within and set(os.listdir(folder.parent)) <= {folder.name, READY}  # noqa: PTH208  names, not paths
