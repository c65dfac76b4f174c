"""A file that goes past the page cache: the same bytes whatever the pieces and the file system, and no second try."""

import ctypes
import errno
import fcntl
import hashlib
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import wait

from scp.outcome import Failure, Outcome
from scp.store import direct, files

PIECE, BLOCK = 1 << 14, 1 << 12
CONTENT = os.urandom(5 * PIECE + 77)
DIGEST = hashlib.sha256(CONTENT).digest()
SIZES = st.sampled_from([0, 1, 511, 512, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 7 * PIECE + 5])
each_example_alike = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Pieces and blocks as small as O_DIRECT takes them on nearly all disks."""
    monkeypatch.setattr(direct, "_PIECE", PIECE)
    monkeypatch.setattr(direct, "_BLOCK", BLOCK)


@pytest.fixture
def folder(tmp_path):
    """The open folder; whatever became of the file, nobody is left who writes it, and nothing that it was open as."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    yield descriptor
    assert [thread for thread in threading.enumerate() if thread.name.startswith("writing")] == []
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(descriptor)


def cut(content, sizes):
    at, parts = 0, []
    for size in (*sizes, len(content)):
        parts.append(content[at : at + size])
        at += size
    return parts


def is_direct(descriptor):
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)


def knows_it(folder):
    """Whether the file system below has O_DIRECT."""
    descriptor = os.open(".", os.O_RDWR | os.O_TMPFILE, dir_fd=folder)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def watched(monkeypatch, do=lambda _nth, real, descriptor, parts: real(descriptor, parts)):
    """Each writev as (whether it goes past the cache, its bytes), done by `do`."""
    real, calls = os.writev, []

    def writev(descriptor, parts):
        (part,) = parts
        calls.append((is_direct(descriptor), len(part)))
        return do(len(calls), real, descriptor, parts)

    monkeypatch.setattr(direct.os, "writev", writev)
    return calls


def fails(nth, code):
    def do(number, real, descriptor, parts):
        if number == nth:
            raise OSError(code, os.strerror(code))
        return real(descriptor, parts)

    return do


@each_example_alike
@given(sizes=st.lists(SIZES, max_size=8), tail=st.integers(0, 2 * PIECE), looks=st.lists(st.integers(0, 9), max_size=3))
def test_the_file_is_the_sum_of_its_parts_whenever_it_is_read(folder, tmp_path, sizes, tail, looks):
    content = CONTENT * 2
    parts = cut(content[: sum(sizes) + tail], sizes)
    given_ = b""
    with direct.growing(folder) as file:
        for number, part in enumerate(parts):
            file.write(part[:3], memoryview(bytearray(part[3:])))
            given_ += part
            assert file.size == len(given_)
            if number in looks:
                start = len(given_) // 3
                assert b"".join(file.read(start, file.size)) == given_[start:]
        assert files.place(folder, "a.dcm", file, hashlib.sha256(given_).digest())
    assert os.listdir(folder) == ["a.dcm"]
    assert (tmp_path / "a.dcm").read_bytes() == given_ == content[: len(given_)]
    (tmp_path / "a.dcm").unlink()


def test_only_whole_pieces_at_their_places_go_past_the_cache(folder, tmp_path, monkeypatch):
    aligned = []

    def look(_nth, real, descriptor, parts):
        address = ctypes.addressof(ctypes.c_char.from_buffer(parts[0]))
        aligned.append((address % BLOCK, os.lseek(descriptor, 0, os.SEEK_CUR) % PIECE))
        return real(descriptor, parts)

    calls = watched(monkeypatch, look)
    with direct.growing(folder) as file:
        for part in cut(CONTENT, [10, PIECE, 3, 2 * PIECE]):
            file.write(part)
        files.place(folder, "a.dcm", file, DIGEST)
    assert calls == [(knows_it(folder), PIECE)] * 5 + [(False, 77)]
    assert aligned == [(0, 0)] * 6
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("rest", [0, 1, BLOCK - 1])
def test_of_the_last_bytes_only_less_than_a_block_goes_through_the_cache(folder, tmp_path, monkeypatch, blocks, rest):
    content = CONTENT[: PIECE + blocks * BLOCK + rest]
    calls = watched(monkeypatch)
    with direct.growing(folder) as file:
        file.write(content)
        files.place(folder, "a.dcm", file, b"")
    past = knows_it(folder)
    assert calls == [(past, PIECE), (past, blocks * BLOCK), (False, rest)][: 2 + bool(rest)]
    assert (tmp_path / "a.dcm").read_bytes() == content


def test_the_file_is_synced_once_all_of_it_is_written(folder, monkeypatch):
    order = []
    calls = watched(monkeypatch)
    real = os.fsync
    monkeypatch.setattr(direct.os, "fsync", lambda descriptor: (order.append(len(calls)), real(descriptor)))
    with direct.growing(folder) as file:
        file.write(CONTENT)
        files.place(folder, "a.dcm", file, DIGEST)
    assert order == [6, 6]  # the file, then the folder


def test_a_file_system_without_it_gets_the_same_file(folder, tmp_path, monkeypatch):
    told = []

    def refuse(descriptor, command, *flags):
        if command == fcntl.F_SETFL:
            raise OSError(errno.EINVAL, "Invalid argument")
        return fcntl.fcntl(descriptor, command, *flags)

    monkeypatch.setattr(direct, "fcntl", refuse)
    monkeypatch.setattr(direct, "BEHIND", PIECE)
    monkeypatch.setattr(direct.os, "posix_fadvise", lambda _file, at, size, _advice: told.append((at, size)))
    calls = watched(monkeypatch)
    with direct.growing(folder) as file:
        file.write(CONTENT)
        files.place(folder, "a.dcm", file, DIGEST)
    assert calls == [(False, PIECE)] * 5 + [(False, 77)]
    assert told == [(0, 2 * PIECE), (2 * PIECE, 2 * PIECE), (4 * PIECE, PIECE + 77)]
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


