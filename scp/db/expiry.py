"""What of the index is older than it may be, and what is left of it when it has been taken away."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scp.db.engine import Engine
from scp.db.index import Delivery, Standing
from scp.state import State

_LAST = "retention"


@dataclass(frozen=True, slots=True)
class Old:
    """Something whose time is over: its name, when it came to where it is (s since the epoch), and what it holds."""

    name: str
    since: float
    instances: int
    bytes: int


class Expiry:
    """The rows of the index that retention reads and changes; each method that changes is one transaction."""

    def __init__(self, path: Path) -> None:
        self._engine = Engine(path, "expiry")

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()

    def published(self, before: float) -> list[Old]:
        """Visits whose latest publication was not after `before`, the oldest first."""
        return [Old(**dict(row)) for row in self._engine.rows("old_published", {"before": before})]

    def staged(self, before: float) -> list[tuple[Delivery, Old]]:
        """Deliveries that have been held, quarantined or rejected, as they are now, since `before` at the latest."""
        found = []
        for row in self._engine.rows("old_staged", {"before": before}):
            delivery = Delivery(row["scan_research_id"], row["number"])
            found.append((delivery, Old(delivery.folder, row["since"], row["instances"], row["bytes"])))
        return found

    def quarantine(self, before: float) -> list[tuple[str, Old]]:
        """Sealed originals received at `before` at the latest, each with its outcome's label."""
        rows = self._engine.rows("old_quarantine", {"before": before})
        return [(row["outcome"], Old(row["name"], row["since"], 1, row["bytes"])) for row in rows]

    def places(self, scan_research_id: str) -> list[Standing]:
        """The published deliveries of a visit."""
        return self._standing("published_of_visit", {"scan_research_id": scan_research_id})

    def begin(self, scan_research_id: str, before: float, why: str) -> list[Standing]:
        """All published deliveries of a visit, which are expiring from now on.

        Empty where one was published after `before` or is being published: a visit goes whole or not at all.
        """
        visit = {"scan_research_id": scan_research_id}
        with self._engine.write():
            stays = self._engine.row("in_publishing", visit) or self._engine.row(
                "youngest", {**visit, "before": before}
            )
            found = [] if stays else self._standing("published_of_visit", visit)
            for standing in found:
                self._enter(standing.delivery, State.EXPIRING, why)
        return [Standing(each.delivery, State.EXPIRING, each.path) for each in found]

    def begin_staged(self, delivery: Delivery, before: float, why: str) -> bool:
        """Close a delivery that waits for a person since `before` at the latest; False where that changed meanwhile."""
        with self._engine.write():
            done = self._engine.change("set_staged_expiring", {**_key(delivery), "before": before})
            if done:
                self._note(delivery, State.EXPIRING, why)
        return bool(done)

    def unfinished(self) -> list[Standing]:
        """Deliveries that are being taken away, by whomever."""
        return self._standing("expiring", {})

    def exported(self, scan_research_id: str) -> list[str]:
        """Names of the exports that were offered anything of the visit."""
        return [row["name"] for row in self._engine.rows("exported", {"scan_research_id": scan_research_id})]

    def bury(self, deliveries: Iterable[Delivery]) -> None:
        """Forget the instances and exports of deliveries that are gone; when that was and how much stays known."""
        with self._engine.write():
            for delivery in deliveries:
                key = _key(delivery)
                held = self._engine.rows("held_by", key)[0]
                if self._enter(delivery, State.EXPIRED, f"{held['instances']} instances of {held['bytes']} bytes"):
                    self._engine.change("forget_instances", key)
                    self._engine.change("forget_exports", key)

    def bury_sealed(self, entries: Iterable[str]) -> None:
        """Forget sealed originals whose files go next; only that there were some stays known."""
        now = time.time()
        with self._engine.write():
            for entry in entries:
                if self._engine.change("bury_sealed", {"id": entry, "now": now}):
                    self._engine.change("forget_sealed", {"id": entry})

    def unremoved(self) -> list[tuple[str, str]]:
        """Outcome's label and id of sealed originals that are forgotten and whose files may still stand."""
        return [(row["outcome"], row["id"]) for row in self._engine.rows("unremoved")]

    def removed(self, entries: Iterable[str]) -> None:
        """Their files are gone, and durably so."""
        with self._engine.write():
            for entry in entries:
                self._engine.change("removed", {"id": entry})

    def last(self) -> float | None:
        """When everything was last gone through (s since the epoch)."""
        row = self._engine.row("node", {"name": _LAST})
        return None if row is None else float(row["value"])

    def ran(self, now: float) -> None:
        """Everything has been gone through."""
        with self._engine.write():
            self._engine.change("put_node", {"name": _LAST, "value": repr(now)})

    def _enter(self, delivery: Delivery, state: State, why: str) -> int:
        changed = self._engine.change(f"set_{state.label}", _key(delivery))
        if changed:
            self._note(delivery, state, why)
        return changed

    def _note(self, delivery: Delivery, state: State, why: str) -> None:
        row = {**_key(delivery), "state": state.label, "why": why, "now": time.time()}
        self._engine.change("add_entered", row)

    def _standing(self, query: str, parameters: dict[str, str]) -> list[Standing]:
        rows = self._engine.rows(query, parameters)
        return [
            Standing(Delivery(row["scan_research_id"], row["number"]), State[row["state"].upper()], row["path"])
            for row in rows
        ]


def _key(delivery: Delivery) -> dict[str, str | int]:
    return {"scan_research_id": delivery.scan_research_id, "number": delivery.number}
