"""A node that promises nothing: `python -m bench.unsynced serve`, the command with every fsync left out.

It is there to compare the rest of the walk with receivers that keep nothing durable, and exists only in the bench: the
product has no such switch.
"""

import os
import sqlite3
from typing import Any

from scp.cli import main

_connect = sqlite3.connect


class _Unsynced(sqlite3.Connection):
    """Says synchronous=FULL to whoever asks, and is OFF."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401  as typeshed has it
        if sql == "PRAGMA synchronous":
            super().execute("PRAGMA synchronous=off")
            return super().execute("SELECT 2")
        return super().execute(sql, parameters)


def _unsynced(*arguments: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401  whatever the node opens with
    return _connect(*arguments, **named, factory=_Unsynced)


def _nothing(_descriptor: int) -> None:
    """What a node that promises nothing does to make a file durable."""


if __name__ == "__main__":
    os.fsync = os.fdatasync = _nothing  # type: ignore[assignment]
    sqlite3.connect = _unsynced  # type: ignore[assignment]
    main()
