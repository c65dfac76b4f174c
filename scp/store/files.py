"""Durable files: temporary in the same folder, fsync, a link that replaces nothing, fsync of the folder."""

import errno
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scp import faults
from scp.instance import Part
from scp.outcome import Failure, Outcome

FILE_MODE = 0o640  # readable by the group (the Data Factory's), never by the world
FOLDER_MODE = 0o750
TEMPORARY = ".tmp-"
BEHIND = 8 << 20  # bytes that are let gather in the page cache before the disk begins with them

_COUNT = itertools.count()
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_MANY = 512  # buffers a writev takes at once, below IOV_MAX
_PIECE = 1 << 20


class answerable:  # noqa: N801  it reads as the sentence it makes
    """Turn an OSError into the house's words: no room can pass, a failed write or fsync must never be tried again.

    A class, because every instance enters some of them and a generator takes four times as long.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise _in_words(error, self._what) from error


def _in_words(error: OSError, what: str) -> Failure:
    name = errno.errorcode.get(error.errno or 0, "unknown error")
    if error.errno in _NO_ROOM:
        return Failure(Outcome.OUT_OF_RESOURCES, f"no room for {what} ({name})")
    return Failure(Outcome.STORAGE_FAULT, f"{what} could not be made durable ({name})")


class Temporary:
    """A file of no name yet that grows part by part; `size` are the bytes it has. Raises OSError."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self.size = self._begun = 0
        self._name, self._descriptor = _created(folder)
        self._there = True

    def write(self, *parts: Part) -> None:
        """Put these behind what there is."""
        rest = [memoryview(part) for part in parts]
        start = 0
        while start < len(rest):
            written = os.writev(self._descriptor, rest[start : start + _MANY])
            self.size += written
            if self.size - self._begun > BEHIND:
                self._begin_writing(self.size)
            while start < len(rest) and written >= len(rest[start]):
                written -= len(rest[start])
                start += 1
            if written:
                rest[start] = rest[start][written:]

    def _begin_writing(self, end: int) -> None:
        """Let the disk begin with what is there, so that the fsync at the end has little left to wait for."""
        os.posix_fadvise(self._descriptor, self._begun, end - self._begun, os.POSIX_FADV_DONTNEED)
        self._begun = end

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """What was written from `start` to `end`, in pieces; raises OSError where the disk does not give it back."""
        while start < end:
            piece = os.pread(self._descriptor, min(end - start, _PIECE), start)
            if not piece:
                raise OSError(errno.EIO, "a file is shorter than it was written")
            yield piece
            start += len(piece)

    def place(self, folder: int, name: str, digest: bytes, sync: Callable[[int], None] | None = None) -> bool:
        """As the function `place` does, in a folder of the same file system."""
        os.fchmod(self._descriptor, FILE_MODE)  # whatever the umask
        faults.point("files.written")
        os.fsync(self._descriptor)
        faults.point("files.synced")
        try:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder, follow_symlinks=False)
            new = True
        except FileExistsError:
            new = False
        faults.point("files.linked")
        self.unlink()
        faults.point("files.unlinked")
        if not new:
            _adopt(folder, name, digest)
        (sync or os.fsync)(folder)
        faults.point("files.folder_synced")
        return new

    def unlink(self) -> None:
        """Take its name away; what was placed stands under the name that it was given."""
        if self._there:
            self._there = False
            with suppress(FileNotFoundError):
                os.unlink(self._name, dir_fd=self._folder)

    def close(self) -> None:
        """Let go of it, whatever became of it."""
        try:
            self.unlink()
        finally:
            os.close(self._descriptor)


Content = Sequence[Part] | Temporary
"""What a file is made of: parts in memory, or a temporary on the same file system that is written already."""


@contextmanager
def temporary(folder: int) -> Iterator[Temporary]:
    """A file that grows in the open folder and of which nothing is left unless it is placed; raises as `place`."""
    with answerable("the instance's file"):
        file = Temporary(folder)
    try:
        yield file
    finally:
        with answerable("the instance's file"):
            file.close()


def place(folder: int, name: str, content: Content, digest: bytes, sync: Callable[[int], None] | None = None) -> bool:
    """Make a file stand durably as `name` in the open folder; False if it stood there with this SHA-256.

    `sync` makes the folder's names durable, for those who share that; else it is fsynced here.

    Raises Failure CONFLICTING when the name is taken by other content, OUT_OF_RESOURCES or STORAGE_FAULT when the
    disk will not. Of what was not made durable nothing is left, unless the disk itself refuses to let go of it; the
    name then stands there unindexed and is looked at before its visit is published.
    """
    if isinstance(content, Temporary):
        with answerable("the instance's file"):
            return content.place(folder, name, digest, sync)
    with temporary(folder) as file, answerable("the instance's file"):
        file.write(*content)
        return file.place(folder, name, digest, sync)


def remove(folder: int, name: str) -> None:
    """Take a file away again that the index would not have."""
    with answerable("the removal of a file"):
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def _created(folder: int) -> tuple[str, int]:
    """A new file's name and descriptor; another container's process may have this one's number, a dead one had it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        name = f"{TEMPORARY}{os.getpid()}-{next(_COUNT)}"
        with suppress(FileExistsError):
            return name, os.open(name, flags, FILE_MODE, dir_fd=folder)


def digest_of(folder: int, name: str) -> bytes:
    """SHA-256 of a file in the open folder; raises FileNotFoundError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def make_folder(path: Path) -> None:
    """Make a folder and what is missing above it, each closed to the world whatever the umask."""
    for missing in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(FOLDER_MODE)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _adopt(folder: int, name: str, digest: bytes) -> None:
    """A file of this name stands there: ours, if a worker died between link and index; its content decides."""
    if digest_of(folder, name) != digest:
        raise Failure(Outcome.CONFLICTING, "a file of this name stands in the visit's folder with other content")
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
