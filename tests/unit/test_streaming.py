"""The walk of an instance whose pixels are still coming: the same file, the same answers, and nothing lost."""

import errno
import json
import os
from dataclasses import replace
from itertools import count
from struct import pack

import pytest
from doubles import metrics
from encoded import EXPLICIT, IMPLICIT, RLE, UID, explicit, image, implicit, instance, items
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyrage import decrypt, x25519
from streamed import PLANTED, cut, encapsulated, followers, images, pieces, streamed

from scp import arriving
from scp.bounds import Bounds
from scp.build import recipe_of
from scp.config import Config
from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.instance import Broken, DeidentifiedHead, Instance, Rest, Subject
from scp.intake import Intake, examine
from scp.outcome import Failure, Outcome
from scp.store import direct, files
from scp.store.quarantine import Quarantine
from scp.store.staging import Staging

OFFICER = x25519.Identity.generate()
PLAN = recipe_of(Config())
SUBJECT = Subject("SAAAAAAAAAAAAAAAA", "123456789012", bytes(range(32)))
PIXELS = bytes(range(200))
NAME = explicit(0x00100010, "PN", PLANTED)
HEADER = len(image(NAME, pixels=explicit(0x7FE00010, "OW")))
BORDERS = [HEADER + 1, HEADER + 20, HEADER + 90, HEADER + 150, HEADER + 199]
NUMBERS = count(1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Parts so small that each data set has several; the real ones are tried with a real node."""
    monkeypatch.setattr(arriving, "_PART", 16)
    monkeypatch.setattr(direct, "_PIECE", 16)


@pytest.fixture
def intake(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", bytes(range(32)))
    index = Index(tmp_path / "index.db")
    index.open(linkage.open())
    staging, quarantine = Staging(tmp_path / "export"), Quarantine(tmp_path / "quarantine", str(OFFICER.to_public()))
    staging.prepare()
    quarantine.prepare()
    yield Intake(
        (), PLAN.identity, PLAN.deidentify, linkage, index, staging, quarantine, metrics(), streams=PLAN.streams
    )
    linkage.close()
    index.close()


def arrival(data=None, syntax=EXPLICIT):
    """An image of more pixels than its header has bytes."""
    data = image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS)) if data is None else data
    return replace(instance(image()).arrival, data=data, transfer_syntax=syntax)


def staged(intake):
    return [path for path in intake.staging.root.rglob("*") if path.is_file()]


def sealed(intake):
    """What the officer reads: outcome by folder, the JSON line, and the original."""
    found = []
    for path in sorted(intake.quarantine.root.rglob("*.age")):
        head, _, data = decrypt(path.read_bytes(), [OFFICER]).partition(b"\n")
        found.append((path.parent.name, json.loads(head), data))
    return found


def refused(intake, arrived, outcome, original):
    """Nothing of it is in the export tree, and all of it in the quarantine."""
    assert intake.take(arrived) is outcome
    assert staged(intake) == []
    ((folder, _, data),) = sealed(intake)
    assert (folder, data) == (outcome.label, original)
    (row,) = intake.index.listing("quarantine")
    assert row["size"] == len(original)


def bytes_of(clean, instance_, rest):
    """The file that a head and the bytes behind it become."""
    taken, follow = b"", b""
    for piece in rest:
        count = clean.pixels.take(memoryview(piece))
        taken, follow = taken + bytes(piece[:count]), follow + bytes(piece[count:])
    table = arriving.behind(bytearray(follow), clean.pixels, explicit=instance_.dataset.explicit)
    return b"".join((*clean.parts, taken, *clean.behind(table)))


@given(made=images(), borders=st.lists(st.integers(0, 3000), max_size=6))
def test_head_and_pixels_make_the_same_file_as_the_whole(made, borders):
    whole = arrival(*made)
    expected = PLAN.deidentify(examine(whole), SUBJECT)
    sent = streamed(whole, borders)
    found = examine(sent, streams=PLAN.streams)
    clean = PLAN.deidentify(found, SUBJECT)
    if isinstance(clean, DeidentifiedHead):
        rest = [bytes(sent.data[len(found.dataset.data) :]), *(bytes(piece) for piece in sent.rest)]
        content = bytes_of(clean, found, rest)
        assert PLANTED not in content
        assert clean.finish(b"digest", 7) == replace(expected, digest=b"digest", size=7, parts=())
    else:
        content = b"".join(clean.parts)
    assert content == b"".join(expected.parts)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(made=images(), borders=st.lists(st.integers(0, 3000), max_size=6))
def test_streamed_and_buffered_are_known_as_the_same(intake, made, borders):
    data, syntax = made
    uid = f"1.2.{next(NUMBERS)}"
    element = explicit if syntax != IMPLICIT else lambda tag, _vr, value: implicit(tag, value)
    data = data.replace(element(0x00080018, "UI", UID), element(0x00080018, "UI", uid))
    whole = replace(arrival(data, syntax), sop_instance_uid=uid)
    assert intake.take(streamed(whole, borders)) is Outcome.STORED
    assert intake.take(whole) is Outcome.UNCHANGED
    assert intake.take(streamed(whole, borders[::-1])) is Outcome.UNCHANGED
    assert sealed(intake) == []
    assert [path.suffix for path in staged(intake)] == [".dcm"]
    (file,) = staged(intake)
    assert PLANTED not in file.read_bytes()
    file.unlink()  # the next example's has the same number


def test_it_is_stored_counted_and_the_file_is_the_digest_s(intake):
    sent = arrival()
    assert intake.take(streamed(sent, BORDERS)) is Outcome.STORED
    (file,) = staged(intake)
    (row,) = intake.index.listing("totals")
    assert row["bytes"] == file.stat().st_size == intake.metrics.stored_bytes._value.get()
    assert file.read_bytes().endswith(PIXELS)
    assert file.stat().st_mode & 0o777 == files.FILE_MODE


def test_a_resend_opens_no_delivery_and_leaves_nothing(intake):
    intake.take(streamed(arrival(), BORDERS))
    (row,) = intake.index.listing("visits")
    assert intake.take(streamed(arrival(), BORDERS[1:])) is Outcome.UNCHANGED
    assert intake.index.listing("visits") == [row]
    assert len(staged(intake)) == 1


def test_another_spelling_of_the_same_content_changes_nothing(intake):
    intake.take(streamed(arrival(), BORDERS))
    other = image(explicit(0x00100010, "PN", "OTHER"), pixels=explicit(0x7FE00010, "OW", PIXELS))
    assert intake.take(streamed(arrival(other), BORDERS)) is Outcome.UNCHANGED
    assert sealed(intake) == []


def test_the_same_uid_with_other_pixels_is_sealed_whole(intake):
    intake.take(arrival())
    (file,) = staged(intake)
    other = image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS[::-1]))
    sent = other + b"".join(followers(vrs=True))
    assert intake.take(streamed(arrival(sent), BORDERS)) is Outcome.CONFLICTING
    assert staged(intake) == [file]
    assert [(folder, data) for folder, _, data in sealed(intake)] == [("conflicting", sent)]


@pytest.mark.parametrize("border", [1, 8, 100, HEADER - 1, HEADER, HEADER + 1, HEADER + 100, HEADER + 210])
def test_whatever_fails_is_sealed_whole_wherever_the_pieces_end(intake, border):
    sent = image(explicit(0x00280301, "CS", "YES"), NAME, pixels=explicit(0x7FE00010, "OW", PIXELS))

    def burned_in(found):
        assert found.pixels
        raise Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")

    strict = replace(intake, rules=(burned_in,))
    refused(strict, streamed(arrival(sent), [border, border + 33]), Outcome.BURNED_IN, sent)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS))[:-1], Outcome.INCOMPLETE),
        (image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS)) + b"tail", Outcome.INCOMPLETE),
        (image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS)) + NAME, Outcome.MALFORMED),
        (image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS)) + followers(vrs=True)[3][:-7], Outcome.INCOMPLETE),
        (
            image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS)).replace(UID.encode(), b"1.2.3.4.6"),
            Outcome.MISMATCHED,
        ),
        (
            image(NAME, pixels=explicit(0x7FE00010, "UN", PIXELS)).replace(b"PATIENT-77", b" " * 10),
            Outcome.UNIDENTIFIED,
        ),
        (image(NAME, pixels=encapsulated(PIXELS)), Outcome.MALFORMED),
        (
            image(explicit(0x00280010, "US", pack("<H", 51)), pixels=explicit(0x7FE00010, "OW", PIXELS)),
            Outcome.INCOMPLETE,
        ),
        (image(explicit(0x00100040, "OB", b"ab"), pixels=explicit(0x7FE00010, "OW", PIXELS)), Outcome.NOT_DEIDENTIFIED),
    ],
)
def test_each_failure_of_content_is_sealed_whole(intake, data, outcome):
    refused(intake, streamed(arrival(data), BORDERS), outcome, data)


@pytest.mark.parametrize(
    "borders", [[HEADER], [HEADER - 9, HEADER + 7, HEADER + 8, HEADER + 30], range(HEADER, HEADER + 180, 3)]
)
@pytest.mark.parametrize("fragments", [b"not a fragment", items([b"even"]) + pack("<HHI", 0xFFFE, 0xE000, 5) + PLANTED])
def test_fragments_that_are_none_are_sealed_whole(intake, borders, fragments):
    data = image(NAME, pixels=explicit(0x7FE00010, "OB", fragments + PIXELS, 0xFFFFFFFF))
    refused(intake, streamed(arrival(data, RLE), borders), Outcome.MALFORMED, data)


@pytest.mark.parametrize("step", [11])
def test_no_truncation_is_ever_stored(intake, step):
    data = image(NAME, pixels=encapsulated(PIXELS, PIXELS[::-1], offsets=pack("<II", 0, 208)))
    for number, length in enumerate(range(HEADER + 20, len(data), step), start=1):
        assert intake.take(streamed(arrival(data[:length], RLE), range(HEADER - 30, length, 37))).quarantined, length
        originals = {found for _, _, found in sealed(intake)}
        assert data[:length] in originals
        assert len(originals) == number
    assert staged(intake) == []
    assert intake.index.listing("totals")[0]["instances"] == 0


def test_a_failure_sent_twice_is_kept_once(intake):
    data = arrival().data[:-1]
    assert {intake.take(streamed(arrival(data), BORDERS[at:])) for at in range(3)} == {Outcome.INCOMPLETE}
    assert intake.take(arrival(data)) is Outcome.INCOMPLETE
    assert len(sealed(intake)) == 1


def test_more_outside_the_pixel_data_than_anybody_looks_through(intake):
    narrow = replace(intake, bounds=Bounds(header_bytes=HEADER + 100))
    long = image(explicit(0x00104000, "LT", "x" * 900), pixels=explicit(0x7FE00010, "OW", PIXELS))
    refused(narrow, streamed(arrival(long), BORDERS), Outcome.MALFORMED, long)
    behind = arrival().data + explicit(0xFFFCFFFC, "OB", PLANTED + bytes(900))
    assert narrow.take(streamed(arrival(behind), BORDERS)) is Outcome.MALFORMED
    assert behind in [data for _, _, data in sealed(intake)]


@pytest.mark.parametrize("place", ["before", "behind"])
def test_without_room_for_what_stands_beside_the_pixels_nothing_is_kept(intake, place):
    """Header and followers gather in memory, wherever they come; the pixels do not."""
    asked = []
    long = explicit(0x00104000, "LT", "x" * 900)
    data = image(long, pixels=explicit(0x7FE00010, "OW", PIXELS)) if place == "before" else arrival().data
    data += explicit(0xFFFCFFFC, "OB", PLANTED + bytes(900)) if place == "behind" else b""

    def room(size):
        asked.append(size)
        return size < HEADER + 500

    first = 16 if place == "before" else HEADER + 10
    sent = replace(
        arrival(data), data=bytearray(data[:first]), rest=Rest(pieces(cut(data[first:], range(0, 9999, 20))), room)
    )
    assert intake.take(sent) is Outcome.OUT_OF_RESOURCES
    assert HEADER + 500 <= asked[-1] < len(data) < 9999
    assert sorted(asked) == asked
    assert staged(intake) == sealed(intake) == []


def broken(data, at):
    """A data set whose association ends within it."""

    def wire():
        yield from pieces(cut(data[at : at + 60], [20, 40]))
        raise Broken(ConnectionResetError("the peer closed the connection"))

    return replace(arrival(), data=bytearray(data[:at]), rest=Rest(wire()))


@pytest.mark.parametrize("at", [10, 100, HEADER, HEADER + 50])
@pytest.mark.parametrize("refusing", [False, True])
def test_an_association_that_breaks_leaves_nothing(intake, at, refusing):
    def refuse(_instance):
        raise Failure(Outcome.BURNED_IN, "so that it is being sealed")

    walk = replace(intake, rules=(refuse,)) if refusing else intake
    with pytest.raises(Broken):
        walk.take(broken(arrival().data, at))
    assert staged(intake) == []
    assert [path for path in intake.quarantine.root.rglob("*") if path.is_file()] == []
    assert intake.index.listing("quarantine") == []


@pytest.mark.parametrize(
    ("code", "outcome"), [(errno.ENOSPC, Outcome.OUT_OF_RESOURCES), (errno.EIO, Outcome.STORAGE_FAULT)]
)
@pytest.mark.parametrize("nth", [1, 3, 4])
def test_a_disk_that_fails_midway_keeps_nothing(intake, monkeypatch, nth, code, outcome):
    real, calls = os.writev, []

    def fail(*args):
        calls.append(args)
        if len(calls) == nth:
            raise OSError(code, os.strerror(code))
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "writev", fail)
        assert intake.take(streamed(arrival(), BORDERS)) is outcome
    assert staged(intake) == []
    assert sealed(intake) == []
    assert intake.take(streamed(arrival(), BORDERS)) is Outcome.STORED


def test_a_quarantine_without_room_for_what_is_coming_claims_nothing(intake, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    data = arrival().data.replace(UID.encode(), b"1.2.3.4.6")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "writev", full)
        assert intake.take(streamed(arrival(data), BORDERS)) is Outcome.OUT_OF_RESOURCES
    assert sealed(intake) == []
    assert intake.index.listing("quarantine") == []


def test_what_cannot_be_read_back_is_no_original(intake, monkeypatch):
    monkeypatch.setattr(files.os, "pread", lambda *_args: b"")
    assert intake.take(streamed(arrival(arrival().data[:-1]), BORDERS)) is Outcome.STORAGE_FAULT
    assert sealed(intake) == []


def test_room_is_looked_for_again_while_it_grows(intake, monkeypatch):
    monkeypatch.setattr(arriving, "_ROOM_STEP", 64)
    sizes = []

    def room(found: Instance):
        sizes.append(found.size)
        if len(sizes) == 3:
            raise Failure(Outcome.OUT_OF_RESOURCES, "the disk is filled up to min_free_bytes")

    tight = replace(intake, rules=(room,))
    sent = streamed(arrival(), range(HEADER, HEADER + 200, 10))
    assert tight.take(sent) is Outcome.OUT_OF_RESOURCES
    assert sizes[0] == len(arrival().data)
    assert sizes[0] >= sizes[1] > sizes[2] > 0
    assert staged(intake) == []
    assert sealed(intake) == []


def test_no_byte_of_the_original_but_pixels_is_ever_in_the_export_tree(intake):
    """Looked at before each piece, with needles before and behind the pixels."""
    data = image(NAME, pixels=explicit(0x7FE00010, "OW", PIXELS)) + b"".join(followers(vrs=True))
    seen = []

    def watched():
        for piece in pieces(cut(data[HEADER + 2 :], range(0, 340, 9))):
            seen.append(b"".join(path.read_bytes() for path in staged(intake)))
            yield piece

    sent = replace(arrival(data), data=bytearray(data[: HEADER + 2]), rest=Rest(watched()))
    assert intake.take(sent) is Outcome.STORED
    assert max(map(len, seen)) > len(PIXELS)
    assert all(PLANTED not in content and UID.encode() not in content for content in seen)
    assert PLANTED not in staged(intake)[0].read_bytes()


def test_what_the_recipe_keeps_behind_the_pixels_is_kept(tmp_path, intake):
    recipe = tmp_path / "written.dicom"
    recipe.write_text(
        "FORMAT dicom\n%header\nREMOVE ALL\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\nKEEP PixelData\n"
        '# because: a test\nKEEP (7FE1,"SIEMENS CSA NON-IMAGE",10)\n'
    )
    plan = recipe_of(Config(recipe=str(recipe)))
    kept = explicit(0x7FE10010, "LO", "SIEMENS CSA NON-IMAGE") + explicit(0x7FE11010, "OB", b"spectrum")
    data = arrival().data + kept + b"".join(followers(vrs=True)[2:])
    expected = b"".join(plan.deidentify(examine(arrival(data)), SUBJECT).parts)
    assert expected.endswith(PIXELS + kept)
    own = replace(intake, deidentify=plan.deidentify, streams=plan.streams)
    assert own.take(streamed(arrival(data), BORDERS)) is Outcome.STORED
    stored = staged(intake)[0].read_bytes()
    assert stored[stored.index(PIXELS) :] == expected[expected.index(PIXELS) :]


@pytest.mark.parametrize(("tag", "creator"), [(0x7FE1, "SIEMENS CSA NON-IMAGE"), (0x0029, "SIEMENS CSA HEADER")])
def test_a_name_that_the_recipe_forgot_is_found_before_and_behind_the_pixels(tmp_path, intake, tag, creator):
    recipe = tmp_path / "forgetful.dicom"
    recipe.write_text(
        "FORMAT dicom\n%header\nREMOVE ALL\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\nKEEP PixelData\n"
        f'# because: a test\nKEEP ({tag:04X},"{creator}",10)\n'
    )
    plan = recipe_of(Config(recipe=str(recipe)))
    kept = [explicit(tag << 16 | 0x10, "LO", creator), explicit(tag << 16 | 0x1010, "OB", b"of " + PLANTED + b"!")]
    data = image(NAME, *kept, pixels=explicit(0x7FE00010, "OW", PIXELS))
    own = replace(intake, deidentify=plan.deidentify, streams=plan.streams)
    for coming in (arrival(data), streamed(arrival(data), [len(data) - 150, len(data) - 20])):
        assert own.take(coming) is Outcome.RESIDUAL
    assert {original for _, _, original in sealed(intake)} == {data}
    assert staged(intake) == []


def test_pixels_that_the_recipe_removes_do_not_stream(tmp_path):
    recipe = tmp_path / "written.dicom"
    recipe.write_text("FORMAT dicom\n%header\nREMOVE ALL\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n")
    plan = recipe_of(Config(recipe=str(recipe)))
    assert plan.streams == frozenset()
    found = examine(streamed(arrival(), BORDERS), streams=plan.streams)
    assert found.pixels is None
    assert PIXELS not in b"".join(plan.deidentify(found, SUBJECT).parts)


def test_a_beginning_that_cannot_grow_is_a_defect():
    with pytest.raises(TypeError):
        examine(replace(arrival(), data=b"", rest=Rest(iter(()))))


def test_a_recipe_that_searches_for_values_sees_the_whole_data_set(tmp_path):
    recipe = tmp_path / "searching.dicom"
    recipe.write_text(
        "FORMAT dicom\n%values names\nFIELD PatientName\n%header\nREMOVE ALL\nREMOVE values:names\n"
        "KEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\nKEEP PixelData\n"
    )
    assert recipe_of(Config(recipe=str(recipe))).streams == frozenset()
