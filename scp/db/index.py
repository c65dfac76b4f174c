"""The index: which de-identified instance stands where, in which delivery of which visit, and what is in quarantine."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scp.db.commit import Commit, OwnCommit
from scp.db.delivery import Delivery, Missed, Quiet, Recorded, Standing
from scp.db.engine import DatabaseError, Engine
from scp.db.writes import MOVED, Row, Write, has_moved
from scp.instance import DeidentifiedInstance, Source
from scp.outcome import Failure, Outcome
from scp.state import State

__all__ = ["Delivery", "Index", "Missed", "Quiet", "Recorded", "Standing"]


class Index:
    """Everything the node knows of instances, by pseudonyms only.

    It is read in the process that asks; what the walk writes goes through what `commit` makes of
    its engine.
    """

    def __init__(self, path: Path, commit: Callable[[Engine], Commit] = OwnCommit) -> None:
        self._engine = Engine(path, "index")
        self._commit = commit(self._engine)
        self._last = threading.local()

    def open(self, node: str) -> None:
        """Migrate and make sure that this index belongs to the linkage of this node; raises DatabaseError if not."""
        self._engine.migrate()
        with self._engine.write():
            stored = self._engine.row("node", {"name": "id"})
            if stored is None:
                self._engine.change("set_node", {"name": "id", "value": node})
            elif stored["value"] != node:
                raise DatabaseError(f"{self._engine.path}: belongs to another linkage database; keep the two together")

    def close(self) -> None:
        """Close the connections, those to the index writer too."""
        self._commit.close()
        self._engine.close()

    def unchanged(self, source: Source) -> bool:
        """Whether this very original is stored already; Failure CONFLICTING is left to `agrees`, after the recipe."""
        row = self._engine.row("known_source", {"source_uid": source.uid})
        return row is not None and row["source_digest"] == source.digest

    def agrees(self, instance: DeidentifiedInstance, source: Source) -> bool:
        """Whether the same instance is stored already with the same de-identified content.

        One that a recovery adopted gets the fingerprints of its original now, and is known by them from then on.
        Raises Failure CONFLICTING when its UID is known with other content, and OUT_OF_RESOURCES where its visit is
        being merged or split meanwhile.
        """
        uids = {"sop_instance_uid": instance.sop_instance_uid, "source_uid": source.uid}
        rows = self._engine.rows("instance_or_source", uids)
        mine: Row = {"scan_research_id": instance.scan_research_id, "moves": instance.moves}
        for row in rows:
            if has_moved(self._engine, mine, row["scan_research_id"]):
                raise Failure(Outcome.OUT_OF_RESOURCES, MOVED)
            if row["sop_instance_uid"] != instance.sop_instance_uid or row["digest"] != instance.digest:
                raise Failure(Outcome.CONFLICTING, "SOPInstanceUID is known with other content")
            if row["source_uid"] is None:
                named = {"source_uid": source.uid, "source_digest": source.digest}
                self._commit(Write("source", {"sop_instance_uid": instance.sop_instance_uid, **named}))
        return bool(rows)

    def open_delivery(self, instance: DeidentifiedInstance) -> Delivery:
        """The delivery of the instance's visit that is receiving; opened if there is none."""
        visit = {"scan_research_id": instance.scan_research_id}
        row = self._engine.row("open_delivery", visit)
        if row is None:
            opened = self._commit(Write("delivery", {**visit, "pseudonym": instance.pseudonym, "now": time.time()}))
            return Delivery(instance.scan_research_id, int(str(opened["number"])))
        return Delivery(row["scan_research_id"], row["number"])

    def state(self, delivery: Delivery) -> str | None:
        """The label of its `State`; None for a delivery that was never opened."""
        row = self._engine.row("delivery_state", _key(delivery))
        return None if row is None else str(row["state"])

    def gathering(self, instance: DeidentifiedInstance) -> Delivery:
        """As `open_delivery`, without asking where this thread's last instance went to the same visit.

        Closed that may be since, as any other: only `is_receiving` says, under the folder's lock. Where it says so, the
        next call asks.
        """
        last: Delivery | None = getattr(self._last, "delivery", None)
        self._last.delivery = None
        if last is not None and last.scan_research_id == instance.scan_research_id:
            return last
        return self.open_delivery(instance)

    def is_receiving(self, delivery: Delivery, moves: int | None = None) -> bool:
        """Whether files may still be added to its staging folder; ask while holding that folder's shared lock.

        Raises Failure OUT_OF_RESOURCES where studies of the visit were moved to another one since there had been so
        many `moves`: this instance's may be among them.
        """
        row = self._engine.row("delivery_state", _key(delivery))
        if row is not None and moves is not None and row["moves"] > moves:
            raise Failure(Outcome.OUT_OF_RESOURCES, MOVED)
        receiving = row is not None and State[row["state"].upper()].open
        self._last.delivery = delivery if receiving else None
        return receiving

    def record(
        self,
        instance: DeidentifiedInstance,
        source: Source | None,
        name: str,
        delivery: Delivery,
        *,
        lost: Missed | None = None,
    ) -> Recorded:
        """Commit the row of an instance whose file is durable; when this returns STORED, it may be acknowledged.

        One whose file was `lost` has its row changed to where the new file is, unless another sender was quicker.
        Raises Failure CONFLICTING when its UID has been committed with other content in the meantime, and Unanswered
        when nobody knows whether the row is there, or will be: its file must stay.
        """
        row = {
            "sop_instance_uid": instance.sop_instance_uid,
            "source_uid": source.uid if source else None,
            "source_digest": source.digest if source else None,
            "digest": instance.digest,
            "size": instance.size,
            "series_uid": instance.series_uid,
            "sop_class_uid": instance.sop_class_uid,
            "transfer_syntax": instance.transfer_syntax,
            "file_name": name,
            "recipe": instance.recipe,
            "scan_research_id": delivery.scan_research_id,
            "delivery": delivery.number,
            "calling": instance.calling,
            "moves": instance.moves,
            "now": time.time(),
            "lost_visit": lost.delivery.scan_research_id if lost else None,
            "lost_delivery": lost.delivery.number if lost else None,
            "lost_since": lost.stored_at if lost else None,
        }
        return self._recorded(row)

    def quiet(self, before: float) -> list[Quiet]:
        """Arriving deliveries that hold something and to which nothing came since `before` (s since the epoch)."""
        return [_quiet(row) for row in self._engine.rows("quiet_deliveries", {"before": before})]

    def bring_back(self, after: float, now: float) -> int:
        """Take arrivals of a time to come, behind `after`, for arrivals of `now`; how many deliveries that were."""
        if self._engine.row("of_the_future", {"after": after}) is None:
            return 0
        with self._engine.write():
            return self._engine.change("bring_back", {"after": after, "now": now})

    def in_state(self, state: State) -> list[Quiet]:
        """All deliveries in one state."""
        return [_quiet(row) for row in self._engine.rows("deliveries_in_state", {"state": state.label})]

    def of_visit(self, scan_research_id: str) -> list[Quiet]:
        """All deliveries of a visit, the first one first; empty for a visit nobody knows."""
        return [_quiet(row) for row in self._engine.rows("deliveries_of_visit", {"scan_research_id": scan_research_id})]

    def enter(self, entry: Quiet, state: State, why: str) -> bool:
        """Put a delivery into a state and write down when and why; False when it is no longer as `entry` says.

        An instance that came in the meantime makes it so. Raises ValueError for a change that the table does not have.
        """
        if state not in entry.state.then:
            raise ValueError(f"{entry.state.label} is not followed by {state.label}")
        key, now = _key(entry.delivery), time.time()
        seen = {"before": entry.state.label, "last_arrival": entry.last_arrival}
        with self._engine.write():
            done = self._engine.change("enter_state", {**key, **seen, "state": state.label})
            if done:
                self._engine.change("add_entered", {**key, "now": now, "why": why})
        return bool(done)

    def was(self, delivery: Delivery, state: State) -> bool:
        """Whether the steward or a person has ever put it into this state."""
        return self._engine.row("was_in_state", {**_key(delivery), "state": state.label}) is not None

    def files(self, delivery: Delivery) -> dict[str, bytes]:
        """File names of a delivery and the SHA-256 each file must have."""
        return {row["file_name"]: row["digest"] for row in self._engine.rows("delivery_files", _key(delivery))}

    def names(self, delivery: Delivery) -> dict[str, bytes]:
        """File names of a delivery as `files` gives them, without their digests, in no order: some times as quick."""
        return dict.fromkeys((row[0] for row in self._engine.rows("delivery_names", _key(delivery))), b"")

    def deliveries(self) -> list[Standing]:
        """Every delivery there ever was, with its state and place."""
        return [
            Standing(Delivery(row["scan_research_id"], row["number"]), State[row["state"].upper()], row["path"])
            for row in self._engine.rows("deliveries")
        ]

    def knows(self, scan_research_id: str, name: str) -> bool:
        """Whether any delivery of the visit has a file of this name."""
        return self._engine.row("visit_file", {"scan_research_id": scan_research_id, "file_name": name}) is not None

    def is_sound(self) -> bool:
        """Whether the database holds together: its pages, its indexes, its references."""
        return [row[0] for row in self._engine.rows("integrity")] == ["ok"] and not self._engine.rows("references")

    def recipe(self) -> str | None:
        """The recipe of the last node that ran on this index, as its rows name it; None before the first."""
        row = self._engine.row("node", {"name": "recipe"})
        return None if row is None else str(row["value"])

    def set_recipe(self, recipe: str) -> None:
        """Write down the recipe that everything stored from now on is made with."""
        with self._engine.write():
            self._engine.change("put_node", {"name": "recipe", "value": recipe})

    def adopt(self, row: Row) -> Recorded:
        """Commit the row of a file that was durable before a crash and never indexed.

        `row` has what `record` writes, without the original's fingerprints: a re-send names them. Raises Failure as
        `record` does.
        """
        return self._recorded({**row, "source_uid": None, "source_digest": None, "now": time.time()})

    def _recorded(self, row: Row) -> Recorded:
        found = self._commit(Write("instance", row))
        holder = Delivery(str(found["scan_research_id"]), int(str(found["delivery"])))
        return Recorded(Outcome[str(found["outcome"])], holder)

    def begin_publishing(self, delivery: Delivery, path: str) -> bool:
        """Close the delivery to new files and write down where it goes; False when it is not approved."""
        with self._engine.write():
            begun = bool(self._engine.change("begin_publishing", {**_key(delivery), "path": path}))
            if begun:
                self._engine.change("add_entered", {**_key(delivery), "now": time.time(), "why": path})
        return begun

    def finish_publishing(self, delivery: Delivery) -> bool:
        """Write down that the delivery stands where it belongs."""
        with self._engine.write():
            row = {**_key(delivery), "now": time.time(), "why": "the marker is written"}
            done = bool(self._engine.change("finish_publishing", row))
            if done:
                self._engine.change("add_entered", row)
        return done

    def quarantined(self, outcome: Outcome, fingerprint: bytes) -> bool:
        """Whether this very content is in quarantine already for the same reason."""
        return self._engine.row("quarantined", {"outcome": outcome.label, "fingerprint": fingerprint}) is not None

    def record_quarantine(self, entry: str, failure: Failure, fingerprint: bytes, size: int) -> bool:
        """Commit the row of a sealed original; False when the same content got there first."""
        row: Row = {
            "id": entry,
            "outcome": failure.outcome.label,
            "why": failure.why,
            "fingerprint": fingerprint,
            "size": size,
            "now": time.time(),
        }
        return bool(self._commit(Write("quarantine", row))["new"])

    def forget_sources(self) -> int:
        """Forget the fingerprints of all originals, which a new key makes useless; each is named again by a re-send."""
        with self._engine.write():
            self._engine.change("forget_volume_sources")
            return self._engine.change("forget_sources")

    def forget_quarantine(self, entry: str) -> bool:
        """Forget a sealed original, whose file goes next; False when there is none of this id."""
        with self._engine.write():
            return bool(self._engine.change("forget_quarantine", {"id": entry}))

    def listing(self, query: str, **parameters: str | int | bytes) -> list[dict[str, Any]]:
        """Rows of a listing query (visits, visit_deliveries, visit_series, quarantine ...) as plain dicts."""
        return [dict(row) for row in self._engine.rows(query, parameters)]


def _key(delivery: Delivery) -> dict[str, str | int]:
    return {"scan_research_id": delivery.scan_research_id, "number": delivery.number}


def _quiet(row: Any) -> Quiet:  # noqa: ANN401  sqlite3 rows have no type of their own outside engine
    delivery = Delivery(row["scan_research_id"], row["number"])
    calling = tuple(row["calling"].split("\\")) if row["calling"] else ()
    return Quiet(delivery, row["path"], row["last_arrival"], State[row["state"].upper()], calling)
