"""The index's journal of merges and splits: what was begun is written down before anything moves, and so ends."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from scp.db.engine import Engine, queries
from scp.db.index import Delivery
from scp.db.writes import WRITES
from scp.outcome import Failure, Outcome
from scp.state import State

_SEVERAL: Final = "\\"
"""Between UIDs, as in a data set (PS3.5 6.4)."""


class UnmovableError(ValueError):
    """These visits cannot be merged, or this one not split, as they are; its text is one sentence."""


@dataclass(frozen=True, slots=True)
class Move:
    """What goes from one visit to another: everything, or studies, named as they left; `moved` once the rows say so."""

    source: str
    target: str
    studies: tuple[str, ...]
    why: str
    moves: int = 0
    moved: bool = False

    @property
    def delivery(self) -> Delivery:
        """The source's only one: a visit that was ever published is not moved."""
        return Delivery(self.source, 1)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file's name before, and its name and SHA-256 in the other visit."""

    before: str
    name: str
    digest: bytes


class Moves:
    """Each method that changes is one transaction."""

    def __init__(self, path: Path) -> None:
        self._engine = Engine(path, "index")
        self._engine.sql |= queries("moves")

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()

    def unfinished(self) -> list[Move]:
        """What was begun and not finished, by whomever."""
        rows = self._engine.rows("unfinished_moves")
        return [
            Move(row["source"], row["target"], _parted(row["study"]), row["why"], row["moves"], row["phase"] == "moved")
            for row in rows
        ]

    def check(self, move: Move) -> None:
        """Raise UnmovableError where that move cannot be begun."""
        source = self._movable(move.source)
        if move.studies:
            return
        target = self._movable(move.target)
        if move.source == move.target:
            raise UnmovableError("a visit cannot be merged with itself")
        if source["pseudonym"] != target["pseudonym"]:
            raise UnmovableError(f"visits {move.target} and {move.source} are of two subjects")
        if source["volumes"]:
            raise UnmovableError(f"visit {move.source} has volumes that came as files, which are published already")

    def begin(self, move: Move) -> Move:
        """Close the source to new files and write down what goes where; raises UnmovableError."""
        with self._engine.write():
            self.check(move)
            begun = replace(move, moves=int(self._movable(move.source)["moves"]) + bool(move.studies))
            row = {
                "source": move.source,
                "target": move.target,
                "study": _SEVERAL.join(move.studies),
                "moves": begun.moves,
            }
            self._engine.change("add_move", {**row, "why": move.why, "now": time.time()})
            self._engine.change("set_visit_moves", row)
            if not self._engine.change("set_moving", _key(move.delivery)):
                raise UnmovableError(f"visit {move.source} has just changed; look at it again")
            self._note(move.delivery, f"to {move.target}: {move.why}")
        return begun

    def target(self, move: Move) -> Delivery:
        """The delivery of the target that takes files now; opened if there is none."""
        with self._engine.write():
            row = self._engine.rows("pseudonym", {"scan_research_id": move.source})[0]
            wanted = {"scan_research_id": move.target, "pseudonym": row["pseudonym"], "now": time.time()}
            found = WRITES["delivery"](self._engine, wanted)
        return Delivery(move.target, int(str(found["number"])))

    def moved(self, move: Move, renamed: Iterable[Renamed], target: Delivery) -> Move:
        """The rows are the target's, whose gates are asked again; Failure, with nothing done, if it is closed."""
        now = time.time()
        ends = {"source": move.source, "source_number": move.delivery.number, "target": target.scan_research_id}
        with self._engine.write():
            for each in renamed:
                row = {"before": each.before, "file_name": each.name, "digest": each.digest, "number": target.number}
                if not self._engine.change("move_instance", {**ends, **row}):
                    raise Failure(Outcome.FAILED, "an instance of the visit went somewhere else")
            row = {**ends, "number": target.number, "now": now}
            self._engine.change("was_rejected", {**row, "why": f"{move.source}, which it was in, was rejected"})
            self._arrive(move, target, now)
            self._note(target, f"from {move.source}: {move.why}")
            self._engine.change("set_moved", ends)
        return replace(move, moved=True)

    def finish(self, move: Move) -> None:
        """The files are gone from where they were: the source is merged, or open again for what it still is."""
        state = State.RECEIVING if move.studies else State.MERGED
        with self._engine.write():
            row = {**_key(move.delivery), "state": state.label, "now": time.time()}
            if self._engine.change("end_moving", row):
                self._note(move.delivery, f"to {move.target}: {move.why}")
            self._engine.change("forget_move", {"source": move.source})

    def _arrive(self, move: Move, target: Delivery, now: float) -> None:
        """As if the instances had come just now, from those who sent them."""
        said = self._engine.rows("calling", _key(move.delivery))[0]["calling"]
        for calling in said.split("\\"):
            row = {**_key(target), "calling": calling, "moves": None, "now": now}
            if not (self._engine.change("touch_delivery", row) or self._engine.change("reopen_delivery", row)):
                raise Failure(Outcome.OUT_OF_RESOURCES, "the visit that takes them was published meanwhile")

    def _note(self, delivery: Delivery, why: str) -> None:
        self._engine.change("add_entered", {**_key(delivery), "why": why, "now": time.time()})

    def _movable(self, number: str) -> dict[str, Any]:
        rows = self._engine.rows("movable", {"scan_research_id": number})
        if not rows or not rows[0]["instances"]:
            state = f": it is {rows[0]['state']}" if rows else ""
            raise UnmovableError(f"there is no visit {number} with an instance{state}")
        found = dict(rows[0])
        if found["moving"]:
            raise UnmovableError(f"visit {number} is being merged or split already")
        if len(rows) > 1:
            raise UnmovableError(f"visit {number} was published before")
        if State.MOVING not in State[found["state"].upper()].then:
            raise UnmovableError(f"visit {number} is {found['state']}")
        return found


def _parted(studies: str) -> tuple[str, ...]:
    return tuple(studies.split(_SEVERAL)) if studies else ()


def _key(delivery: Delivery) -> dict[str, str | int]:
    return {"scan_research_id": delivery.scan_research_id, "number": delivery.number}
