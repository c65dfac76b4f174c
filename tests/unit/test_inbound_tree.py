"""Which files of a folder, a ZIP or a medium are taken, in which order, and that no name leads anywhere."""

import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from factories import mr
from hypothesis import given
from hypothesis import strategies as st
from media import dicomdir, laid, packed, saved

from scp.bounds import Bounds
from scp.config import Inbound
from scp.inbound import Aside, entries
from scp.inbound.archive import DAMAGED, Beyond, members
from scp.inbound.media import named, plain
from scp.inbound.tree import selected, together

BOUNDS = Bounds()
NAME = st.text("ABC019_", min_size=1, max_size=8)


def names(found):
    return ["/".join(one.parts) for one in found if one.aside is None]


def of_zip(path, limits=None):
    return selected(members(BytesIO(path.read_bytes()), (), limits or Inbound()), BOUNDS)


def test_a_tree_is_taken_in_sorted_order(tmp_path):
    laid({"b/2": b"2", "b/1": b"1", "a": b"a", "c/d/e": b"e"}, tmp_path)
    found = entries([tmp_path], BOUNDS)
    assert names(found) == ["a", "b/1", "b/2", "c/d/e"]
    assert [one.where for one in found] == ["1", "2", "3", "4"]
    assert [one.size for one in found] == [1, 1, 1, 1]


def test_several_paths_are_numbered_through(tmp_path):
    one, two = laid({"x": b"", "y": b""}, tmp_path / "one"), laid({"z": b""}, tmp_path / "two") / "z"
    assert [(found.where, found.parts) for found in entries([one, two], BOUNDS)] == [
        ("1", ("x",)),
        ("2", ("y",)),
        ("3", ("z",)),
    ]


def test_links_and_what_is_no_file_are_passed_over(tmp_path):
    outside = laid({"secret": b"s"}, tmp_path / "outside")
    inside = laid({"file": b"f"}, tmp_path / "inside")
    (inside / "link").symlink_to(outside / "secret")
    (inside / "folder").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    os.mkfifo(inside / "pipe")
    assert names(entries([inside], BOUNDS)) == ["file"]


def test_folders_lie_as_deep_as_they_like(tmp_path):
    deepest = tmp_path
    try:
        for _ in range(1200):  # more than Python calls one another, less than a path may be long
            (deepest / "d").mkdir()
            deepest /= "d"
        laid({"file": b"f"}, deepest)
        (found,) = entries([tmp_path], BOUNDS)
        assert len(found.parts) == 1201
        with found.open() as file:
            assert file.read() == b"f"
    finally:  # what clears up after tests goes down by calls too
        (deepest / "file").unlink(missing_ok=True)
        while deepest != tmp_path:
            deepest.rmdir()
            deepest = deepest.parent


def test_a_closed_folder_is_unreadable_and_the_others_are_taken(tmp_path, monkeypatch):
    laid({"a/1": b"1", "closed/2": b"2", "z/3": b"3"}, tmp_path)
    asked = os.scandir

    def scandir(folder):
        """As for a user whom the folder does not let in; the tests may run as one who is let in everywhere."""
        if folder.name == "closed":
            raise PermissionError
        return asked(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = entries([tmp_path], BOUNDS)
    assert [(one.where, one.parts, one.aside) for one in found] == [
        ("1", ("a", "1"), None),
        ("2", ("closed",), Aside.UNREADABLE),
        ("3", ("z", "3"), None),
    ]
    with pytest.raises(PermissionError):
        entries([tmp_path / "a", tmp_path / "closed"], BOUNDS)


def test_a_path_is_a_file_or_a_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OSError, match="neither a file nor a folder"):
            entries([path], BOUNDS)
    (tmp_path / "link").symlink_to(laid({"x": b"x"}, tmp_path / "folder") / "x")
    assert names(entries([tmp_path / "link"], BOUNDS)) == ["link"]


def test_a_path_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        entries([tmp_path / "nowhere"], BOUNDS)


def test_no_entry_shows_a_name(tmp_path):
    (found,) = entries([laid({"Doe^John.dcm": b""}, tmp_path)], BOUNDS)
    assert "Doe" not in repr(found)


