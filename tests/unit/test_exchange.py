"""A folder in the place of another: in one step where the file system can, in several where it cannot."""

import errno
import os
from ctypes import set_errno

import pytest

from scp.store import exchange


def folder(path, content):
    path.mkdir()
    (path / "file").write_text(content)
    return path


@pytest.fixture(params=["one step", "no such call", errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def way(request, monkeypatch):
    """As this file system does it, and as one does that cannot."""
    if request.param == "no such call":
        monkeypatch.setattr(exchange, "_RENAME", None)
    elif request.param != "one step":
        monkeypatch.setattr(exchange, "_RENAME", lambda *_: set_errno(request.param) or -1)
    return request.param


def test_what_was_made_stands_there_and_what_stood_there_where_it_was_made(tmp_path, way):
    made, place = folder(tmp_path / "made", "new"), folder(tmp_path / "place", "old")
    exchange.show(made, place)
    assert ((place / "file").read_text(), (made / "file").read_text()) == ("new", "old")
    assert sorted(os.listdir(tmp_path)) == ["made", "place"]


def test_where_nothing_stood_it_is_one_rename(tmp_path, way):
    exchange.show(folder(tmp_path / "made", "new"), tmp_path / "place")
    assert [(path.name, (path / "file").read_text()) for path in tmp_path.iterdir()] == [("place", "new")]


def test_what_one_that_was_killed_left_aside_is_in_nobodys_way(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "_RENAME", None)
    made, place = folder(tmp_path / "made", "new"), folder(tmp_path / "place", "old")
    folder(tmp_path / "made.old", "older")
    exchange.show(made, place)
    assert ((place / "file").read_text(), (made / "file").read_text()) == ("new", "old")
    assert sorted(os.listdir(tmp_path)) == ["made", "place"]


def test_the_exchange_is_the_systems_own(tmp_path, monkeypatch):
    """Neither name is renamed away meanwhile: that is the only thing that is asked of the system."""
    made, place = folder(tmp_path / "made", "new"), folder(tmp_path / "place", "old")
    monkeypatch.setattr("pathlib.Path.rename", lambda *_: pytest.fail("renamed"))
    exchange.show(made, place)
    assert (place / "file").read_text() == "new"


def test_a_disk_that_will_not_is_told(tmp_path, monkeypatch):
    made, place = folder(tmp_path / "made", "new"), folder(tmp_path / "place", "old")
    monkeypatch.setattr(exchange, "_RENAME", lambda *_: set_errno(errno.EIO) or -1)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        exchange.show(made, place)
    assert ((place / "file").read_text(), (made / "file").read_text()) == ("old", "new")
