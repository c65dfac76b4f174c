"""What an outsider may know of a node: what it holds, and why it would take nothing more."""

import fcntl
import os

import pytest
from running import wait

from scp import build
from scp.config import Config
from scp.glance import closed, free_bytes, look
from scp.outcome import Failure, Outcome
from scp.state import State


@pytest.fixture
def config(tmp_path):
    config = Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1)
    os.close(build.prepare(config).lock)
    return config


def test_a_new_node_holds_nothing_in_any_state(config):
    glance = look(config)
    assert glance.visits() == glance.quarantined() == {}
    assert glance.visits_in_every_state() == dict.fromkeys((state.label for state in State), 0)
    assert glance.quarantine_bytes() == 0
    assert glance.troubles() == []


def test_it_is_closed_while_a_disk_is_filled_up_or_does_not_answer(config, tmp_path):
    room = free_bytes(config)
    assert sorted(room) == ["export", "state"]
    assert all(left > 0 for left in room.values())
    assert closed(config) == ""
    assert closed(config.model_copy(update={"min_free_bytes": 2**60})) == "the disk is filled up to min_free_bytes"
    gone = config.model_copy(update={"export": tmp_path / "gone"})
    assert closed(gone) == "a disk does not say how much room it has"


def test_it_is_closed_while_a_disk_can_only_be_read(config, monkeypatch):
    real = os.statvfs

    def read_only(path):
        fields = list(real(path))
        fields[8] |= os.ST_RDONLY  # f_flag
        return os.statvfs_result(fields)

    for folder in (config.export, config.state):
        monkeypatch.setattr(os, "statvfs", lambda path, folder=folder: (read_only if path == folder else real)(path))
        assert closed(config) == "a disk can only be read"
        assert look(config).troubles() == ["a disk can only be read"]


@pytest.mark.parametrize("name", ["index", "linkage"])
def test_a_database_in_which_no_writer_has_a_turn_is_a_trouble(config, name):
    glance = look(config)
    assert glance.troubles(60.0) == []
    descriptor = os.open(config.state / f"{name}.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert glance.troubles(0.0) == [], "it may come yet"
    (turn,) = [turn for turn in glance.turns if turn.name == name]
    turn._seconds = 0.0
    assert glance.troubles(0.0) == [f"the {name} cannot be written to"]
    os.close(descriptor)
    wait(lambda: glance.troubles(1.0) == [], "it is written to again")


def test_troubles_are_named(config, monkeypatch):
    full = config.model_copy(update={"min_free_bytes": 2**60})
    assert look(full).troubles() == ["the disk is filled up to min_free_bytes"]

    def broken(*_args, **_options):
        raise Failure(Outcome.STORAGE_FAULT, "no")

    def gone(_config):
        raise FileNotFoundError

    glance = look(config)
    monkeypatch.setattr(type(glance.index), "listing", broken)
    monkeypatch.setattr(os, "statvfs", gone)
    assert glance.troubles() == ["the index does not answer", "a disk does not say how much room it has"]


def test_it_is_closed_while_the_export_folder_is_not_the_one_that_was_claimed(config):
    mark = config.export / ".tmp" / ".node"
    mark.rename(mark.with_name("kept"))
    assert closed(config) == "the export folder is not there"
    mark.with_name("kept").rename(mark)
    assert closed(config) == ""


def test_each_disk_is_asked_once_before_an_instance(config, monkeypatch):
    real, asked = os.statvfs, []
    monkeypatch.setattr(os, "statvfs", lambda path: asked.append(path) or real(path))
    assert closed(config) == ""
    assert asked == [config.export, config.state]


def test_what_is_left_is_what_others_than_root_may_use(config):
    found = os.statvfs(config.state)
    assert abs(free_bytes(config)["state"] - found.f_bavail * found.f_frsize) < 2**30
