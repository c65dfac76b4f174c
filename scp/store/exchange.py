"""A folder in the place of another in one step, so that whoever reads there finds the one or the other."""

import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import Final

_RENAME: Final = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # renameat2(2); glibc 2.28
_HERE: Final = -100  # AT_FDCWD
_EXCHANGE: Final = 2  # RENAME_EXCHANGE
_CANNOT: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})


def show(made: Path, place: Path) -> None:
    """Let what was made stand at `place`, on the same file system; what stood there stands where it was made.

    Where the file system cannot exchange (NFS, some of FUSE) neither stands there for a moment, and a process that is
    killed in that moment leaves it so. Raises OSError.
    """
    if not place.exists():
        made.rename(place)
    elif not _exchanged(made, place):
        aside = made.with_name(f"{made.name}.old")
        shutil.rmtree(aside, ignore_errors=True)  # left by one that was killed
        place.rename(aside)
        made.rename(place)
        aside.rename(made)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names were exchanged; False where the system or the file system has no such thing."""
    if _RENAME is None:
        return False
    if not _RENAME(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code))
