"""A watched folder: when a file is taken, and where its original goes by what became of it."""

import errno
import os
import threading
from itertools import product
from pathlib import Path

import pytest
from factories import mr
from hypothesis import given
from hypothesis import strategies as st
from media import dicomdir, laid, packed, saved

from scp.bounds import Bounds
from scp.build import StartError
from scp.cli import inbox
from scp.config import Config, Inbound, Limits
from scp.inbound import Answer, Aside, Entry, Import, Watch, prepare
from scp.inbound.entry import nothing
from scp.inbound.watch import DONE, IN, REFUSED, UNKNOWN, goes
from scp.instance import Peer
from scp.outcome import Outcome

PEER = Peer("IMPORT", "CLOAKROOM", "127.0.0.1")
FILE = saved(mr())
RESULTS = [*Outcome, *Aside]


class Site:
    """A watched folder with a clock of its own and a walk that answers as it is told."""

    def __init__(self, root, after="keep"):
        prepare(root)
        self.root, self.clock, self.outcome, self.taken, self.meanwhile = root, 0.0, Outcome.STORED, 0, lambda: None
        run = Import(self.walk, PEER, Limits(), Bounds(), Inbound())
        self.watch = Watch(root, run, 10.0, after, now=lambda: self.clock)

    def walk(self, _arrival):
        self.taken += 1
        self.meanwhile()
        return self.outcome

    def rounds(self, *seconds):
        """A round at once and one after each pause."""
        done = [self.watch.round()]
        for pause in seconds:
            self.clock += pause
            done.append(self.watch.round())
        return done

    def files(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "anonymiser")


def test_the_folders_are_made_and_closed(site):
    for folder in (DONE, REFUSED, UNKNOWN):
        assert (site.root / folder).stat().st_mode & 0o777 == 0o700
    assert (site.root / IN).is_dir()
    prepare(site.root)


def test_a_file_is_taken_once_it_lies_still(site):
    laid({"in/a/b": FILE}, site.root)
    site.rounds(9.9)
    assert (site.taken, site.files()) == (0, ["in/a/b"])
    site.rounds(0.1)
    assert (site.taken, site.files()) == (1, ["done/a/b"])
    site.rounds(100, 100)
    assert site.taken == 1


def test_one_that_grows_waits_again(site):
    for size in (100, 200, len(FILE)):
        laid({"in/a": FILE[:size]}, site.root)
        site.rounds(9)
    assert site.taken == 0
    site.rounds(1)
    assert site.taken == 1


def test_one_that_changes_while_it_is_taken_stays(site):
    laid({"in/a": FILE}, site.root)
    site.meanwhile = lambda: laid({"in/a": FILE + b"more"}, site.root)
    site.rounds(10)
    assert (site.taken, site.files()) == (1, ["in/a"])
    site.meanwhile = lambda: None
    site.rounds(10)
    assert (site.taken, site.files()) == (2, ["done/a"])


def test_one_that_goes_away_meanwhile_is_nobodys_trouble(site):
    laid({"in/a": FILE}, site.root)
    site.meanwhile = (site.root / "in/a").unlink
    assert site.rounds(10) == [True, True]
    assert site.files() == []


def test_a_closed_folder_holds_up_nothing(site, monkeypatch, capsys):
    laid({"in/a": FILE, "in/closed/b": FILE, "in/z/c": FILE}, site.root)
    asked = os.scandir

    def scandir(folder):
        """As for a user whom the folder does not let in."""
        if folder.name == "closed":
            raise PermissionError
        return asked(folder)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        site.rounds(10, 10, 10)
    assert (site.taken, site.files()) == (2, ["done/a", "done/z/c", "in/closed/b"])
    assert capsys.readouterr().err.count("folder_unreadable") == 1
    site.rounds(10)
    assert site.files() == ["done/a", "done/closed/b", "done/z/c"]


