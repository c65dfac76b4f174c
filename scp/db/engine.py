"""A SQLite database as the house uses it: WAL, synchronous=FULL, migrations in order, one writer at a time."""

import fcntl
import os
import re
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from scp.outcome import Failure, Outcome

SQL = Path(__file__).parent / "sql"

BUSY_SECONDS = 5.0
SPARE = 16  # connections kept that nobody uses
SPARE_SECONDS = 30.0  # and for how long

_NO_ROOM = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
}

_OF_SQLITE = {
    "checkpoint": "PRAGMA wal_checkpoint(TRUNCATE)",
    "integrity": "PRAGMA quick_check",
    "references": "PRAGMA foreign_key_check",
}
"""What another database says in other words; all other SQL stands in `sql/`."""

Parameters = Mapping[str, Any]


class DatabaseError(ValueError):
    """A database file that this node may not or cannot work with; its text names the file and the remedy."""


class Taken(Exception):  # noqa: N818  no error: somebody else is writing
    """The write lock is somebody else's now."""


def queries(name: str) -> dict[str, str]:
    """The named statements of `sql/<name>.sql`: each stands behind a line `-- name: ...`."""
    parts = re.split(r"^-- name: (\w+)\n", (SQL / f"{name}.sql").read_text("utf-8"), flags=re.MULTILINE)
    return {key: text.strip() for key, text in zip(parts[1::2], parts[2::2], strict=True)}


class Engine:
    """One database file, for many threads; writers of all processes queue at one lock file.

    Each question and each transaction takes the connection that was given back last, and has it to itself: to open one
    costs more than a small instance, and what is committed over one makes all others read their pages anew.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.sql = queries(name) | _OF_SQLITE
        self._local = threading.local()
        self._spare = _Spare()
        self._turn = threading.Lock()
        try:
            self._lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseError(f"{path.with_suffix('.lock')}: cannot be opened ({error.strerror})") from error
        self._unlock = weakref.finalize(self, os.close, self._lock)
        self._unlock.atexit = False

    def close(self) -> None:
        """Close the connections and the lock file; those that other threads use now close when they are given back."""
        self._spare.close()
        self._unlock()

    def rows(self, query: str, parameters: Parameters | None = None) -> list[sqlite3.Row]:
        """All rows of a named query; raises Failure when the database cannot answer."""
        mine: Database | None = getattr(self._local, "database", None)  # within `write()`
        database = mine or self._take()
        try:
            rows: list[sqlite3.Row] = database.conn.execute(self.sql[query], parameters or {}).fetchall()
        except sqlite3.DatabaseError as error:
            raise _in_words(error, self.name) from error
        finally:
            if mine is None:
                self._spare.give(database)
        return rows

    def row(self, query: str, parameters: Parameters | None = None) -> sqlite3.Row | None:
        """The first row of a named query, or None."""
        found = self.rows(query, parameters)
        return found[0] if found else None

    def change(self, statement: str, parameters: Parameters | None = None) -> int:
        """Run a named statement inside `write()`; returns how many rows it changed."""
        try:
            return int(self._database().conn.execute(self.sql[statement], parameters or {}).rowcount)
        except sqlite3.DatabaseError as error:
            raise _in_words(error, self.name) from error

    @contextmanager
    def write(self, *, wait: bool = True) -> Iterator[None]:
        """A transaction that holds the write lock from its first line and is durable when the block is left.

        Waiting writers queue in the kernel instead of polling: SQLite's own busy handler lets one of two processes
        starve for seconds. Raises Failure OUT_OF_RESOURCES when the lock or room is not to be had, and Taken when
        somebody else is writing and this one would not `wait`.
        """
        if not self._turn.acquire(blocking=wait):
            raise Taken
        try:
            self._flock(wait=wait)
            try:
                yield from self._transaction()
            except sqlite3.DatabaseError as error:
                raise _in_words(error, self.name) from error
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)
        finally:
            self._turn.release()

    def _flock(self, *, wait: bool) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken from None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction of `write()` that is undone alone when the block is left by an error."""
        connection = self._database().conn
        done = False
        try:
            connection.execute("SAVEPOINT part")
            try:
                yield
                done = True
            finally:
                if connection.in_transaction:  # a full disk may have rolled back everything
                    if not done:
                        connection.execute("ROLLBACK TO part")
                    connection.execute("RELEASE part")
        except sqlite3.DatabaseError as error:
            raise _in_words(error, self.name) from error

    def _transaction(self) -> Iterator[None]:
        database = self._take()
        self._local.database = database
        connection = database.conn
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        finally:
            self._local.database = None
            self._spare.give(database)

    def _database(self) -> Database:
        """That of this thread's transaction; outside of one, that which is taken next."""
        database: Database | None = getattr(self._local, "database", None)
        if database is None:
            database = self._take()
            self._spare.give(database)
        return database

    def _take(self) -> Database:
        try:
            return self._spare.take() or self._connect()
        except sqlite3.DatabaseError as error:  # no descriptor is left, for one
            raise _in_words(error, self.name) from error

    def _connect(self) -> Database:
        # One thread at a time, as `_Spare` sees to.
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        database = Database(connection, execute_plugins=False, recursive_triggers=False)
        for pragma, value in (("journal_mode", "wal"), ("synchronous", "full"), ("secure_delete", "on")):
            connection.execute(f"PRAGMA {pragma}={value}")
        connection.execute("PRAGMA foreign_keys=on")
        # Distributions may compile other defaults in, and a setting that did not take would lose acknowledged rows.
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:  # noqa: PLR2004  2 is FULL
            raise DatabaseError(f"{self.path}: SQLite refuses synchronous=FULL")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raise DatabaseError(
                f"{self.path}: SQLite refuses WAL here; the state folder must be on a local file system"
            )
        return database

    def migrate(self) -> int:
        """Bring the schema up to date, one numbered file at a time; returns how many were applied.

        Raises DatabaseError when the file is no database, or was made by a newer release.
        """
        self._shut()
        try:
            return self._migrate()
        except sqlite3.DatabaseError as error:
            raise DatabaseError(f"{self.path}: cannot be used as a database ({type(error).__name__})") from error

    def _shut(self) -> None:
        """Closed to the world whatever the umask; what SQLite makes beside it gets the same mode."""
        with suppress(OSError):  # it stands there, or SQLite will say what is wrong
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        for suffix in ("", "-wal", "-shm"):  # of an earlier release
            there = self.path.with_name(f"{self.path.name}{suffix}")
            with suppress(OSError):
                there.chmod(there.stat().st_mode & 0o770)

    def _migrate(self) -> int:
        files = sorted((SQL / self.name).glob("*.sql"))
        with self.write():
            database = self._database()
            database.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)")
            done = {row["name"] for row in database.execute("SELECT name FROM migration").fetchall()}
            unknown = done - {file.name for file in files}
            if unknown:
                raise DatabaseError(f"{self.path}: was made by a newer release ({', '.join(sorted(unknown))})")
            for file in files:
                if file.name not in done:
                    for statement in _statements(file.read_text("utf-8")):
                        database.execute(statement)
                    database.execute("INSERT INTO migration (name) VALUES (:name)", {"name": file.name})
        return len(files) - len(done)


