"""Published folders while somebody reads them or takes them away: the kernel's locks, which a rename carries along."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scp.store.files import answerable
from scp.walks import Busy


@contextmanager
def shared(folder: Path) -> Iterator[bool]:
    """Nobody takes the folder away meanwhile; whether it stands there, once whoever was at it is done."""
    descriptor = _open(folder)
    if descriptor is None:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield _stands(folder, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def waiting(folder: Path) -> Iterator[None]:
    """Nobody else who asks so holds the folder meanwhile; waits for those who do. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Nobody else holds the folder meanwhile; whether it stands there. Raises Busy while somebody does."""
    descriptor = _open(folder)
    if descriptor is None:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy from None
        yield _stands(folder, descriptor)
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int | None:
    with answerable("a folder"), suppress(FileNotFoundError):
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    return None


def _stands(folder: Path, descriptor: int) -> bool:
    """Whether the lock is on what stands there now: it may have been renamed before the lock was had."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