def test_a_name_that_is_taken_keeps_nothing_in_the_folder(site):
    """By a file where a folder is to be, by a folder where a file is to be, and where no longer name may be."""
    long = "n" * 255
    laid({"done/a": b"", "done/b/c": b"", f"done/{long}": b"", "done/d/e": b""}, site.root)
    laid({"in/a/1": FILE, "in/a/2": FILE, "in/b": FILE, f"in/{long}": FILE, "in/d/e": FILE}, site.root)
    site.rounds(10, 10, 10)
    assert site.taken == 5
    assert not [name for name in site.files() if name.startswith("in/")]
    kept = [path for path in (site.root / DONE).rglob("*") if path.is_file() and path.read_bytes() == FILE]
    assert len(kept) == 5
    assert all((site.root / name).read_bytes() == b"" for name in ("done/a", "done/b/c", f"done/{long}", "done/d/e"))
    assert sorted(path.name for path in kept if path.parent.name.startswith("a.")) == ["1", "2"]


def test_what_cannot_be_moved_leaves_no_name_behind(site, monkeypatch):
    """As where `done/` is another disk."""
    laid({"in/a": FILE}, site.root)

    def refuse(*_args):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        site.rounds(10, 10, 10)
    assert site.files() == ["in/a"]
    site.rounds(10)
    assert site.files() == ["done/a"]


@pytest.mark.parametrize("after", ["keep", "remove"])
def test_what_a_dicomdir_in_a_zip_does_not_name_is_not_lost_with_the_zip(tmp_path, after):
    """Here each is asked by itself; of a medium that is imported only what it names is taken."""
    site = Site(tmp_path, after)
    packed({"DICOMDIR": dicomdir(("A",)), "A": FILE, "B": FILE}, tmp_path / "in/x.zip")
    packed({"DICOMDIR": dicomdir(("A",)), "A": FILE, "README": b"read me"}, tmp_path / "in/y.zip")
    packed({"DICOMDIR": dicomdir(("A",), ("LOST",)), "A": FILE}, tmp_path / "in/z.zip")
    site.rounds(10)
    assert site.taken == 4
    kept = ["done/x.zip", "done/y.zip"] if after == "keep" else ["done/y.zip"]
    assert site.files() == [*kept, "quarantine/dicom/z.zip"]


def test_what_a_copy_still_makes_is_hidden(site):
    laid({"in/.a.Xy7": FILE, "in/.partial/b": FILE}, site.root)
    site.rounds(10, 10)
    assert (site.taken, site.files()) == (0, ["in/.a.Xy7", "in/.partial/b"])


def test_originals_that_were_taken_are_removed_if_so_wanted(tmp_path):
    site = Site(tmp_path, "remove")
    laid({"in/a": FILE, "in/text": b"text"}, tmp_path)
    site.rounds(10)
    assert site.files() == ["quarantine/unknown/text"]


@pytest.mark.parametrize("after", ["keep", "remove"])
def test_what_is_sealed_stays_nowhere_else(tmp_path, after):
    site = Site(tmp_path, after)
    site.outcome = Outcome.BURNED_IN
    laid({"in/a": FILE}, tmp_path)
    site.rounds(10)
    assert site.files() == []


@pytest.mark.parametrize("after", ["keep", "remove"])
@pytest.mark.parametrize(("outcome", "place"), [(Outcome.BURNED_IN, "quarantine/dicom"), (Outcome.STORED, "done")])
def test_a_zip_that_alone_has_something_unknown_is_never_removed(tmp_path, after, outcome, place):
    site = Site(tmp_path, after)
    site.outcome = outcome
    packed({"image": FILE, "notes": b"text"}, tmp_path / "in/a.zip")
    site.rounds(10)
    assert site.files() == [f"{place}/a.zip"]


@pytest.mark.parametrize("outcome", [Outcome.OUT_OF_RESOURCES, Outcome.FAILED])
def test_what_the_node_had_no_room_for_is_tried_again(site, outcome):
    laid({"in/a": FILE, "in/b": FILE}, site.root)
    site.outcome = outcome
    assert site.rounds(10) == [True, True]
    assert site.taken == (1 if outcome is Outcome.OUT_OF_RESOURCES else 2)
    assert site.files() == ["in/a", "in/b"]
    site.outcome = Outcome.STORED
    site.rounds(10)
    assert site.files() == ["done/a", "done/b"]


