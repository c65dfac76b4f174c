"""What the walk writes into the index, one function a kind; each runs inside a transaction that others may share."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from scp import faults
from scp.db.engine import Engine
from scp.outcome import Failure, Outcome

Value = str | int | float | bytes | None
Row = Mapping[str, Value]


MOVED: Final = "the visit is being merged or split, or was; send it again"


class Write(NamedTuple):
    """One thing to be written: a key of WRITES and the values it takes."""

    kind: str
    row: Row


class Refused(Failure):
    """One write that cannot be done; the database is well, and the others of the transaction are not concerned."""


_OF_ONE: Final = (Refused, sqlite3.IntegrityError, sqlite3.ProgrammingError)


def run(engine: Engine, writes: Sequence[Write], *, wait: bool = True) -> list[Row | Failure]:
    """Carry out writes, one or more, in one transaction; what is returned is durable.

    Raises Taken, with nothing done, when somebody else is writing and it shall not `wait` for that.

    A write that cannot be done has a Failure in its place and leaves the others alone. Raises Failure
    OUT_OF_RESOURCES or STORAGE_FAULT when the database will not; then none of them was done, or, after a
    STORAGE_FAULT, nobody knows.
    """
    try:
        with engine.write(wait=wait):
            # One that has the transaction to itself is undone with it, and needs no part of its own.
            found = [_one(engine, write) for write in writes] if len(writes) > 1 else [_carry_out(engine, writes[0])]
            faults.point("index.changed")
    except _OF_ONE as error:
        if len(writes) > 1:
            raise
        return [_in_its_place(error)]
    faults.point("index.committed")
    return found


def _one(engine: Engine, write: Write) -> Row | Failure:
    try:
        with engine.savepoint():
            return _carry_out(engine, write)
    except _OF_ONE as error:
        return _in_its_place(error)


def _carry_out(engine: Engine, write: Write) -> Row | Failure:
    return WRITES[write.kind](engine, write.row)


def _in_its_place(error: Exception) -> Failure:
    if isinstance(error, Refused):
        return error
    return Failure(Outcome.FAILED, f"the index does not take such a row ({type(error).__name__})")


def _instance(engine: Engine, row: Row) -> Row:
    """The row of an instance whose file is durable: stored, unchanged, or Refused as conflicting."""
    row = {"moves": None, "lost_visit": None, "lost_delivery": None, "lost_since": None, **row}
    if not engine.change("add_instance", row):
        before = _instance_before(engine, row)
        if not engine.change("put_instance", row):
            return before
    delivery = {"scan_research_id": row["scan_research_id"], "number": row["delivery"]}
    arrived = {"calling": "", **row, **delivery}
    if not engine.change("touch_delivery", arrived) and not _reopen(engine, arrived):
        # A request can outlive the worker that asked, and with it the folder's lock: nothing joins what is published.
        raise Refused(Outcome.OUT_OF_RESOURCES, "the visit was being published, merged or split; send it again")
    return _recorded(Outcome.STORED, row)


def _reopen(engine: Engine, row: Row) -> int:
    """What was quiet, checked, held or approved has one instance more: all of that is asked again."""
    reopened = engine.change("reopen_delivery", row)
    if reopened:
        engine.change("add_entered", {**row, "why": "an instance came"})
    return reopened


def _instance_before(engine: Engine, new: Row) -> Row:
    row = engine.row("instance_or_source", new)
    if row is not None and has_moved(engine, new, row["scan_research_id"]):
        raise Refused(Outcome.OUT_OF_RESOURCES, MOVED)
    if row is None or row["sop_instance_uid"] != new["sop_instance_uid"] or row["digest"] != new["digest"]:
        raise Refused(Outcome.CONFLICTING, "SOPInstanceUID is known with other content")
    if row["source_uid"] is None and new["source_uid"] is not None:
        engine.change("name_source", new)
    # The same moment as well: it is this very write, asked again because its answer was lost.
    again = row["stored_at"] == new["now"]
    return _recorded(Outcome.STORED if again else Outcome.UNCHANGED, dict(row))


def has_moved(engine: Engine, new: Row, holder: str) -> bool:
    """Whether an instance is known under another visit than it was made for, because one of them is merged or split.

    Not asked of an orphan, for which `moves` is None: nobody would send it again.
    """
    if new["moves"] is None:
        return False
    asked = {"scan_research_id": new["scan_research_id"], "moves": new["moves"], "other": holder}
    return holder != new["scan_research_id"] and engine.row("has_moved", asked) is not None


def _recorded(outcome: Outcome, row: Row) -> Row:
    return {
        "outcome": outcome.name,
        "scan_research_id": row["scan_research_id"],
        "delivery": row["delivery"],
    }


def _delivery(engine: Engine, row: Row) -> Row:
    """The delivery of a visit that is receiving, opened if there is none."""
    visit = {"scan_research_id": row["scan_research_id"]}
    found = engine.row("open_delivery", visit)
    if found is not None:
        return dict(found)
    if engine.row("has_moved", {**visit, "moves": None, "other": None}):
        raise Refused(Outcome.OUT_OF_RESOURCES, MOVED)
    engine.change("add_visit", row)
    number = engine.rows("last_delivery", visit)[0]["number"] + 1
    engine.change("add_delivery", {**visit, "number": number, "now": row["now"]})
    return {**visit, "number": number}


def _source(engine: Engine, row: Row) -> Row:
    """The fingerprints of the original of an instance that was adopted without them."""
    return {"named": engine.change("name_source", row)}


def _quarantine(engine: Engine, row: Row) -> Row:
    """The row of a sealed original; `new` is 0 when the same content got there first, and not by this very write."""
    new = engine.change("add_quarantine", row)
    if not new:
        found = engine.row("quarantine_entry", {"id": row["id"]})
        new = int(found is not None)
    return {"new": new}


WRITES: Mapping[str, Callable[[Engine, Row], Row]] = {
    "instance": _instance,
    "delivery": _delivery,
    "source": _source,
    "quarantine": _quarantine,
}
