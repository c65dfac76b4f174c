"""What becomes of each file of an import: the Arrival that the walk is handed, and what is not handed to it."""

import zipfile

import pytest
from factories import encode, mr, needles
from hypothesis import given, settings
from hypothesis import strategies as st
from media import dicomdir, laid, packed, saved
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from scp.bounds import Bounds
from scp.config import Inbound, Limits
from scp.inbound import Aside, Import, entries
from scp.instance import Broken, Peer
from scp.outcome import Outcome

PEER = Peer("IMPORT", "CLOAKROOM", "127.0.0.1")
IMAGE = mr()
BOUNDS = Bounds()


class Walk:
    """Takes everything, and keeps what came."""

    def __init__(self, outcome=Outcome.STORED):
        self.outcome = outcome
        self.arrivals = []
        self.bytes = []
        self.pieces = []

    def __call__(self, arrival):
        self.arrivals.append(arrival)
        pieces = [bytes(arrival.data)]
        try:
            pieces += [bytes(piece) for piece in arrival.rest or ()]
        except Broken as broken:
            raise broken.error from None
        self.pieces.append([len(piece) for piece in pieces])
        self.bytes.append(b"".join(pieces))
        return self.outcome


def results(folder, walk, limits=None, inbound=None):
    run = Import(walk, PEER, limits or Limits(), BOUNDS, inbound or Inbound())
    return [(answer.entry.where, answer.result) for one in entries([folder], BOUNDS) for answer in run.answers(one)]


@pytest.mark.parametrize("transfer_syntax", ["1.2.840.10008.1.2.1", ImplicitVRLittleEndian])
@pytest.mark.parametrize("preamble", [bytes(128) + b"DICM", b""])
def test_a_file_arrives_as_if_it_had_been_pushed(tmp_path, preamble, transfer_syntax):
    laid({"x": saved(IMAGE, transfer_syntax, preamble=preamble)}, tmp_path)
    walk = Walk()
    assert results(tmp_path, walk) == [("1", Outcome.STORED)]
    (arrival,) = walk.arrivals
    assert arrival.peer == PEER
    assert arrival.sop_class_uid == arrival.context_class == IMAGE.SOPClassUID
    assert arrival.sop_instance_uid == IMAGE.SOPInstanceUID
    assert arrival.transfer_syntax == transfer_syntax
    assert arrival.rest is None
    assert walk.bytes == [encode(IMAGE, transfer_syntax)]


@settings(max_examples=40)
@given(st.integers(1, 3000), st.booleans())
def test_a_large_file_is_never_read_whole(tmp_path_factory, most, zipped):
    folder = tmp_path_factory.mktemp("large")
    large = mr(PixelData=bytes(600_000))
    files = {"x": saved(large)}
    packed(files, folder / "x.zip") if zipped else laid(files, folder)
    walk = Walk()
    ((_, result),) = results(folder, walk, Limits(stream_bytes=most + 200_000))
    assert result is Outcome.STORED
    assert walk.bytes == [encode(large)]
    assert walk.pieces[0][0] == most + 200_001
    assert max(walk.pieces[0][1:]) <= 262_144
    assert isinstance(walk.arrivals[0].data, bytearray)


def test_one_that_is_longer_than_an_instance_may_be_is_not_read(tmp_path):
    laid({"x": saved(IMAGE)}, tmp_path)
    size = len(encode(IMAGE))
    assert results(tmp_path, Walk(), Limits(max_instance_bytes=size)) == [("1", Outcome.STORED)]
    walk = Walk()
    assert results(tmp_path, walk, Limits(max_instance_bytes=size - 1)) == [("1", Aside.TOO_LARGE)]
    assert not walk.arrivals


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"", Aside.UNKNOWN),
        (b"%PDF-1.7", Aside.UNKNOWN),
        (dicomdir(), Aside.DICOMDIR),
        (saved(IMAGE, DeflatedExplicitVRLittleEndian), Aside.TRANSFER_SYNTAX_REFUSED),
        (saved(mr(SOPClassUID="1.2.840.10008.1.1")), Outcome.SOP_CLASS_REFUSED),
        (b"PK\x03\x04 and then no ZIP", Aside.UNREADABLE),
    ],
    ids=["empty", "pdf", "dicomdir", "deflated", "verification", "no zip"],
)
def test_what_does_not_walk(tmp_path, data, result):
    walk = Walk()
    assert results(laid({"x": data}, tmp_path), walk) == [("1", result)]
    assert not walk.arrivals
    assert (tmp_path / "x").read_bytes() == data


