"""Calls of the operating system that fail, the k-th of a walk; and a small disk that can be full."""

import errno
import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

CALLS = ("open", "writev", "fsync", "link", "unlink", "fchmod", "close", "mkdir", "fstat", "pread", "posix_fadvise")
HELPERS = ("arriving", "writing")  # of a walk whose pixels are still coming
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENOMEM)


class Failing:
    """Counts what a thread and its helpers ask of the operating system, and lets the k-th fail; 0 lets none fail."""

    def __init__(self, kth: int, number: int) -> None:
        self.kth, self.number = kth, number
        self.asked: list[str] = []

    @property
    def fired(self) -> bool:
        """Whether there was a k-th."""
        return 0 < self.kth <= len(self.asked)

    def _around(self, name, real, thread):
        def call(*args, **options):
            if threading.get_ident() != thread and not threading.current_thread().name.startswith(HELPERS):
                return real(*args, **options)
            self.asked.append(name)
            if len(self.asked) == self.kth:
                if name == "close":
                    real(*args, **options)  # as Linux does: the descriptor is gone whatever close says
                raise OSError(self.number, os.strerror(self.number))
            return real(*args, **options)

        return call


@contextmanager
def failing(kth: int, number: int = errno.EIO):
    """The calls of this thread and its helpers, for a while."""
    failing, thread = Failing(kth, number), threading.get_ident()
    before = {name: getattr(os, name) for name in CALLS}
    for name, real in before.items():
        setattr(os, name, failing._around(name, real, thread))
    try:
        yield failing
    finally:
        for name, real in before.items():
            setattr(os, name, real)


@contextmanager
def small_disk(folder: Path, size: str):
    """A tmpfs of so much room; needs root."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path, leave: int = 0) -> None:
    """Write until the disk is full, then give so many bytes back."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        file.truncate(max(file.tell() - leave, 0))
