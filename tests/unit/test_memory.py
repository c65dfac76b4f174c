"""Nothing of a node's memory gets out: asked of processes of their own, since it cannot be undone."""

import ctypes
import os
import resource
import signal
import subprocess
import sys

import pytest

from scp import memory

_PR_GET_DUMPABLE = 3


def within(work):
    """Exit code of a forked process that does this."""
    pid = os.fork()
    if not pid:
        code = 99
        try:
            code = int(work() or 0)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def dumpable():
    return ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)


def test_it_is_not_dumpable_and_leaves_no_core():
    def work():
        memory.close()
        return dumpable() or any(resource.getrlimit(resource.RLIMIT_CORE))

    assert within(work) == 0
    assert dumpable() == 1


def test_it_holds_for_children():
    def work():
        memory.close()
        return within(lambda: dumpable() or any(resource.getrlimit(resource.RLIMIT_CORE)))

    assert within(work) == 0


def test_it_cannot_be_opened_again_by_a_limit():
    def work():
        memory.close()
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        finally:
            pass
        return resource.getrlimit(resource.RLIMIT_CORE) != (0, 0)

    assert within(work) == 0


def test_a_crash_leaves_no_file(tmp_path):
    script = (
        "import os, signal; from scp import memory; memory.close();"
        f"os.chdir({str(tmp_path)!r}); os.kill(os.getpid(), signal.SIGABRT)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGABRT
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_will_not_is_told(monkeypatch):
    class Refusing:
        @staticmethod
        def prctl(*_args):
            return -1

    monkeypatch.setattr(memory, "_LIBC", Refusing)
    monkeypatch.setattr(memory.resource, "setrlimit", lambda *_: None)
    with pytest.raises(OSError, match="Errno"):
        memory.close()