def test_a_file_that_says_dicom_and_nothing_else_walks_and_is_refused_there(tmp_path):
    walk = Walk(Outcome.MALFORMED)
    assert results(laid({"x": bytes(128) + b"DICM\xff"}, tmp_path), walk) == [("1", Outcome.MALFORMED)]
    assert walk.arrivals[0].sop_class_uid == ""


def test_the_files_of_a_zip_are_numbered_below_it(tmp_path):
    packed({"b": saved(mr(2)), "a": saved(mr(1)), "c.txt": b"text"}, tmp_path / "2.zip")
    laid({"1": saved(mr(0)), "3": b"text"}, tmp_path)
    walk = Walk()
    assert results(tmp_path, walk) == [
        ("1", Outcome.STORED),
        ("2.1", Outcome.STORED),
        ("2.2", Outcome.STORED),
        ("2.3", Aside.UNKNOWN),
        ("3", Aside.UNKNOWN),
    ]
    assert [arrival.sop_instance_uid for arrival in walk.arrivals] == [mr(seed).SOPInstanceUID for seed in range(3)]


def test_a_medium_in_a_zip_is_one(tmp_path):
    packed({"DICOMDIR": dicomdir(("A",), ("LOST",)), "A": saved(IMAGE), "B": saved(mr(1))}, tmp_path / "x.zip")
    assert results(tmp_path, Walk()) == [("1.1", Outcome.STORED), ("1.2", Aside.DICOMDIR), ("1.3", Aside.MISSING)]


def test_a_zip_in_a_zip_is_nothing_known(tmp_path):
    inner = packed({"a": saved(IMAGE)}, tmp_path / "inner").read_bytes()
    walk = Walk()
    assert results(packed({"x.zip": inner}, tmp_path / "x.zip").parent / "x.zip", walk) == [("1.1", Aside.UNKNOWN)]
    assert not walk.arrivals


def test_a_bomb_is_too_large_and_nothing_of_it_is_taken(tmp_path):
    packed({str(number): saved(mr(number)) for number in range(3)}, tmp_path / "x.zip")
    walk = Walk()
    assert results(tmp_path, walk, inbound=Inbound(max_zip_entries=2)) == [("1", Aside.TOO_LARGE)]
    assert results(tmp_path, walk, inbound=Inbound(max_zip_bytes=100)) == [("1", Aside.TOO_LARGE)]
    assert not walk.arrivals


@pytest.mark.parametrize("size", [0, 600_000], ids=["small", "large"])
def test_a_damaged_entry_is_unreadable_and_the_next_is_taken(tmp_path, size):
    first = mr(0, PixelData=bytes(32 + size))
    path = packed({"a": saved(first), "b": saved(mr(1))}, tmp_path / "x.zip", zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[len(encode(first)) + 100] ^= 1
    path.write_bytes(data)
    walk = Walk()
    assert results(path, walk, Limits(stream_bytes=300_000)) == [("1.1", Aside.UNREADABLE), ("1.2", Outcome.STORED)]
    assert len(walk.bytes) == 1


def test_a_file_that_went_away_is_unreadable(tmp_path):
    laid({"x": saved(IMAGE)}, tmp_path)
    (entry,) = entries([tmp_path], BOUNDS)
    (tmp_path / "x").unlink()
    run = Import(Walk(), PEER, Limits(), BOUNDS)
    assert [answer.result for answer in run.answers(entry)] == [Aside.UNREADABLE]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_what_was_taken_is_fine_and_only_want_of_room_is_the_end(tmp_path, outcome):
    laid({"x": saved(IMAGE)}, tmp_path)
    (entry,) = entries([tmp_path], BOUNDS)
    (answer,) = Import(Walk(outcome), PEER, Limits(), BOUNDS).answers(entry)
    assert answer.fine == (outcome in {Outcome.STORED, Outcome.UNCHANGED})
    assert answer.last == (outcome in {Outcome.OUT_OF_RESOURCES, Outcome.STORAGE_FAULT})


@pytest.mark.parametrize("aside", list(Aside))
def test_every_way_aside_is_a_row_and_none_is_an_outcome(aside):
    assert aside.meaning
    assert aside.fine == (aside in {Aside.UNKNOWN, Aside.DICOMDIR})
    assert aside.label not in {outcome.label for outcome in Outcome}


def test_no_answer_shows_an_identity(tmp_path):
    laid({"Qz^Doe.dcm": saved(IMAGE)}, tmp_path)
    walk = Walk()
    run = Import(walk, PEER, Limits(), BOUNDS)
    shown = repr([list(run.answers(one)) for one in entries([tmp_path], BOUNDS)]) + repr(walk.arrivals)
    assert "Doe" not in shown
    assert not any(needle.decode() in shown for needle in needles())
