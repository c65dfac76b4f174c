"""Files that say who may come in: read at start, and again when they change, without a restart."""

import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

from scp import log

_OTHERS: Final = 0o027  # a group may read, as in a pod whose secrets belong to it; nobody else, and none may write

_Made = TypeVar("_Made")
_Stamp = tuple[int, int, int, int, int] | None
_logger = log.get("receive")


class SecretFileError(ValueError):
    """A file that decides who may come in is not as it must be; its text is one sentence for the operator."""


class Watched(Generic[_Made]):
    """What was made of some files; a change that cannot be read leaves the old in force and is told once."""

    def __init__(self, paths: Sequence[Path], make: Callable[[], _Made]) -> None:
        """Read them for the first time; raises SecretFileError as `make` does."""
        self._paths = tuple(paths)
        self._make = make
        self._lock = threading.Lock()
        self._stamps = self._look()
        self._told: tuple[_Stamp, ...] | None = None
        self._made = make()

    def get(self) -> _Made:
        """What the files say now."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._renew(stamps)
            return self._made

    def _renew(self, stamps: tuple[_Stamp, ...]) -> None:
        """What is refused is looked at again with each question: it may be the disk or a lack of descriptors only."""
        names = [path.name for path in self._paths]
        try:
            self._made = self._make()
        except SecretFileError as error:
            if stamps != self._told:
                self._told = stamps
                _logger.error("files_refused", file=" ".join(names), why=str(error))
        else:
            self._stamps, self._told = stamps, None
            _logger.info("files_renewed", file=" ".join(names))

    def _look(self) -> tuple[_Stamp, ...]:
        return tuple(_stamp(path) for path in self._paths)


def secret(path: Path) -> str:
    """The text of a file that is kept from others; raises SecretFileError."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("utf-8")
    except OSError as error:
        raise SecretFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretFileError(f"{path}: is not UTF-8 text") from None
    if mode & _OTHERS:
        raise SecretFileError(f"{path}: others can read or change it (mode {mode:04o}); make it 0400 or 0440")
    return text


def _stamp(path: Path) -> _Stamp:
    """With its mode and when that or its owner changed last: a file that was refused for them waits for that."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_ino, found.st_size
