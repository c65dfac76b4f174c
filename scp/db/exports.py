"""Which export of which delivery is waiting, done or failed: what a killed exporter goes on with."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scp.db.engine import Engine

FIRST_RETRY_SECONDS = 60.0
MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Due:
    """One export of one published delivery that is to be made now; `path` is below the export root."""

    name: str
    scan_research_id: str
    number: int
    tries: int
    path: str


class Ledger:
    """The exports' rows of the index; a delivery is offered once and stays done when it is."""

    def __init__(self, path: Path) -> None:
        self._engine = Engine(path, "exports")

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()

    def offer(self, name: str, since: float) -> int:
        """Put what was published since then (s since the epoch) on the list of an export; how many are new."""
        with self._engine.write():
            return self._engine.change("offer", {"name": name, "since": since, "now": time.time()})

    def due(self) -> list[Due]:
        """What is to be made now, the longest due first."""
        return [Due(**dict(row)) for row in self._engine.rows("due", {"now": time.time()})]

    def places(self, scan_research_id: str) -> list[str]:
        """The folders of a visit that are published, below the export root, in the order of their days."""
        return [str(row["path"]) for row in self._engine.rows("places", {"scan_research_id": scan_research_id})]

    def done(self, due: Due, why: str = "") -> None:
        """It is made, and durable; `why` says what is not in it."""
        self._change(due, "done", why, 0.0)

    def failed(self, due: Due, why: str) -> bool:
        """It failed; tried again after 1, 2, 4 and 8 minutes, then given up. Whether it will be tried again."""
        last = due.tries + 1 >= MOST_TRIES
        self._change(due, "failed" if last else "waiting", why, FIRST_RETRY_SECONDS * 2**due.tries)
        return not last

    def again(self, name: str, scan_research_id: str) -> int:
        """Have an export of a visit made once more, done or failed; how many deliveries it has."""
        row = {"name": name, "scan_research_id": scan_research_id, "now": time.time()}
        with self._engine.write():
            return self._engine.change("again", row)

    def listing(self, query: str) -> list[dict[str, Any]]:
        """Rows of `exports` or `exports_by_state`."""
        return [dict(row) for row in self._engine.rows(query)]

    def _change(self, due: Due, state: str, why: str, wait: float) -> None:
        now = time.time()
        key = {"name": due.name, "scan_research_id": due.scan_research_id, "number": due.number}
        row = {**key, "state": state, "tries": due.tries + 1, "why": why, "now": now, "next": now + wait}
        with self._engine.write():
            self._engine.change("change", row)