class _Spare:
    """Connections that nobody uses just now; what nobody may need any more is closed."""

    def __init__(self) -> None:
        self._idle: deque[tuple[float, Database]] = deque()  # since when; the last one given is the first one taken
        self._closed = False

    def take(self) -> Database | None:
        """The one that was given last."""
        try:
            return self._idle.pop()[1]
        except IndexError:
            return None

    def give(self, database: Database) -> None:
        """Keep it, unless there are enough; what a busier time has left over goes."""
        if self._closed or len(self._idle) >= SPARE or database.conn.in_transaction:
            database.conn.close()
            return
        now = time.monotonic()
        self._idle.append((now, database))
        if len(self._idle) > 1:
            self._drop(now - SPARE_SECONDS)

    def _drop(self, before: float) -> None:
        with suppress(IndexError):
            while self._idle[0][0] < before:
                self._idle.popleft()[1].conn.close()  # who takes one meanwhile takes it from the other end

    def close(self) -> None:
        """Keep none any more."""
        self._closed = True
        while database := self.take():
            database.conn.close()

    __del__ = close


def _statements(text: str) -> list[str]:
    bare = re.sub(r"--[^\n]*", "", text)
    return [statement.strip() for statement in bare.split(";") if statement.strip()]


def _in_words(error: sqlite3.DatabaseError, name: str) -> Exception:
    """What SQLite says in the house's words: no room is one thing, a broken disk or file another."""
    if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        return error  # a defect of ours, not of the disk
    code = error.sqlite_errorcode & 0xFF  # the primary code; the rest is detail
    if code in _NO_ROOM:
        return Failure(Outcome.OUT_OF_RESOURCES, f"the {name} database is busy or full")
    return Failure(Outcome.STORAGE_FAULT, f"the {name} database failed ({error.sqlite_errorname})")
