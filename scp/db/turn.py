"""Whether who would write into a database has a turn: a process that stands still while it holds the lock lets none."""

import os
import threading
import time
from pathlib import Path

from scp.db.engine import BUSY_SECONDS, DatabaseError, Engine
from scp.outcome import Failure


class Turn:
    """Waits in line for the write lock as every writer does, and gives it back: no byte is written for that.

    At most one waits at a time, in a thread of its own, for nobody can be told to stop waiting in flock(2).
    """

    def __init__(self, path: Path, name: str, seconds: float = BUSY_SECONDS) -> None:
        """Whoever waits longer than `seconds` is taken for one whose turn does not come."""
        self.name = name
        self._path = path
        self._seconds = seconds
        self._engine: Engine | None = None
        self._latest = threading.Lock()
        self._waiting: _Waiting | None = None

    def comes(self, patience: float) -> bool:
        """Whether it does, after at most `patience` (s); as long as that is not known, it is taken to come."""
        with self._latest:
            waiting = self._waiting
            if waiting is None or waiting.over.is_set():
                waiting = self._waiting = _Waiting()
                threading.Thread(target=self._wait, args=(waiting,), name="turn", daemon=True).start()
        if waiting.over.wait(patience):
            return waiting.came
        return time.monotonic() - waiting.since < self._seconds

    def _wait(self, waiting: "_Waiting") -> None:
        try:
            waiting.came = self._take()
        except (Failure, DatabaseError, OSError):
            waiting.came = False
        finally:
            waiting.over.set()

    def _take(self) -> bool:
        """Take the lock and give it back; False where there is none. Raises Failure, DatabaseError and OSError."""
        if self._engine is None and self._path.exists():  # else to ask would make it
            self._engine = Engine(self._path, self.name)
        if self._engine is None:
            return False
        with self._engine.write():
            return True


class _Waiting:
    """One that waits: since when, whether that is over, and whether its turn came."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.over = threading.Event()
        self.came = False


def holder(path: Path) -> int | None:
    """The process that holds the write lock of this database, as proc_locks(5) says; None where it says none."""
    return locker(path.with_suffix(".lock"))


def locker(file: Path) -> int | None:
    """The same of a file that is locked itself (flock(2))."""
    try:
        lock = file.stat()
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return None
    inode = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    for line in lines:
        fields = line.split()  # 1: FLOCK ADVISORY WRITE 708 00:13:49 0 EOF; with -> behind the number, one that waits
        if fields[1] == "FLOCK" and fields[5] == inode:
            return int(fields[4]) or None  # 0: a process that is not of this container
    return None