def forced(monkeypatch):
    """As if the flag were taken, whatever the file system."""
    monkeypatch.setattr(direct, "fcntl", lambda *_args: 0)


def test_one_that_takes_the_flag_and_no_write_gets_the_same_file(folder, tmp_path, monkeypatch):
    forced(monkeypatch)
    calls = watched(monkeypatch, fails(1, errno.EINVAL))
    with direct.growing(folder) as file:
        file.write(CONTENT)
        files.place(folder, "a.dcm", file, DIGEST)
    assert [size for _, size in calls] == [PIECE, *[PIECE] * 5, 77]
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


@pytest.mark.parametrize("taken", [1, 512, PIECE - 1])
@pytest.mark.parametrize("nth", [1, 3])
def test_a_short_write_goes_on_through_the_cache(folder, tmp_path, monkeypatch, nth, taken):
    flags = []
    monkeypatch.setattr(direct, "fcntl", lambda *args: flags.append(args[1:]) or 0)

    def short(number, real, descriptor, parts):
        return real(descriptor, [parts[0][:taken]] if number == nth else parts)

    calls = watched(monkeypatch, short)
    with direct.growing(folder) as file:
        file.write(CONTENT)
        files.place(folder, "a.dcm", file, DIGEST)
    assert [size for _, size in calls] == [*[PIECE] * nth, PIECE - taken, *[PIECE] * (5 - nth), 77]
    assert flags == [(fcntl.F_GETFL,), (fcntl.F_SETFL, os.O_DIRECT), (fcntl.F_GETFL,), (fcntl.F_SETFL, 0)]
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


def _whole(file):
    file.write(CONTENT)
    file.settle()


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (errno.ENOSPC, Outcome.OUT_OF_RESOURCES),
        (errno.EDQUOT, Outcome.OUT_OF_RESOURCES),
        (errno.EIO, Outcome.STORAGE_FAULT),
        (errno.EINVAL, Outcome.STORAGE_FAULT),
    ],
)
@pytest.mark.parametrize("nth", [2, 5, 6])
def test_what_fails_in_the_thread_is_heard_and_never_tried_again(folder, monkeypatch, nth, code, outcome):
    calls = watched(monkeypatch, fails(nth, code))
    with direct.growing(folder) as file:
        with pytest.raises(OSError, match=os.strerror(code)):
            _whole(file)
        for again in (lambda: file.write(b"more"), file.settle, lambda: list(file.read(0, 1))):
            with pytest.raises(OSError, match=os.strerror(code)):
                again()
        with pytest.raises(Failure) as caught:
            files.place(folder, "a.dcm", file, DIGEST)
        assert caught.value.outcome is outcome
    assert len(calls) == nth
    assert os.listdir(folder) == []


def test_an_fsync_that_fails_is_not_tried_again(folder, monkeypatch):
    tried = []

    def fsync(descriptor):
        tried.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(direct.os, "fsync", fsync)
    with direct.growing(folder) as file:
        file.write(CONTENT)
        with pytest.raises(Failure) as caught:
            files.place(folder, "a.dcm", file, DIGEST)
    assert caught.value.outcome is Outcome.STORAGE_FAULT
    assert len(tried) == 1
    assert os.listdir(folder) == []


@pytest.fixture
def stuck(monkeypatch):
    """A disk that does nothing until it is let go; with the writes that it was asked for."""
    go = threading.Event()

    def hold(_nth, real, descriptor, parts):
        assert go.wait(60)
        return real(descriptor, parts)

    yield watched(monkeypatch, hold), go
    go.set()


def test_a_slow_disk_stops_who_gives(folder, tmp_path, stuck):
    calls, go = stuck
    with direct.growing(folder) as file:
        giving = threading.Thread(target=lambda: [file.write(part) for part in cut(CONTENT, [PIECE] * 5)])
        giving.start()
        wait(lambda: calls, "the disk has the first piece")
        wait(lambda: file.size == 2 * PIECE, "two are given, and the third is held back")
        giving.join(0.05)
        assert giving.is_alive()
        assert (file.size, len(calls)) == (2 * PIECE, 1)
        go.set()
        giving.join()
        files.place(folder, "a.dcm", file, DIGEST)
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


def test_an_end_in_the_middle_waits_for_what_is_being_written_and_for_nothing_else(folder, stuck):
    calls, go = stuck
    with direct.growing(folder) as file:
        file.write(CONTENT[: 2 * PIECE])
        wait(lambda: calls, "the disk has the first piece")
        threading.Timer(0.05, go.set).start()
    assert len(calls) == 1
    assert os.listdir(folder) == []


def test_nobody_writes_before_there_is_a_piece(folder):
    with direct.growing(folder) as file:
        file.write(CONTENT[: PIECE - 1])
        assert [thread for thread in threading.enumerate() if thread.name.startswith("writing")] == []
        file.write(b"!")
        assert [thread for thread in threading.enumerate() if thread.name.startswith("writing")] != []


def test_without_memory_for_its_buffers_there_is_no_file(folder, monkeypatch):
    def none(*_args):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(direct.mmap, "mmap", none)
    with pytest.raises(Failure) as caught, direct.growing(folder):
        raise AssertionError("there is none")
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    assert os.listdir(folder) == []


def test_without_a_thread_for_it_nothing_is_left(folder, monkeypatch):
    def none(_thread):
        raise RuntimeError("can't start new thread")

    with direct.growing(folder) as file:
        file.write(CONTENT[: PIECE - 1])
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none)
            with pytest.raises(RuntimeError):
                file.write(b"!")
    assert os.listdir(folder) == []
