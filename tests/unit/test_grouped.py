import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from scp.store import grouped
from scp.store.grouped import GroupedSync


@pytest.fixture
def folder(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


class Disk:
    """An fsync that waits for `go` and writes down when it began; `fails` are the calls that fail."""

    def __init__(self, fails=()):
        self.begun, self.go, self.calls, self.fails = threading.Semaphore(0), threading.Semaphore(0), [], fails

    def __call__(self, descriptor):
        self.calls.append(descriptor)
        number = len(self.calls)
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if number in self.fails:
            raise OSError(errno.EIO, "broken")


@pytest.fixture
def disk(monkeypatch):
    disk = Disk()
    monkeypatch.setattr(grouped.os, "fsync", disk)
    return disk


def users(sync, count):
    """Wait until so many callers are inside."""
    while sum(rounds.users for rounds in list(sync._folders.values())) < count:
        pass


def test_one_alone_calls_it_once_and_leaves_nothing(folder, monkeypatch):
    calls = []
    monkeypatch.setattr(grouped.os, "fsync", calls.append)
    sync = GroupedSync()
    sync(folder)
    sync(folder)
    assert calls == [folder, folder]
    assert sync._folders == {}


def test_who_comes_while_one_runs_shares_the_next(folder, disk):
    sync = GroupedSync()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(sync, folder)
        assert disk.begun.acquire(timeout=10)
        others = [pool.submit(sync, folder) for _ in range(7)]
        users(sync, 8)
        disk.go.release()
        first.result(timeout=10)
        assert disk.begun.acquire(timeout=10)
        assert not any(other.done() for other in others)  # what began before they came is not theirs
        disk.go.release()
        for other in others:
            other.result(timeout=10)
    assert len(disk.calls) == 2
    assert sync._folders == {}


def test_folders_do_not_wait_for_each_other(folder, disk, tmp_path):
    (tmp_path / "other").mkdir()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    sync = GroupedSync()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(sync, folder), pool.submit(sync, other)]
        assert disk.begun.acquire(timeout=10)
        assert disk.begun.acquire(timeout=10)
        disk.go.release(2)
        for one in asked:
            one.result(timeout=10)
    os.close(other)
    assert sorted(disk.calls) == sorted([folder, other])


def test_two_descriptors_of_one_folder_are_one_folder(folder, disk):
    again = os.dup(folder)
    sync = GroupedSync()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(sync, folder)]
        assert disk.begun.acquire(timeout=10)
        asked += [pool.submit(sync, again), pool.submit(sync, folder)]
        users(sync, 3)
        disk.go.release(2)
        for one in asked:
            one.result(timeout=10)
    os.close(again)
    assert len(disk.calls) == 2


def test_a_failure_is_told_to_all_it_was_for_and_not_tried_again(folder, disk):
    disk.fails = (2,)
    sync = GroupedSync()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(sync, folder)
        assert disk.begun.acquire(timeout=10)
        others = [pool.submit(sync, folder) for _ in range(3)]
        users(sync, 4)
        disk.go.release(2)
        first.result(timeout=10)
        for other in others:
            with pytest.raises(OSError, match="fsync of the folder") as caught:
                other.result(timeout=10)
            assert caught.value.errno == errno.EIO
    assert len(disk.calls) == 2
    assert sync._folders == {}


def test_many_threads_end(folder):
    sync = GroupedSync()
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(sync, [folder] * 200)) == [None] * 200
    assert sync._folders == {}
