"""Whether the file of an instance that the index knows is there: a re-send of a lost one may not hear success."""

from pathlib import Path
from typing import Any

from scp.db.index import Delivery, Index, Missed
from scp.instance import Source
from scp.state import State
from scp.store import files

Row = dict[str, Any]

_NOWHERE = Missed(Delivery("", 0), 0.0)
"""No row is there any more, and none says so."""


def missed(index: Index, export: Path, source: Source, sop_instance_uid: str = "") -> Missed | None:
    """None where the original, or the de-identified instance of this UID, is where its row says, below the export root.

    Else where it was looked for in vain. A visit that is just being moved is taken for there, and so is a published one
    whose folder is gone as a whole: who has taken it over may remove it. Raises Failure STORAGE_FAULT where the disk
    does not say.
    """
    before: list[Row] | None = None
    while (rows := index.listing("places", source_uid=source.uid, sop_instance_uid=sop_instance_uid)) != before:
        before = rows  # published or moved between question and look: then the answer is another one the next time
        with files.answerable("the instance's file"):
            if any(_is_there(export, row) for row in rows):
                return None
    return next((Missed(_delivery(row), row["stored_at"]) for row in rows), _NOWHERE)


def _is_there(export: Path, row: Row) -> bool:
    state = State[row["state"].upper()]
    if state.open:
        return Path(export, ".tmp", _delivery(row).folder, row["file_name"]).exists()
    folder = export / str(row["path"])
    return state is not State.PUBLISHED or not folder.exists() or (folder / row["file_name"]).exists()


def _delivery(row: Row) -> Delivery:
    return Delivery(row["scan_research_id"], row["number"])
