"""Who is associated with the node, in memory that its workers share: how many in all, of a title, and with whom."""

import fcntl
import mmap
import os
import struct
import time
from typing import Final

TITLE_BYTES: Final = 16
LOCK_SECONDS: Final = 1.0
_TRY_SECONDS: Final = 0.0005  # it is held for some microseconds
_COUNT: Final = struct.Struct("q")
_NOBODY: Final = -1  # instead of a count: no worker serves in this slot


class _Lock:
    """Of a file in memory, so that it orders processes; not waited for longer than LOCK_SECONDS."""

    def __init__(self) -> None:
        self._file = os.memfd_create("register", os.MFD_CLOEXEC)

    def __enter__(self) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while not self.now() and time.monotonic() < deadline:
            time.sleep(_TRY_SECONDS)

    def __exit__(self, *_error: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def now(self) -> bool:
        """Have it now, or not."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


class Register:
    """Made before the forks: each worker writes its own rows, one 16-byte AE title an association, without a gap.

    A lock on a file in memory orders the workers. The kernel drops it with its holder, so a worker that is killed
    blocks nobody, and one that hangs with it is not waited for: then a count may be off by one until it is replaced. A
    worker's own threads come one at a time, which is for `Guests` to see to.
    """

    def __init__(self, slots: int, rows: int) -> None:
        self._slots = slots
        self._rows = rows
        self._size = _COUNT.size + TITLE_BYTES * rows
        self._page = mmap.mmap(-1, self._size * slots)
        self._locked = _Lock()
        for slot in range(slots):
            self.clear(slot)

    def open(self, slot: int) -> None:
        """A worker begins to serve, with no association yet."""
        self._enter(slot, 0)

    def join(self, slot: int, title: str, most: int, most_of_title: int) -> str:
        """Enter an association; else the limit that forbids it: max_associations or max_associations_per_title."""
        row = _row(title)
        with self._locked:
            if self.count() >= min(most, self._rows):
                return "max_associations"
            if sum(self._titles(each).count(row) for each in range(self._slots) if self._count(each)) >= most_of_title:
                return "max_associations_per_title"
            count = self._count(slot)
            at = self._first(slot) + count * TITLE_BYTES
            self._page[at : at + TITLE_BYTES] = row
            self._enter(slot, count + 1)
        return ""

    def leave(self, slot: int, title: str) -> None:
        """Take one of the worker's associations of this title out; the last row fills the gap."""
        with self._locked:
            titles = self._titles(slot)
            gap = self._first(slot) + titles.index(_row(title)) * TITLE_BYTES
            self._page[gap : gap + TITLE_BYTES] = titles[-1]
            self._enter(slot, len(titles) - 1)

    def clear(self, slot: int) -> None:
        """Take out whatever a worker left that has died, and who serves no longer."""
        self._enter(slot, _NOBODY)

    def count(self) -> int:
        """How many associations the node has."""
        return sum(self._count(slot) for slot in range(self._slots))

    def has_fewer(self, slot: int, than: int) -> bool:
        """Whether a worker other than that of `slot` has fewer associations than so many; waits for nobody."""
        others = (self._entered(other) for other in range(self._slots) if other != slot)
        return any(_NOBODY < count < than for count in others)

    def close(self) -> None:
        """Give memory and lock back, in a process that ends without exiting."""
        self._page.close()
        self._locked.close()

    def _first(self, slot: int) -> int:
        return slot * self._size + _COUNT.size

    def _count(self, slot: int) -> int:
        return max(self._entered(slot), 0)

    def _entered(self, slot: int) -> int:
        count: int = _COUNT.unpack_from(self._page, slot * self._size)[0]
        return count

    def _enter(self, slot: int, count: int) -> None:
        _COUNT.pack_into(self._page, slot * self._size, count)

    def _titles(self, slot: int) -> list[bytes]:
        first = self._first(slot)
        used = self._page[first : first + self._count(slot) * TITLE_BYTES]
        return [used[at : at + TITLE_BYTES] for at in range(0, len(used), TITLE_BYTES)]


def _row(title: str) -> bytes:
    return title.encode("latin-1").ljust(TITLE_BYTES)[:TITLE_BYTES]
