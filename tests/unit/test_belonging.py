"""An export folder is one node's, and has to be there: otherwise a start would take it for its own, or make it anew."""

import os
from pathlib import Path

import pytest

from scp import build
from scp.config import Config
from scp.glance import closed
from scp.store import belonging
from scp.store.belonging import ForeignFolderError, claim
from scp.store.staging import MARK
from scp.verify import Audit


@pytest.fixture
def export(tmp_path):
    return tmp_path / "export"


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def test_the_first_claim_is_written_down_and_the_next_ones_change_nothing(export, state):
    claim(export, state, "ab12")
    mark = export / ".tmp" / MARK
    assert mark.read_text() == "ab12\n" == (state / "export.claimed").read_text()
    before = mark.stat().st_mtime_ns
    claim(export, state, "ab12")
    assert mark.stat().st_mtime_ns == before
    assert belonging.is_there(export)
    assert sorted(path.name for path in mark.parent.iterdir()) == [MARK]


def test_another_nodes_folder_is_refused_and_stays_as_it_is(export, state, tmp_path):
    claim(export, state, "ab12")
    (tmp_path / "other").mkdir()
    with pytest.raises(ForeignFolderError, match=r"is another node's export folder; .*remove .*node"):
        claim(export, tmp_path / "other", "cd34")
    assert (export / ".tmp" / MARK).read_text() == "ab12\n"
    assert not (tmp_path / "other" / "export.claimed").exists()


def test_a_folder_that_is_gone_is_not_made_anew(export, state, tmp_path):
    claim(export, state, "ab12")
    export.rename(tmp_path / "unmounted")
    for _ in range(2):
        with pytest.raises(ForeignFolderError, match="is its disk mounted"):
            claim(export, state, "ab12")
    assert not belonging.is_there(export)
    (state / "export.claimed").unlink()  # an operator's word
    claim(export, state, "ab12")
    assert belonging.is_there(export)


def test_a_state_that_was_restored_finds_its_folder_again(export, state, tmp_path):
    claim(export, state, "ab12")
    (tmp_path / "restored").mkdir()
    claim(export, tmp_path / "restored", "ab12")
    assert (tmp_path / "restored" / "export.claimed").exists()


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_stopped_in_the_middle_it_is_claimed_the_next_time(export, state, monkeypatch, call):
    """Whatever the disk refuses: no half a mark, and nobody says that there is one."""
    real = getattr(os, call)
    left = [1]

    def failing(*args, **options):
        if call == "open" and not args[1] & os.O_CREAT:
            return real(*args, **options)
        if left.pop() if left else 0:
            raise OSError(5, "no")
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(OSError, match="no"):
            claim(export, state, "ab12")
    assert not (state / "export.claimed").exists()
    claim(export, state, "ab12")
    assert (export / ".tmp" / MARK).read_text() == "ab12\n"
    assert sorted(path.name for path in (export / ".tmp").iterdir()) == [MARK]


@pytest.mark.parametrize("tree", belonging.TREES)
def test_a_tree_on_another_file_system_is_refused(export, state, tree, monkeypatch):
    (export / tree).mkdir(parents=True)
    real = Path.stat

    def stat(self, **options):
        found = real(self, **options)
        return os.stat_result((*found[:2], found.st_dev + 1, *found[3:])) if self.name == tree else found

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        with pytest.raises(ForeignFolderError, match=f"{tree}: has to be on the file system of"):
            claim(export, state, "ab12")
    claim(export, state, "ab12")


def test_a_start_refuses_what_is_not_its_own_and_repairs_nothing_there(tmp_path):
    first = Config(state=tmp_path / "first", export=tmp_path / "export", min_free_bytes=1)
    second = Config(state=tmp_path / "second", export=tmp_path / "export", min_free_bytes=1)
    os.close(build.prepare(first).lock)
    staged = tmp_path / "export" / ".tmp" / "123456789012-1"
    staged.mkdir()
    (staged / "file.dcm").write_bytes(b"acknowledged by the first")
    with pytest.raises(ForeignFolderError):
        build.prepare(second)
    assert (staged / "file.dcm").exists()
    assert not list((tmp_path / "second" / "quarantine").glob("*/*"))


def test_the_mark_is_no_stray(tmp_path):
    config = Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1)
    node = build.prepare(config)
    os.close(node.lock)
    index = build.Index(config.index_path)
    assert Audit(config.export, config.quarantine, index).run().findings == []
    index.close()
    assert closed(config) == ""
    (config.export / ".tmp" / MARK).unlink()
    assert closed(config) == "the export folder is not there"
