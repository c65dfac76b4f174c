"""Walks in other processes than the node's own, an import's, and what must not meet them.

An import holds the first lock, shared, from its first file to its last, so that an operator's command that changes keys
or databases waits for its end; and the second one, shared, for each instance, so that a start that puts right what a
crash left never takes a file under way for a left one. The locks are the kernel's: a process that dies holds none.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_IMPORTS: Final = "imports.lock"
_INSTANCES: Final = "walks.lock"
_EXPIRING: Final = "retention.lock"


class Busy(Exception):  # noqa: N818  no error: somebody else is at it
    """The lock is somebody else's now."""


@contextmanager
def importing(state: Path) -> Iterator[None]:
    """Held by each import from its first file to its last; raises Busy while `no_import` holds."""
    with _held(state / _IMPORTS, fcntl.LOCK_SH | fcntl.LOCK_NB):
        yield


@contextmanager
def no_import(state: Path) -> Iterator[None]:
    """Nobody imports meanwhile; raises Busy while somebody does."""
    with _held(state / _IMPORTS, fcntl.LOCK_EX | fcntl.LOCK_NB):
        yield


@contextmanager
def instance(state: Path) -> Iterator[None]:
    """Held by an import while one instance is on its way; waits while `no_instance` holds."""
    with _held(state / _INSTANCES, fcntl.LOCK_SH):
        yield


@contextmanager
def no_instance(state: Path) -> Iterator[None]:
    """No import has an instance on its way; waits until those that have are done with theirs."""
    with _held(state / _INSTANCES, fcntl.LOCK_EX):
        yield


@contextmanager
def expiring(state: Path) -> Iterator[None]:
    """Held by whoever takes away what has been kept long enough; raises Busy while another one does."""
    with _held(state / _EXPIRING, fcntl.LOCK_EX | fcntl.LOCK_NB):
        yield


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            raise Busy from None
        yield
    finally:
        os.close(descriptor)
