"""Copies of the databases, made while the node writes (SQLite's online backup), and whether a copy is whole."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from scp.db.engine import BUSY_SECONDS, DatabaseError


def copy(source: Path, target: Path) -> None:
    """Write a consistent copy of a database to a file that is not there yet, and make it durable.

    Raises DatabaseError where the source is none, or the copy cannot be made.
    """
    try:
        with closing(_read_only(source)) as held:
            _create(target)
            _copy(held, target)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise DatabaseError(f"{source}: cannot be copied ({type(error).__name__})") from error
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(held: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as made:
        held.backup(made)  # in one step: between two, any commit lets SQLite begin anew; in WAL mode no writer waits
        made.execute("PRAGMA journal_mode=delete")  # one file, without the log beside it


def check(path: Path) -> None:
    """Read every page and index of a database; raises DatabaseError unless all agree."""
    try:
        with closing(_read_only(path)) as held:
            said = held.execute("PRAGMA integrity_check(1)").fetchone()[0]
            broken = held.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: is damaged, or is no database ({type(error).__name__})") from error
    if said != "ok" or broken is not None:
        raise DatabaseError(f"{path}: is damaged; restore another copy")


def node_of(path: Path) -> str:
    """The id of the node that a database belongs to; raises DatabaseError where it says none."""
    try:
        with closing(_read_only(path)) as held:
            row = held.execute("SELECT value FROM node WHERE name = 'id'").fetchone()
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: is not a database of this software ({type(error).__name__})") from error
    if row is None:
        raise DatabaseError(f"{path}: has no node id; it was not made by this software")
    return str(row[0])


def _read_only(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise DatabaseError(f"{path}: is missing")
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be made ({error.strerror})") from error
