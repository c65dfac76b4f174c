"""A thread for each association: one whose association has ended waits a moment for the next, with what it has open."""

import threading
from collections.abc import Callable
from typing import Final

KEPT: Final = 16  # threads that wait at once
KEPT_SECONDS: Final = 1.0  # a thread remembers what spellings its last instance had, and is not to do so for long

Work = Callable[[], None]


class Threads:
    """Runs each work in a thread that does nothing else meanwhile; an exception ends its thread, and is told of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Thread] = []
        self._closed = False

    def run(self, work: Work) -> None:
        """Begin it now; raises RuntimeError where no thread can be started."""
        with self._lock:
            thread = self._waiting.pop() if self._waiting else None
        if thread is not None:
            thread.give(work)
            return
        thread = _Thread(self, work)
        threading.Thread(target=thread.live, name="association", daemon=True).start()

    def close(self) -> None:
        """Let those that wait end now, and the others as soon as they have done their work."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, []
        for thread in waiting:
            thread.give(None)

    def wait(self, thread: "_Thread") -> bool:
        """Put a thread among those that wait; False where there are enough."""
        with self._lock:
            if self._closed or len(self._waiting) >= KEPT:
                return False
            self._waiting.append(thread)
            return True

    def leave(self, thread: "_Thread") -> bool:
        """Take a thread out again; False where it has just been given something."""
        with self._lock:
            if thread not in self._waiting:
                return False
            self._waiting.remove(thread)
            return True


class _Thread:
    def __init__(self, threads: Threads, work: Work | None) -> None:
        self._threads = threads
        self._work = work
        self._given = threading.Lock()
        self._given.acquire()

    def give(self, work: Work | None) -> None:
        """Wake it, with its next work or to end."""
        self._work = work
        self._given.release()

    def live(self) -> None:
        """Work and wait, until nothing comes."""
        while self._work is not None:
            work, self._work = self._work, None
            work()
            del work  # or the last association's buffers would be kept as long as the thread
            if not self._threads.wait(self):
                return
            if not self._given.acquire(timeout=KEPT_SECONDS) and not self._threads.leave(self):
                self._given.acquire()
