"""What keys and patients leave in this process's memory stays there: no core file, and no other process looks in."""

import ctypes
import os
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def close() -> None:
    """Close it for good, also in every process forked from here; raises OSError where the kernel will not.

    A process that is not dumpable writes no core file even into a pipe (core(5)), which RLIMIT_CORE alone does not
    prevent, and only root may trace it or read /proc/<pid>/mem.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
