import errno
import os
import stat
import subprocess
import sys
import threading
from unittest.mock import Mock

import pytest
from running import descriptors

from scp.outcome import Failure, Outcome
from scp.store import staging as module
from scp.store.staging import Staging


@pytest.fixture
def staging(tmp_path):
    staging = Staging(tmp_path / "export")
    staging.prepare()
    return staging


def test_prepare_removes_only_what_was_half_written(staging):
    with staging.adding("7-1") as folder:
        for name in (".tmp-99-0", "7.dcm"):
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    staging.prepare()
    assert os.listdir(staging.root / "7-1") == ["7.dcm"]


def test_the_folder_is_made_once_and_closed_to_the_world(staging):
    with staging.adding("7-1"), staging.adding("7-1"):
        pass
    assert stat.S_IMODE((staging.root / "7-1").stat().st_mode) == 0o750


def test_a_folder_found_before_its_maker_synced_its_name_is_synced_by_who_found_it(staging, monkeypatch):
    """Else what is stored in it could be acknowledged, and gone with the whole folder after a power cut."""
    synced = []
    monkeypatch.setattr(module, "sync_folder", synced.append)
    (staging.root / "100000000000-1").mkdir(0o700)  # its maker is between the two calls, or died there
    with staging.adding("100000000000-1"):
        assert synced == [staging.root]
    with staging.adding("100000000000-1"):
        assert synced == [staging.root]  # once is enough, for whoever comes next
    with staging.adding("100000000000-2"):
        assert synced == [staging.root] * 2
    assert stat.S_IMODE((staging.root / "100000000000-1").stat().st_mode) == 0o750


def test_a_folder_whose_name_cannot_be_made_durable_takes_nothing(staging, monkeypatch):
    def fail(_path):
        raise OSError(errno.EIO, "made up")

    before = descriptors()
    monkeypatch.setattr(module, "sync_folder", fail)
    for _ in range(2):  # the second one finds the folder, and it is no better
        with pytest.raises(Failure) as caught, staging.adding("100000000000-1"):
            pytest.fail("it was opened")
        assert caught.value.outcome is Outcome.STORAGE_FAULT
    assert descriptors() == before


def test_nobody_publishes_while_somebody_adds(staging):
    with staging.adding("7-1"), staging.publishing("7-1") as folder:
        assert folder is None
    with staging.publishing("7-1") as folder:
        assert folder is not None


def test_there_is_nothing_to_publish_where_there_is_no_folder(staging):
    with staging.publishing("7-1") as folder:
        assert folder is None


def test_descriptors_are_given_back(staging):
    before = descriptors()
    for _ in range(20):
        with staging.adding("7-1"):
            pass
        with staging.publishing("7-1"):
            pass
        with staging.alone():
            pass
    assert descriptors() <= before


def test_a_killed_worker_holds_no_lock(staging):
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom scp.store.staging import Staging\n"
        "with Staging(Path(sys.argv[1])).adding('7-1'):\n    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(staging.root.parent)], check=False)
    assert done.returncode == -9
    with staging.publishing("7-1") as folder:
        assert folder is not None


def test_leave_removes_only_an_empty_folder(staging):
    with staging.adding("7-1"), staging.adding("7-2") as kept:
        os.close(os.open("a", os.O_CREAT | os.O_WRONLY, dir_fd=kept))
    for folder in ("7-1", "7-2", "7-3"):
        staging.leave(folder)
    assert [path.name for path in staging.root.iterdir()] == ["7-2"]


def test_a_disk_that_refuses_is_a_failure(staging, monkeypatch):
    staging.root.rmdir()
    staging.root.write_bytes(b"")
    with pytest.raises(Failure) as caught, staging.adding("7-1"):
        pass
    assert caught.value.outcome is Outcome.STORAGE_FAULT


def test_whoever_waits_for_the_publishing_lock_says_so(staging, monkeypatch):
    said, logger = threading.Event(), Mock(info=lambda _event: said.set())
    monkeypatch.setattr(module, "_logger", logger)

    def publish():
        with staging.alone():
            pass

    publish()
    assert not said.is_set(), "nobody held it"
    waiting = threading.Thread(target=publish)
    with staging.alone():
        waiting.start()
        assert said.wait(60)
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()