def test_a_disk_that_failed_ends_the_process(site):
    laid({"in/a": FILE}, site.root)
    site.outcome = Outcome.STORAGE_FAULT
    assert site.rounds(10) == [True, False]
    assert site.files() == ["in/a"]
    site.watch.settle_seconds = 0.01
    site.watch.loop(threading.Event(), lambda: None)


def test_it_ends_when_told_to(site):
    laid({"in/a": FILE}, site.root)
    stop = threading.Event()
    stop.set()
    site.watch.loop(stop, lambda: pytest.fail("went round"))
    site.rounds()
    site.clock += 10
    site.watch.round(stop)
    assert site.taken == 0


def test_no_file_is_ever_overwritten(site):
    for number in range(3):
        laid({"in/a": FILE + bytes(2 * number)}, site.root)
        site.rounds(10)
    kept = sorted((site.root / DONE).iterdir())
    assert [path.name[:2] for path in kept] == ["a", "a.", "a."]
    assert sorted(path.stat().st_size - len(FILE) for path in kept) == [0, 2, 4]


def test_zips_media_and_others_go_whole(site):
    packed({"1": FILE, "readme": b"text"}, site.root / "in/good.zip")
    packed({"readme": b"text"}, site.root / "in/none.zip")
    laid({"in/bad.zip": b"PK\x03\x04", "in/cd/DICOMDIR": dicomdir(("A",)), "in/cd/A": FILE, "in/cd/B": FILE}, site.root)
    site.rounds(10)
    assert site.files() == [
        "done/cd/A", "done/cd/B", "done/cd/DICOMDIR", "done/good.zip", "quarantine/dicom/bad.zip",
        "quarantine/unknown/none.zip",
    ]  # fmt: skip


def test_a_folder_that_is_gone_is_told_and_waited_for(site):
    (site.root / IN).rmdir()
    assert site.rounds(10) == [True, True]
    laid({"in/a": FILE}, site.root)
    site.rounds(10)
    assert site.files() == ["done/a"]


def of(*results):
    return [Answer(Entry((1, number), (), 0, nothing), result) for number, result in enumerate(results)]


@pytest.mark.parametrize("result", RESULTS)
def test_every_result_has_its_place(result):
    place = goes(of(result))
    if isinstance(result, Outcome) and result.quarantined:
        assert place is None
    elif result in {Outcome.OUT_OF_RESOURCES, Outcome.STORAGE_FAULT, Outcome.FAILED}:
        assert place == IN
    elif result is Aside.UNKNOWN:
        assert place == UNKNOWN
    else:
        assert place == (DONE if of(result)[0].fine else REFUSED)


@pytest.mark.parametrize(("one", "other"), list(product(RESULTS, RESULTS)))
def test_nothing_that_is_nowhere_else_is_ever_counted_as_done(one, other):
    place = goes(of(one, other))
    if place in {DONE, None}:
        for result in (one, other):
            assert result in {Outcome.STORED, Outcome.UNCHANGED, Aside.UNKNOWN, Aside.DICOMDIR} or result.quarantined


@given(st.lists(st.sampled_from(RESULTS), min_size=1))
def test_the_order_in_a_zip_changes_nothing(results):
    assert goes(of(*results)) == goes(of(*reversed(results)))


@pytest.mark.parametrize("where", ["state", "export", "state/x", "export/DICOM"])
def test_what_is_identified_and_what_is_not_do_not_mix(tmp_path, where):
    config = Config(state=tmp_path / "state", export=tmp_path / "export", inbound=Inbound(folder=str(tmp_path / where)))
    with pytest.raises(StartError, match="must not lie inside each other"):
        inbox.prepare(config)
    assert not list(tmp_path.iterdir())


def test_the_export_tree_may_stand_where_the_earlier_tool_had_its_output(tmp_path):
    config = Config(state=tmp_path / "s", export=tmp_path / "d/out", inbound=Inbound(folder=str(tmp_path / "d")))
    inbox.prepare(config)
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["done", "in", "quarantine"]


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be made"):
        inbox.prepare(Config(inbound=Inbound(folder=str(tmp_path / "file"))))
    inbox.prepare(Config())
