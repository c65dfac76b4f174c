import errno
import hashlib
import itertools
import os
import stat
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.outcome import Failure, Outcome
from scp.store import files
from scp.store.files import answerable

PARTS = (b"head", bytearray(b"er"), memoryview(b"pixels"))
CONTENT = b"headerpixels"
DIGEST = hashlib.sha256(CONTENT).digest()


@pytest.fixture
def folder(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def failing(monkeypatch, call, code, nth=1):
    """The nth call of os.<call> fails; returns the list of calls made."""
    real, calls = getattr(os, call), []

    def fail(*args, **options):
        calls.append(args)
        if len(calls) == nth:
            raise OSError(code, os.strerror(code))
        return real(*args, **options)

    monkeypatch.setattr(files.os, call, fail)
    return calls


def test_a_file_is_the_sum_of_its_parts(folder, tmp_path):
    assert files.place(folder, "a.dcm", PARTS, DIGEST)
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT
    assert os.listdir(folder) == ["a.dcm"]
    assert files.digest_of(folder, "a.dcm") == DIGEST


def test_what_a_dead_process_of_the_same_number_left_is_in_nobodys_way(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_COUNT", itertools.count())
    left = tmp_path / f".tmp-{os.getpid()}-0"  # a container's first process has the same number each time
    left.write_bytes(b"half")
    assert files.place(folder, "a.dcm", PARTS, DIGEST)
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT
    assert left.read_bytes() == b"half"
    assert sorted(os.listdir(folder)) == [left.name, "a.dcm"]


@given(parts=st.lists(st.binary(max_size=40), max_size=1500))
def test_however_many_parts(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("many")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        files.place(descriptor, "a", parts, b"")
    finally:
        os.close(descriptor)
    assert (path / "a").read_bytes() == b"".join(parts)


def test_short_writes_are_continued(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "writev", lambda descriptor, parts: os.write(descriptor, bytes(parts[0])[:1] or b""))
    files.place(folder, "a.dcm", PARTS, DIGEST)
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


def test_modes_do_not_depend_on_the_umask(folder, tmp_path):
    before = os.umask(0o077)
    try:
        files.place(folder, "a.dcm", PARTS, DIGEST)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.dcm").stat().st_mode) == 0o640


def test_the_same_content_again_is_adopted(folder, tmp_path):
    files.place(folder, "a.dcm", PARTS, DIGEST)
    inode = (tmp_path / "a.dcm").stat().st_ino
    assert not files.place(folder, "a.dcm", PARTS, DIGEST)
    assert (tmp_path / "a.dcm").stat().st_ino == inode
    assert os.listdir(folder) == ["a.dcm"]


def test_other_content_replaces_nothing(folder, tmp_path):
    files.place(folder, "a.dcm", PARTS, DIGEST)
    with pytest.raises(Failure) as caught:
        files.place(folder, "a.dcm", [b"other"], hashlib.sha256(b"other").digest())
    assert caught.value.outcome is Outcome.CONFLICTING
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT
    assert os.listdir(folder) == ["a.dcm"]


def test_a_link_in_the_way_is_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"outside")
    (tmp_path / "a.dcm").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure) as caught:
        files.place(folder, "a.dcm", PARTS, DIGEST)
    assert caught.value.outcome is Outcome.STORAGE_FAULT
    assert (tmp_path / "elsewhere").read_bytes() == b"outside"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM])
@pytest.mark.parametrize("call", ["open", "writev", "fsync", "link"])
def test_no_room_leaves_nothing(folder, monkeypatch, call, code):
    failing(monkeypatch, call, code)
    with pytest.raises(Failure) as caught:
        files.place(folder, "a.dcm", PARTS, DIGEST)
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    assert errno.errorcode[code] in caught.value.why
    assert os.listdir(folder) == []


