"""fsync of folders for many threads: one that begins after my link makes my name durable, whoever called it."""

import os
import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Rounds:
    """The fsyncs of one folder, counted: at most one runs at a time."""

    begun: int = 0
    ended: int = 0
    running: bool = False
    users: int = 0
    failed: dict[int, OSError] = field(default_factory=dict)


class GroupedSync:
    """Makes the names in a folder durable; threads that ask while one fsync runs share the next, without any timer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._folders: dict[tuple[int, int], _Rounds] = {}

    def __call__(self, folder: int) -> None:
        """Return when an fsync that began after this call has ended; raises its OSError in everyone it was for."""
        status = os.fstat(folder)
        key = status.st_dev, status.st_ino
        with self._changed:
            rounds = self._folders.setdefault(key, _Rounds())
            rounds.users += 1
            mine = rounds.begun + 1  # the one that runs now may have begun before my link
            try:
                while rounds.ended < mine:
                    if rounds.running:
                        self._changed.wait()
                    else:
                        self._run(rounds, folder)
                if error := rounds.failed.get(mine):
                    raise OSError(error.errno, "fsync of the folder") from error
            finally:
                rounds.users -= 1
                if not rounds.users:
                    del self._folders[key]

    def _run(self, rounds: _Rounds, folder: int) -> None:
        rounds.begun += 1
        rounds.running = True
        self._changed.release()
        error = None
        try:
            os.fsync(folder)
        except OSError as failed:
            error = failed
        finally:
            self._changed.acquire()
            rounds.running = False
            if error is not None:
                rounds.failed[rounds.begun] = error
            rounds.ended = rounds.begun
            self._changed.notify_all()
