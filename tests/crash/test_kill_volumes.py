"""kill -9 while a volume is taken: afterwards it stands once and whole, and what was marked held all of it."""

import os
import signal
from dataclasses import replace
from datetime import date

import armed
import pytest
from niftis import volume
from placing import SIDECAR, house, leftovers, sent, stored, tree

from scp.db.volumes import Volumes
from scp.outcome import Outcome

SENT = sent(volume(), json=SIDECAR, bval=b"0\n")
FILES = 4  # three and the marker
POINTS = ("files.written", "files.synced", "files.linked", "files.unlinked", "files.folder_synced")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("hit", [1, 2, 3])
def test_at_any_file(tmp_path, point, hit):
    walk = killed(tmp_path, lambda: armed.arm(point, hit=hit))
    assert not any(path.endswith(".ready") for path in tree(walk))
    taken_again(walk)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("method", ["claim", "placed"])
def test_at_any_row(tmp_path, method, behind):
    true = getattr(Volumes, method)

    def dying(*arguments):
        if behind:
            true(*arguments)
        armed.die()

    walk = killed(tmp_path, lambda: setattr(Volumes, method, dying))
    assert len(tree(walk)) == (0 if method == "claim" else FILES)
    taken_again(walk)


def test_a_disk_that_fails_answers_so_and_the_next_one_finds_the_place(tmp_path):
    walk = house(tmp_path)
    armed.arm("files.linked", armed.fail(5))
    try:
        assert walk.take(sent(volume())) is Outcome.STORAGE_FAULT
    finally:
        armed.disarm()
    assert not any(path.endswith(".ready") for path in tree(walk))
    assert walk.take(sent(volume())) is Outcome.STORED
    assert len(stored(walk, ".nii")) == len(stored(walk, ".ready")) == 1


def killed(folder, arm):
    """What a child leaves that is killed on its way; another process's connections are its own."""
    house(folder)
    child = os.fork()
    if not child:
        walk = house(folder)
        arm()
        walk.take(SENT)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return replace(house(folder), today=lambda: date(2026, 11, 22))


def taken_again(walk):
    """On the next day, twice."""
    assert not leftovers(walk)
    assert walk.take(SENT) in {Outcome.STORED, Outcome.UNCHANGED}
    assert len(tree(walk)) == FILES
    assert len(stored(walk, ".nii")) == walk.volumes.count() == 1
    assert walk.take(SENT) is Outcome.UNCHANGED