def test_of_a_medium_only_what_it_names_is_taken(tmp_path):
    laid({"DICOMDIR": dicomdir(("IMAGES", "A1"), ("IMAGES", "A2")), "IMAGES/A1": b"1", "IMAGES/A2": b"2"}, tmp_path)
    laid({"VIEWER.EXE": b"MZ", "IMAGES/A3": b"3", "README": b"r"}, tmp_path)
    assert names(entries([tmp_path], BOUNDS)) == ["DICOMDIR", "IMAGES/A1", "IMAGES/A2"]


def test_the_same_in_a_zip(tmp_path):
    path = packed({"CD/DICOMDIR": dicomdir(("A1",)), "CD/A1": b"1", "CD/A2": b"2", "beside": b"b"}, tmp_path / "x.zip")
    assert names(of_zip(path)) == ["CD/A1", "CD/DICOMDIR", "beside"]


def test_an_entry_of_a_zip_may_have_no_name(tmp_path):
    """As a NUL at its beginning leaves it."""
    path = packed({"name": b"data", "other": b"more"}, tmp_path / "x.zip")
    data = path.read_bytes().replace(b"name", b"\0ame")
    found = members(BytesIO(data), ("x.zip",), Inbound())
    assert names(found) == ["x.zip", "x.zip/other"]
    for one, held in zip(found, (b"data", b"more"), strict=True):
        with one.open() as file:
            assert file.read() == held


def test_a_volume_whose_name_stands_twice_in_a_zip_is_two(tmp_path):
    path = packed({"a.nii": b"first", "b.nii": b"second", "a.json": b"{}"}, tmp_path / "x.zip")
    data = path.read_bytes().replace(b"b.nii", b"a.nii")
    found = together(members(BytesIO(data), (), Inbound()))
    assert [(one.parts, list(one.beside)) for one in found] == [(("a.nii",), [".json"])] * 2
    assert {one.open().read() for one in found} == {b"first", b"second"}


def test_names_are_compared_as_media_show_them(tmp_path):
    laid({"dicomdir": dicomdir(("IMAGES", "A1"), ("IMAGES", "A2")), "images/a1": b"1", "images/A2.;1": b"2"}, tmp_path)
    assert len(names(entries([tmp_path], BOUNDS))) == 3


def test_each_medium_of_a_tree_has_its_own_word(tmp_path):
    laid({"one/DICOMDIR": dicomdir(("A",)), "one/A": b"", "one/B": b"", "two/A": b"", "two/B": b""}, tmp_path)
    laid({"one/in/DICOMDIR": dicomdir(("B",)), "one/in/A": b"", "one/in/B": b""}, tmp_path)
    assert names(entries([tmp_path], BOUNDS)) == [
        "one/A", "one/DICOMDIR", "one/in/B", "one/in/DICOMDIR", "two/A", "two/B",
    ]  # fmt: skip


def test_what_is_named_in_vain_is_missing(tmp_path):
    laid({"DICOMDIR": dicomdir(("A",), ("LOST", "B")), "A": b""}, tmp_path)
    found = entries([tmp_path], BOUNDS)
    assert [one.aside for one in found] == [None, None, Aside.MISSING]
    with pytest.raises(FileNotFoundError):
        found[-1].open()


@pytest.mark.parametrize("file_id", [("..", "secret"), ("..", "..", "etc", "passwd"), ("/etc/passwd",), ("", "secret")])
def test_a_dicomdir_that_points_outside_points_nowhere(tmp_path, file_id):
    laid({"secret": b"s", "in/A": b"a"}, tmp_path)
    laid({"in/DICOMDIR": dicomdir(("A",), file_id)}, tmp_path)
    found = entries([tmp_path / "in"], BOUNDS)
    assert names(found) == ["A", "DICOMDIR"]
    assert found[-1].aside is Aside.MISSING


@pytest.mark.parametrize("data", [b"", b"no directory", dicomdir(("A",))[:-3], saved(mr())])
def test_a_dicomdir_that_cannot_be_read_hides_nothing(tmp_path, data):
    laid({"DICOMDIR": data, "A": b"", "B": b""}, tmp_path)
    assert names(entries([tmp_path], BOUNDS)) == ["A", "B", "DICOMDIR"]


