"""What a node holds and whether it could take more, for those who look at it from outside."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scp.config import Config
from scp.db.index import Index
from scp.db.turn import Turn
from scp.outcome import Failure
from scp.state import State
from scp.store.belonging import is_there
from scp.store.staging import LOCK, STAGING, Staging

TURN_SECONDS: Final = 0.5
"""What /readyz and a scrape wait for a writer's turn; one that does not come is told some looks later."""
HELD_SECONDS: Final = 60.0
"""No visit takes so long to publish: its files are renamed, or taken away."""
HELD: Final = "no visit is published: a process that was stopped, or hangs, holds the lock of the export folder"


class Publishing(Turn):
    """The same for whoever would publish, merge, split or take away a visit: they come one at a time."""

    def _take(self) -> bool:
        if self._path.exists():  # else nobody has published yet, and to ask would make it
            with Staging(self._path.parent.parent).alone():
                pass
        return True


@dataclass(frozen=True, slots=True)
class Glance:
    """What the node holds, for those who look at it from outside: counts by state and outcome, never a name."""

    config: Config
    index: Index
    turns: Sequence[Turn] = ()
    publishing: Turn | None = None

    def visits(self) -> dict[str, int]:
        """Visits by the state of their latest delivery."""
        return {row["state"]: row["visits"] for row in self.index.listing("visits_by_state")}

    def visits_in_every_state(self) -> dict[str, int]:
        """The same with 0 for a state that no visit is in."""
        return {state.label: 0 for state in State} | self.visits()

    def quarantined(self) -> dict[str, int]:
        """Sealed originals by outcome."""
        return {row["outcome"]: row["instances"] for row in self.index.listing("quarantine_by_outcome")}

    def quarantine_bytes(self) -> int:
        """Bytes of the originals that were sealed."""
        return sum(row["bytes"] for row in self.index.listing("quarantine_by_outcome"))

    def free_bytes(self) -> dict[str, int]:
        """Room left by folder; raises OSError."""
        return free_bytes(self.config)

    def troubles(self, patience: float = TURN_SECONDS) -> list[str]:
        """Why the node could not store an instance now, one fixed sentence each.

        A writer's turn is waited for as long as `patience` (s).
        """
        found = []
        try:
            self.index.listing("totals")
            found += [f"the {turn.name} cannot be written to" for turn in self.turns if not turn.comes(patience)]
        except Failure:
            found.append("the index does not answer")
        if why := closed(self.config):
            found.append(why)
        return found

    def warnings(self, patience: float = TURN_SECONDS) -> list[str]:
        """What should not stay so though instances are stored, one fixed sentence each; waits as `troubles` does."""
        if self.publishing is None or self.publishing.comes(patience):
            return []
        return [HELD]


def look(config: Config) -> Glance:
    """Opens the index, so call it after the fork."""
    turns = Turn(config.index_path, "index"), Turn(config.linkage_path, "linkage")
    publishing = Publishing(config.export / STAGING / LOCK, "publishing", HELD_SECONDS)
    return Glance(config, Index(config.index_path), turns, publishing)


def free_bytes(config: Config) -> dict[str, int]:
    """What is left on the disk of each folder that is written to, by its name in the configuration."""
    return {"export": _free(os.statvfs(config.export)), "state": _free(os.statvfs(config.state))}


def closed(config: Config) -> str:
    """Why no instance may come in just now, "" if one may; it opens again by itself when there is room.

    It is asked before every instance: one question for each disk, and one for the mark.
    """
    try:
        disks = os.statvfs(config.export), os.statvfs(config.state)
    except OSError:
        return "a disk does not say how much room it has"
    if min(map(_free, disks)) < config.min_free_bytes:
        return "the disk is filled up to min_free_bytes"
    if any(disk.f_flag & os.ST_RDONLY for disk in disks):
        return "a disk can only be read"  # as file systems become after an error of the disk
    return "" if is_there(config.export) else "the export folder is not there"


def _free(disk: os.statvfs_result) -> int:
    """What may be used by those who are not root."""
    return disk.f_bavail * disk.f_frsize
