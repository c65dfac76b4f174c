"""Copies of databases that are written to meanwhile."""

import sqlite3
from contextlib import closing
from functools import partial

import pytest

from scp.db import backup
from scp.db.engine import DatabaseError

ROWS = 12_000
STEPS = 50


@pytest.fixture
def database(tmp_path):
    """One of some ten MB, as a node leaves it."""
    path = tmp_path / "index.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode=wal")
        made.execute("CREATE TABLE instance (number INTEGER PRIMARY KEY, body BLOB)")
        made.execute("BEGIN")
        made.executemany("INSERT INTO instance (body) VALUES (?)", ((bytes(1000),) for _ in range(ROWS)))
        made.execute("COMMIT")
    return path


class Overtaken(sqlite3.Connection):
    """Between two steps of its copying, and behind the last one, somebody else commits."""

    def backup(self, target, **how):
        steps = []

        def commit(_status, _remaining, _total):
            steps.append(None)
            assert len(steps) < STEPS, "it begins anew each time"
            with closing(sqlite3.connect(self.execute("PRAGMA database_list").fetchone()[2])) as other, other:
                other.execute("INSERT INTO instance (body) VALUES (x'00')")

        super().backup(target, progress=commit, **how)


def test_a_copy_ends_while_the_node_goes_on_writing(database, tmp_path, monkeypatch):
    target = tmp_path / "copy.db"
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Overtaken))
        backup.copy(database, target)
    backup.check(target)
    with closing(sqlite3.connect(target)) as copied:
        numbers = [row[0] for row in copied.execute("SELECT number FROM instance ORDER BY number")]
    assert numbers == list(range(1, ROWS + 1))  # of one moment


def test_what_cannot_be_copied_leaves_nothing(database, tmp_path):
    database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(DatabaseError, match="cannot be copied"):
        backup.copy(database, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
