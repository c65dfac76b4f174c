"""Volumes among files: found with what lies beside them, in folders and ZIPs, and put away together."""

import pytest
from factories import mr
from hypothesis import given
from hypothesis import strategies as st
from media import laid, packed, saved
from niftis import volume

from scp.bounds import Bounds
from scp.config import Inbound, Limits
from scp.inbound import Aside, Import, Watch, entries, prepare
from scp.inbound.entry import Entry, nothing
from scp.inbound.tree import together
from scp.instance import Broken, Peer
from scp.outcome import Outcome
from scp.volumes import stem

PEER = Peer("IMPORT", "CLOAKROOM", "127.0.0.1")
BOUNDS = Bounds()
NAMES = st.builds(
    lambda folder, name, suffix: (*folder, name + suffix),
    st.lists(st.sampled_from("xy"), max_size=2),
    st.sampled_from(["a", "b", "a.b", ""]),
    st.sampled_from([".nii", ".nii.gz", ".NII", ".json", ".bval", ".bvec", ".txt", ""]),
).filter(lambda parts: parts[-1])


class Walk:
    """Keeps the volumes that came, and answers as it is told."""

    def __init__(self, outcome=Outcome.STORED):
        self.outcome, self.volumes, self.bytes = outcome, [], []

    def __call__(self, one):
        self.volumes.append(one)
        files = {"": one.file, **one.beside}
        try:
            self.bytes.append({suffix: b"".join(file.pieces()) for suffix, file in files.items()})
        except Broken as broken:  # as the front door's net
            raise broken.error from None
        return self.outcome


def importing(walk, limits=None):
    return Import(lambda _arrival: Outcome.STORED, PEER, limits or Limits(), BOUNDS, Inbound(), walk)


def results(path, walk, limits=None):
    run = importing(walk, limits)
    return [(answer.entry.where, answer.result) for one in entries([path], BOUNDS) for answer in run.answers(one)]


@given(st.lists(NAMES, unique=True))
def test_every_file_is_one_or_beside_one(names):
    found = together([Entry((), parts, 0, nothing) for parts in sorted(names)])
    held = [one.parts for one in found] + [beside.parts for one in found for beside in one.beside.values()]
    assert sorted(held) == sorted(names)
    for one in found:
        for suffix, beside in one.beside.items():
            assert beside.parts == (*one.parts[:-1], stem(one.parts[-1]) + suffix)


@pytest.mark.parametrize("zipped", [False, True])
def test_what_lies_beside_a_volume_comes_with_it(tmp_path, zipped):
    files = {
        "a.nii": volume(),
        "a.json": b"{}",
        "a.bval": b"0",
        "b.json": b"[]",
        "sub/a.nii.gz": b"2",
        "c": saved(mr()),
    }
    path = packed(files, tmp_path / "z.zip") if zipped else laid(files, tmp_path)
    walk = Walk()
    found = results(path, walk)
    first = "1." if zipped else ""
    assert found == [
        (f"{first}1", Outcome.STORED), (f"{first}2", Aside.UNKNOWN), (f"{first}3", Outcome.STORED),
        (f"{first}4", Outcome.STORED),
    ]  # fmt: skip
    assert walk.bytes == [{"": volume(), ".json": b"{}", ".bval": b"0"}, {"": b"2"}]
    assert [one.parts[-2:] for one in walk.volumes] == [(*(("z.zip",) if zipped else ()), "a.nii"), ("sub", "a.nii.gz")]
    assert walk.volumes[0].peer == PEER


def test_one_that_is_longer_than_an_instance_may_be_is_not_read(tmp_path):
    walk = Walk()
    assert results(laid({"a.nii": bytes(101)}, tmp_path), walk, Limits(max_instance_bytes=100)) == [
        ("1", Aside.TOO_LARGE)
    ]
    assert not walk.volumes


def test_a_damaged_entry_is_unreadable(tmp_path):
    path = packed({"a.nii": volume(), "b": saved(mr())}, tmp_path / "z.zip", 0)
    data = bytearray(path.read_bytes())
    data[data.index(b"n+1")] ^= 1
    path.write_bytes(data)
    assert results(path, Walk()) == [("1.1", Aside.UNREADABLE), ("1.2", Outcome.STORED)]


def test_one_that_went_away_is_unreadable(tmp_path):
    (entry,) = entries([laid({"a.nii": volume(), "a.json": b"{}"}, tmp_path)], BOUNDS)
    (tmp_path / "a.json").unlink()
    assert [answer.result for answer in importing(Walk()).answers(entry)] == [Aside.UNREADABLE]


def test_no_answer_shows_a_name(tmp_path):
    laid({"sub-QzDoe_T1w.nii": volume(), "sub-QzDoe_T1w.json": b"{}"}, tmp_path)
    walk = Walk()
    (entry,) = entries([tmp_path], BOUNDS)
    shown = repr(list(importing(walk).answers(entry))) + repr(walk.volumes)
    assert "QzDoe" not in shown


class Site:
    """A watched folder whose clock stands still unless it is moved."""

    def __init__(self, root, outcome, after="keep"):
        prepare(root)
        self.root, self.walk, self.clock = root, Walk(outcome), 0.0
        self.watch = Watch(root, importing(self.walk), 10.0, after, now=lambda: self.clock)

    def round(self, seconds=0.0):
        self.clock += seconds
        return self.watch.round()

    def files(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("outcome", "after", "place"),
    [
        (Outcome.STORED, "keep", "done/"),
        (Outcome.UNCHANGED, "keep", "done/"),
        (Outcome.STORED, "remove", None),
        (Outcome.UNIDENTIFIED, "keep", None),
        (Outcome.OUT_OF_RESOURCES, "keep", "in/"),
        (Outcome.NOT_CONSENTED, "keep", "quarantine/dicom/"),
    ],
)
def test_they_go_together(tmp_path, outcome, after, place):
    site = Site(tmp_path, outcome, after)
    laid({"in/s/a.nii": volume(), "in/s/a.json": b"{}", "in/s/a.bvec": b""}, tmp_path)
    site.round()
    site.round(10)
    names = ("a.bvec", "a.json", "a.nii")
    assert site.files() == ([f"{place}s/{name}" for name in names] if place else [])
    assert len(site.walk.volumes) == 1


def test_a_volume_waits_for_a_sidecar_that_still_grows(tmp_path):
    site = Site(tmp_path, Outcome.STORED)
    laid({"in/a.nii": volume(), "in/a.json": b"{"}, tmp_path)
    site.round()
    laid({"in/a.json": b"{ "}, tmp_path)
    site.round(10)
    assert not site.walk.volumes
    site.round(10)
    assert site.files() == ["done/a.json", "done/a.nii"]


def test_a_sidecar_that_changes_meanwhile_keeps_both(tmp_path):
    site = Site(tmp_path, Outcome.STORED)
    laid({"in/a.nii": volume(), "in/a.json": b"{}"}, tmp_path)
    site.round()
    take = site.walk

    def changing(one):
        laid({"in/a.json": b"{      }"}, tmp_path)
        return take(one)

    site.watch.run = importing(changing)
    site.round(10)
    assert site.files() == ["in/a.json", "in/a.nii"]
