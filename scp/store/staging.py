"""The staging folders: where a visit's files gather, invisible to the Data Factory, until the steward publishes them.

Workers hold a folder's shared lock while they add to it, the steward its exclusive lock while it publishes. The locks
are the kernel's, so a process that dies holds none.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from scp import log
from scp.store.direct import Growing, growing
from scp.store.files import FOLDER_MODE, TEMPORARY, Temporary, answerable, make_folder, sync_folder, temporary
from scp.store.grouped import GroupedSync

STAGING = ".tmp"
MARK = ".node"
"""Whose export folder it is (scp/store/belonging.py)."""
LOCK = ".publishing"
_UNNAMED = 0o700
"""The mode of a folder whose own name nobody has made durable yet."""

_logger = log.get("store")

_Made = TypeVar("_Made", bound=Temporary)


class Staging:
    """The folder `.tmp` below the export root: the same file system, a name that the Data Factory's scanners skip."""

    def __init__(self, export: Path) -> None:
        self.root = export / STAGING
        self.work = self.root / "exports"  # the exporter's: no file in it is an instance
        self.expired = self.root / "expired"  # what retention took away, until it is removed
        self.sync = GroupedSync()

    def prepare(self) -> None:
        """Make the folder and remove what dead workers left half written; call it when no worker runs."""
        make_folder(self.root)
        for pattern in (f"{TEMPORARY}*", f"*/{TEMPORARY}*"):
            for left in self.root.glob(pattern):
                left.unlink()
        sync_folder(self.root.parent)

    @contextmanager
    def arriving(self) -> Iterator[Temporary]:
        """A file that is written while its instance arrives.

        It belongs to no visit's folder yet: no delivery is opened for what turns out to be known already, and no lock
        is held for as long as a slow sender likes.
        """
        with self._in_root(temporary) as file:
            yield file

    @contextmanager
    def growing(self) -> Iterator[Growing]:
        """The same for a large one, that a thread of its own writes."""
        with self._in_root(growing) as file:
            yield file

    @contextmanager
    def _in_root(self, opened: Callable[[int], AbstractContextManager[_Made]]) -> Iterator[_Made]:
        with answerable("the staging folder"):
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with opened(descriptor) as file:
                yield file
        finally:
            with answerable("the staging folder"):
                os.close(descriptor)

    @contextmanager
    def adding(self, folder: str) -> Iterator[int]:
        """The open folder under its shared lock, made if missing; ask the index whether it still receives."""
        with answerable("the visit's staging folder"):
            descriptor = self._open(folder)
        try:
            with answerable("the visit's staging folder"):
                self._name(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield descriptor
        finally:
            with answerable("the visit's staging folder"):
                os.close(descriptor)

    @staticmethod
    def is_alone(folder: int) -> bool:
        """Whether nobody else adds to this folder, nor may until it is closed; if not, its shared lock is gone."""
        with answerable("the visit's staging folder"):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    @contextmanager
    def publishing(self, folder: str) -> Iterator[int | None]:
        """The open folder under its exclusive lock; None while a worker is adding to it or when there is none."""
        with answerable("the visit's staging folder"):
            try:
                descriptor = os.open(self.root / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                descriptor = -1
        if descriptor < 0:
            yield None
            return
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits until no other process publishes: the steward's and an operator's must not move the same folder."""
        with answerable("the publishing lock"):
            descriptor = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _logger.info("publishing_waits")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def leave(self, folder: str) -> None:
        """Remove a folder that was made in vain, because its delivery was published in the meantime."""
        with suppress(OSError):
            (self.root / folder).rmdir()

    def _open(self, folder: str) -> int:
        path = f"{self.root}/{folder}"
        while True:
            try:
                return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    (self.root / folder).mkdir(_UNNAMED)

    def _name(self, folder: int) -> None:
        """Make the folder's own name durable; its mode says that it is, also of one that another process has made."""
        if os.fstat(folder).st_mode & 0o777 != FOLDER_MODE:
            sync_folder(self.root)
            os.fchmod(folder, FOLDER_MODE)
