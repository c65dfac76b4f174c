"""Bugs that somebody could make: each is put in before a life begins, and the campaigns have to find it."""

import os
import stat
import threading
import time
from pathlib import Path

from scp.db.engine import Engine
from scp.db.index import Index, Recorded
from scp.deidentify.guard import Guard
from scp.deidentify.splice import Splice
from scp.outcome import Outcome
from scp.recovery import Recovery


def no_file_fsync() -> None:
    """Instances get their names and rows before their bytes are durable."""
    fsync = os.fsync

    def careless(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if "export" not in path.parts or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            fsync(descriptor)

    os.fsync = careless


def synchronous_normal() -> None:
    """SQLite's commits are durable some time later."""
    connect = Engine._connect

    def hasty(self: Engine):
        database = connect(self)
        database.execute("PRAGMA synchronous=NORMAL")
        return database

    Engine._connect = hasty


def early_answer() -> None:
    """The row is committed after the answer."""
    record = Index.record

    def later(self: Index, instance, source, name, delivery, **more):
        def work():
            time.sleep(0.01)
            record(self, instance, source, name, delivery, **more)

        threading.Thread(target=work, daemon=True).start()
        return Recorded(Outcome.STORED, delivery)

    Index.record = later


def orphans_deleted() -> None:
    """A start takes files away that have no row."""

    def delete(_self: Recovery, orphan) -> bool:
        orphan.path.unlink()
        return True

    Recovery._adopt = delete
    Recovery._seal = delete


def unknown_unparsed() -> None:
    """A sequence that was sent as UN leaves as it came, and nobody looks at what leaves."""
    sequence = Splice._sequence

    def careless(self: Splice, element, within):
        if element.vr == "UN":
            return [bytes(self._data[element.start : element.stop])]
        return sequence(self, element, within)

    Splice._sequence = careless
    Guard.check = lambda *_arguments: None  # which would find it all the same
