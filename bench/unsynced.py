"""A node that promises nothing: `python -m bench.unsynced serve`, the command with every fsync left out.

It is there to compare the rest of the walk with receivers that keep nothing durable, and exists only in the bench: the
product has no such switch.
"""

import os
import sqlite3
from collections.abc import Sequence

from scp.cli import main

_connect = sqlite3.connect


class _Unsynced(sqlite3.Connection):
    """Says synchronous=FULL to whoever asks, and is OFF."""

    def execute(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> sqlite3.Cursor:
        if sql == "PRAGMA synchronous":
            super().execute("PRAGMA synchronous=off")
            return super().execute("SELECT 2")
        return super().execute(sql, parameters)


def _unsynced(path: str, *, timeout: float, check_same_thread: bool) -> sqlite3.Connection:
    return _connect(path, timeout=timeout, check_same_thread=check_same_thread, factory=_Unsynced)


if __name__ == "__main__":
    os.fsync = os.fdatasync = lambda _descriptor: None
    sqlite3.connect = _unsynced  # type: ignore[assignment]
    main()