def test_a_dicomdir_beyond_the_bounds_is_not_read(tmp_path):
    laid({"DICOMDIR": dicomdir(("A",)), "A": b"", "B": b""}, tmp_path)
    assert names(entries([tmp_path], Bounds(header_bytes=100))) == ["A", "B", "DICOMDIR"]
    assert named(dicomdir(("A",)), Bounds(elements=3)) is None


@given(st.lists(st.tuples(NAME, NAME), max_size=20))
def test_every_file_id_is_read(file_ids):
    assert named(dicomdir(*file_ids), BOUNDS) == {plain(one) for one in file_ids} or not file_ids


@given(st.integers(0, 600), st.binary(min_size=1, max_size=6))
def test_a_mutated_dicomdir_never_fails(at, change):
    data = bytearray(dicomdir(("IMAGES", "A1"), ("IMAGES", "A2")))
    data[at : at + len(change)] = change
    found = named(bytes(data), BOUNDS)
    assert found is None or all(isinstance(part, str) for parts in found for part in parts)


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a/../../b", "C:\\windows\\x", "Doe^John", "a//b"])
def test_a_members_name_is_only_a_name(tmp_path, name):
    """Nothing is extracted: a name that leads elsewhere leads nowhere."""
    inside = tmp_path / "deep" / "deeper"
    inside.mkdir(parents=True)
    (found,) = of_zip(packed({name: b"text"}, inside / "x.zip"))
    with found.open() as file:
        assert file.read() == b"text"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [inside / "x.zip"]


def test_a_zip_with_too_many_entries_is_not_opened(tmp_path):
    path = packed({f"{number}": b"" for number in range(11)}, tmp_path / "x.zip")
    assert len(of_zip(path, Inbound(max_zip_entries=11))) == 11
    with pytest.raises(Beyond):
        of_zip(path, Inbound(max_zip_entries=10))


def test_a_zip_that_unpacks_to_too_much_is_not_opened(tmp_path):
    path = packed({"a": bytes(50_000), "b": bytes(50_000)}, tmp_path / "bomb.zip")
    assert path.stat().st_size < 1000
    assert len(of_zip(path, Inbound(max_zip_bytes=100_000))) == 2
    with pytest.raises(Beyond):
        of_zip(path, Inbound(max_zip_bytes=99_999))


def test_a_central_directory_beyond_all_measure_is_not_read(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(80):
            info = zipfile.ZipInfo(str(number))
            info.comment = bytes(60_000)
            archive.writestr(info, b"")
    with pytest.raises(Beyond):
        of_zip(path, Inbound(max_zip_entries=100))
    assert len(of_zip(path)) == 80


def test_an_entry_that_lies_of_its_size_gives_no_more_than_it_says(tmp_path):
    path = packed({"a": bytes(100_000)}, tmp_path / "x.zip")
    size = (100_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))
    (found,) = of_zip(path, Inbound(max_zip_bytes=10))
    with found.open() as file, pytest.raises(zipfile.BadZipFile, match="CRC"):
        file.read(1000)


def test_what_is_encrypted_or_strangely_packed_is_said_to_be_unreadable(tmp_path):
    path = packed({"a": b"text" * 100}, tmp_path / "x.zip", zipfile.ZIP_BZIP2)
    assert [one.aside for one in of_zip(path)] == [Aside.UNREADABLE]
    path = packed({"a": b"text"}, tmp_path / "y.zip", zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert [one.aside for one in of_zip(path)] == [Aside.UNREADABLE]


@given(st.data())
def test_a_mutated_zip_is_read_or_refused(data):
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", saved(mr()))
        archive.writestr("b", b"text")
    whole = bytearray(buffer.getvalue())
    at = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.binary(min_size=1, max_size=8))
    whole[at : at + len(change)] = change
    try:
        for one in selected(members(BytesIO(whole), (), Inbound()), BOUNDS):
            with one.open() as file:
                assert len(file.read()) <= one.size
    except (*DAMAGED, Beyond):
        pass