@pytest.mark.parametrize("call", ["open", "writev", "fsync", "link", "fchmod"])
def test_a_broken_disk_is_a_storage_fault(folder, monkeypatch, call):
    failing(monkeypatch, call, errno.EIO)
    with pytest.raises(Failure) as caught:
        files.place(folder, "a.dcm", PARTS, DIGEST)
    assert caught.value.outcome is Outcome.STORAGE_FAULT
    assert os.listdir(folder) == []


def test_an_fsync_that_failed_is_not_tried_again(folder, monkeypatch):
    calls = failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(Failure):
        files.place(folder, "a.dcm", PARTS, DIGEST)
    assert len(calls) == 1


def test_the_order_is_write_fsync_link_unlink_fsync_of_the_folder(folder, monkeypatch):
    order = []
    for call in ("writev", "fsync", "link", "unlink"):
        real = getattr(os, call)

        def record(*args, _call=call, _real=real, **options):
            order.append(f"{_call} folder" if _call == "fsync" and args[0] == folder else _call)
            return _real(*args, **options)

        monkeypatch.setattr(files.os, call, record)
    files.place(folder, "a.dcm", PARTS, DIGEST)
    assert order == ["writev", "fsync", "link", "unlink", "fsync folder"]


def test_what_is_written_is_read_back_and_gone_unless_it_is_placed(folder, tmp_path):
    with files.temporary(folder) as file:
        file.write(*PARTS)
        file.write(b" and more")
        assert file.size == len(CONTENT) + 9
        assert b"".join(file.read(4, file.size - 2)) == (CONTENT + b" and more")[4:-2]
        assert len(os.listdir(folder)) == 1
        file.unlink()
        assert os.listdir(folder) == []
        assert b"".join(file.read(0, 4)) == b"head"
    with files.temporary(folder) as file:
        file.write(CONTENT)
        assert files.place(folder, "a.dcm", file, DIGEST)
    assert os.listdir(folder) == ["a.dcm"]
    assert (tmp_path / "a.dcm").read_bytes() == CONTENT


def test_the_disk_is_told_of_each_byte_once_while_a_file_grows(folder, monkeypatch):
    told = []
    monkeypatch.setattr(files, "BEHIND", 10)
    monkeypatch.setattr(files.os, "posix_fadvise", lambda _file, at, size, _advice: told.append((at, size)))
    with files.temporary(folder) as file:
        for _ in range(5):
            file.write(b"seven b")
    assert told == [(0, 14), (14, 14)]


def test_remove_is_idempotent(folder):
    files.place(folder, "a.dcm", PARTS, DIGEST)
    files.remove(folder, "a.dcm")
    files.remove(folder, "a.dcm")
    assert os.listdir(folder) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_no_room_passes(number):
    with pytest.raises(Failure, match=r"no room for the file \(E") as found, answerable("the file"):
        raise OSError(number, "PLANTED")
    assert found.value.outcome is Outcome.OUT_OF_RESOURCES
    assert isinstance(found.value.__cause__, OSError)
    assert "PLANTED" not in found.value.why


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, None])
def test_what_a_disk_will_not_is_never_tried_again(number):
    with pytest.raises(Failure, match="the file could not be made durable") as found, answerable("the file"):
        raise OSError(number, "PLANTED") if number else OSError("PLANTED")
    assert found.value.outcome is Outcome.STORAGE_FAULT


def test_what_is_no_error_of_the_disk_stays_what_it_is():
    for error in (KeyError("x"), Failure(Outcome.CONFLICTING, "x")):
        with pytest.raises(type(error)) as found, answerable("the file"):
            raise error
        assert found.value is error
    with answerable("the file"):
        pass


def test_one_within_the_other_is_told_by_its_own_words():
    with pytest.raises(Failure, match="the inner"), answerable("the outer"), answerable("the inner"):
        raise OSError(errno.EIO, "x")
    with suppress(Failure), answerable("the outer"), answerable("the inner"):
        raise OSError(errno.EIO, "x")
    with pytest.raises(Failure, match="the outer"), answerable("the outer"):
        raise OSError(errno.EIO, "x")
