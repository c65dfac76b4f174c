"""The earlier anonymiser's folders: in/, out/ and quarantine/, with nothing of an original left in the clear."""

import errno

import pytest
from factories import mr
from media import laid, packed, saved
from pyrage import decrypt, x25519

from scp.bounds import Bounds
from scp.build import StartError
from scp.cli import inbox
from scp.config import Config, Inbound, Limits
from scp.db.linkage import Linkage
from scp.inbound import Import, Sealing, Watch, prepare
from scp.instance import Peer
from scp.outcome import Outcome
from scp.store import files
from scp.store.quarantine import Quarantine

OFFICER = x25519.Identity.generate()
FILE = saved(mr())
NAME = "QzDOE^JOHN"


class Site:
    """A watched folder of that layout, with a clock of its own."""

    def __init__(self, root):
        prepare(root, sealed=True)
        self.root, self.clock, self.outcome = root, 0.0, Outcome.STORED
        self.quarantine = Quarantine(root / "quarantine", str(OFFICER.to_public()))
        linkage = Linkage(root.parent / "linkage.db", bytes(32))
        run = Import(lambda _arrival: self.outcome, Peer("IMPORT", "X", "127.0.0.1"), Limits(), Bounds(), Inbound())
        seal = Sealing(self.quarantine, linkage.fingerprinting)
        self.watch = Watch(root, run, 10.0, "keep", now=lambda: self.clock, seal=seal)

    def rounds(self):
        """One that sees the files, and one that takes them."""
        self.watch.round()
        self.clock += 10
        return self.watch.round()

    def files(self):
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def opened(self):
        return sorted(decrypt(data, [OFFICER]).partition(b"\n")[::2] for data in self.files().values())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "anonymiser")


def test_the_folders_are_the_earlier_ones(site):
    assert sorted(path.name for path in site.root.iterdir()) == ["in", "quarantine"]
    assert sorted(path.name for path in (site.root / "quarantine").iterdir()) == ["dicom", "unknown"]


def test_what_was_taken_is_gone_whatever_is_kept_elsewhere(site):
    laid({f"in/{NAME}/1": FILE, "in/2": FILE}, site.root)
    assert site.rounds()
    assert not site.files()


@pytest.mark.parametrize(
    ("sent", "outcome", "place", "why"),
    [
        (("x", b"text"), Outcome.STORED, "unknown", b"unknown"),
        (("x", FILE), Outcome.SOP_CLASS_REFUSED, "dicom", b"sop_class_refused"),
        (("x.zip", b"PK\x03\x04"), Outcome.STORED, "dicom", b"unreadable"),
    ],
)
def test_what_is_set_aside_is_sealed_with_its_name_inside(site, sent, outcome, place, why):
    site.outcome, (name, data) = outcome, sent
    laid({f"in/{NAME}/{name}": data}, site.root)
    site.rounds()
    ((path, sealed),) = site.files().items()
    assert path.startswith(f"quarantine/{place}/")
    assert path.endswith(".age")
    assert NAME not in path
    assert NAME.encode() not in sealed
    ((head, original),) = site.opened()
    assert original == data
    assert f"{NAME}/{name}".encode() in head
    assert why in head


def test_a_zip_that_alone_has_something_unknown_is_sealed(site):
    packed({"1": FILE, "notes": b"text"}, site.root / "in/a.zip")
    data = (site.root / "in/a.zip").read_bytes()
    site.rounds()
    assert [path.rpartition("/")[0] for path in site.files()] == ["quarantine/unknown"]
    assert site.opened()[0][1] == data


def test_sealed_before_a_crash_it_is_not_sealed_twice(site):
    for _again in range(2):
        laid({"in/a": b"text"}, site.root)
        site.rounds()
    assert len(site.files()) == 1
    laid({"in/b": b"text", "in/a": b"other"}, site.root)
    site.rounds()
    assert len(site.files()) == 3


@pytest.mark.parametrize(("number", "goes_on"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_a_disk_that_will_not_keeps_the_original_where_it_is(site, monkeypatch, number, goes_on):
    def failing(*_arguments):
        raise OSError(number, "disk")

    laid({"in/a": b"text"}, site.root)
    with monkeypatch.context() as patched:
        patched.setattr(files.Temporary, "place", failing)
        assert site.rounds() is goes_on
    assert site.files() == {"in/a": b"text"}
    site.rounds()
    assert [original for _, original in site.opened()] == [b"text"]


def test_out_has_to_be_the_export(tmp_path):
    inside = Inbound(folder=str(tmp_path / "d"), layout="fedehr")
    with pytest.raises(StartError, match="out/"):
        inbox.prepare(Config(state=tmp_path / "s", export=tmp_path / "d/export", inbound=inside))
    inbox.prepare(Config(state=tmp_path / "s", export=tmp_path / "d/out", inbound=inside))
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["in", "quarantine"]
