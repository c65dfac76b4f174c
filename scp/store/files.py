"""Durable files: temporary in the same folder, fsync, a link that replaces nothing, fsync of the folder."""

import errno
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scp.outcome import Failure, Outcome

FILE_MODE = 0o640  # readable by the group (the Data Factory's), never by the world
FOLDER_MODE = 0o750
TEMPORARY = ".tmp-"

_COUNT = itertools.count()
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_MANY = 512  # buffers a writev takes at once, below IOV_MAX

Buffers = Sequence[bytes | bytearray | memoryview]


@contextmanager
def answerable(what: str) -> Iterator[None]:
    """Turn an OSError into the house's words: no room can pass, a failed write or fsync must never be tried again."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        if error.errno in _NO_ROOM:
            raise Failure(Outcome.OUT_OF_RESOURCES, f"no room for {what} ({name})") from error
        raise Failure(Outcome.STORAGE_FAULT, f"{what} could not be made durable ({name})") from error


def place(folder: int, name: str, parts: Buffers, digest: bytes, sync: Callable[[int], None] | None = None) -> bool:
    """Make a file of `parts` stand durably as `name` in the open folder; False if it stood there with this SHA-256.

    `sync` makes the folder's names durable, for those who share that; else it is fsynced here.

    Raises Failure CONFLICTING when the name is taken by other content, OUT_OF_RESOURCES or STORAGE_FAULT when the
    disk will not. Of what was not made durable nothing is left, unless the disk itself refuses to let go of it; the
    name then stands there unindexed and is looked at before its visit is published.
    """
    temporary = f"{TEMPORARY}{os.getpid()}-{next(_COUNT)}"
    with answerable("the instance's file"):
        try:
            _write(folder, temporary, parts)
            try:
                os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                new = True
            except FileExistsError:
                new = False
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
        if not new:
            _adopt(folder, name, digest)
        (sync or os.fsync)(folder)
    return new


def remove(folder: int, name: str) -> None:
    """Take a file away again that the index would not have."""
    with answerable("the removal of a file"):
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        os.fsync(folder)


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


def _write(folder: int, name: str, parts: Buffers) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, FILE_MODE, dir_fd=folder)
    try:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask
        _write_all(descriptor, parts)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, parts: Buffers) -> None:
    rest = [memoryview(part) for part in parts]
    start = 0
    while start < len(rest):
        written = os.writev(descriptor, rest[start : start + _MANY])
        while start < len(rest) and written >= len(rest[start]):
            written -= len(rest[start])
            start += 1
        if written:
            rest[start] = rest[start][written:]


def _adopt(folder: int, name: str, digest: bytes) -> None:
    """A file of this name stands there: ours, if a worker died between link and index; its content decides."""
    if digest_of(folder, name) != digest:
        raise Failure(Outcome.CONFLICTING, "a file of this name stands in the visit's folder with other content")
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
