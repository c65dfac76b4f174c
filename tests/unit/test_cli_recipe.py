"""The recipe tools: coverage, one file before and after, a whole folder; no value of a patient unless asked for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from encoded import EXPLICIT, MR, UID, explicit, image, sequence
from typer.testing import CliRunner, Result

from scp import cli
from scp.dataset import read
from scp.deidentify import dry, part10
from scp.dictionary import ATTRIBUTES, TAGS
from scp.outcome import Failure, Outcome

NEEDLE = "QZNEEDLE^JOHN"
BODY = image(
    explicit(0x00100010, "PN", NEEDLE),
    explicit(0x00080080, "LO", ""),
    explicit(0x00209116, "SQ", b""),
    sequence(0x00400555, explicit(0x00081155, "UI", "1.2.3.77")),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dicom" / "image.dcm"
    path.parent.mkdir()
    path.write_bytes(part10.head(MR, UID, EXPLICIT) + BODY)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["recipe", *map(str, words)], catch_exceptions=False)


def rows(result: Result) -> list[dict[str, object]]:
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


# coverage


def test_coverage_of_the_basic_profile_is_empty() -> None:
    result = run("coverage", "basic")
    assert result.exit_code == 0
    assert "weakens no row" in result.stdout


@pytest.mark.parametrize("name", ["mip", "mip-strict", "research-mri", "basic,retain-uids"])
def test_every_weakening_of_a_recipe_that_is_shipped_says_why(name: str) -> None:
    result = run("coverage", name, "--json")
    assert result.exit_code == 0
    assert all(row["because"] and row["line"] for row in rows(result))


def test_coverage_names_attribute_code_line_and_reason() -> None:
    (sex,) = [row for row in rows(run("coverage", "mip", "--json")) if "PatientSex" in str(row["attribute"])]
    assert sex["code"] == "Z"
    assert sex["action"] == "kept as sent"
    assert "113108" in str(sex["because"])


def test_what_stays_because_nothing_names_it_is_line_0_and_exit_1(tmp_path: Path) -> None:
    path = tmp_path / "open.dicom"
    path.write_text("FORMAT dicom\n%header\nREMOVE PatientName\nREPLACE SOPInstanceUID func:uid\n")
    result = run("coverage", path, "--json")
    assert result.exit_code == 1
    open_rows = [row for row in rows(result) if row["line"] == 0]
    assert len(open_rows) > 600
    assert "(0010,0010) PatientName" not in {row["attribute"] for row in open_rows}


# check


@pytest.mark.parametrize("name", ["mip", "research-mri"])
def test_check_and_explain_say_the_same_of_a_line(name: str) -> None:
    """So a sequence that is kept is not said to leave as it was sent."""
    said = {str(row["attribute"]).split(" ")[-1]: row["action"] for row in rows(run("check", name, "--json"))}
    sequences = [one for one in said if one in TAGS and ATTRIBUTES[TAGS[one]].vrs == ("SQ",)]
    assert "kept, its items by the same rules" in {said[one] for one in sequences}
    for one in ["DimensionIndexSequence", "SequenceName", *sequences[::20]]:
        explained = rows(run("explain", one, "--recipe", name, "--json"))
        assert one not in said or said[one] in {row["action"] for row in explained}


# diff


def test_diff_shows_what_becomes_of_each_attribute(file: Path) -> None:
    change = {row["attribute"]: row["change"] for row in rows(run("diff", file, "--recipe", "basic", "--json"))}
    assert change["(0010,0010) PatientName"] == "replaced"
    assert change["(0008,0016) SOPClassUID"] == "kept"
    assert change["(0012,0062) PatientIdentityRemoved"] == "written"
    assert change["(0040,0555) AcquisitionContextSequence"] == "blanked"
    assert change["(0040,0555) AcquisitionContextSequence[0] (0008,1155) ReferencedSOPInstanceUID"] == "removed"
    assert change["(7FE0,0010) PixelData"] == "kept"


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_diff_masks_all_values(file: Path, words: list[str]) -> None:
    result = run("diff", file, "--recipe", "mip", *words)
    assert result.exit_code == 0
    for value in ("QZNEEDLE", "JOHN", "PATIENT-77", "1.2.3.1"):
        assert value not in result.stdout
    assert "(13 characters)" in result.stdout


def test_diff_says_how_much_there_is_of_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    long, words = explicit(0x00204000, "LT", "x" * 2_000), explicit(0x00104000, "LT", "3 bytes")
    path.write_bytes(part10.head(MR, UID, EXPLICIT) + image(sequence(0x00400275, b"", b""), long, words))
    found = {str(row["attribute"])[12:]: row["before"] for row in rows(run("diff", path, "-r", "basic", "--json"))}
    assert (found["Rows"], found["PixelData"], found["RequestAttributesSequence"]) == (
        "(2 bytes)",
        "(8 bytes)",
        "(2 items)",
    )
    assert (found["ImageComments"], found["PatientComments"]) == ("(2000 bytes)", "(7 characters)")
    assert found["PatientID"] == "(10 characters)"


@pytest.mark.parametrize("words", [["--reveal"], ["--reveal", "--json"]])
def test_values_are_revealed_on_a_terminal_only(file: Path, words: list[str]) -> None:
    result = run("diff", file, "--recipe", "mip", *words)
    assert result.exit_code == 2
    assert "QZNEEDLE" not in result.stdout
    assert "terminal only" in result.stderr


def test_values_are_revealed_on_a_terminal(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    cli.recipe.diff(file, recipe="mip", config=None, reveal=True, as_json=False)
    assert "QZNEEDLE" in capsys.readouterr().out.replace("\n", "")


def test_a_file_that_cannot_be_read_is_exit_1(tmp_path: Path) -> None:
    assert run("diff", tmp_path / "absent.dcm").exit_code == 1


@pytest.mark.parametrize(
    ("sent", "changed"),
    [(MR.encode(), "1.2.840.10008.5.1.4.1.1.é".encode("latin-1")), (MR.encode(), b"QZNEEDLE^JOHN            "),
     (MR.encode(), bytes(25)), (b"\2\0\3\0UI", b"\2\0\3\0U\xae"), (b"\2\0\2\0UI", b"\2\0\2\0FD"),
     (b"\2\0\x10\0UI", b"\2\0\x10\0FD"), (b"\2\0\0\0UL\4\0", b"\2\0\0\0SS\4\0")],
)  # fmt: skip
def test_damaged_file_meta_information_is_one_more_reason(file: Path, sent: bytes, changed: bytes) -> None:
    """Of a folder the other files are tried; nothing of the damaged one is told."""
    whole = file.read_bytes()
    assert sent in whole[:400]
    file.with_name("damaged.dcm").write_bytes(whole[:400].replace(sent, changed) + whole[400:])
    result = run("try", file.parent, "--recipe", "basic", "--json")
    assert sorted((row["outcome"], row["files"]) for row in rows(result)) == [("de-identified", 1), ("malformed", 1)]
    assert "QZNEEDLE" not in result.output


@pytest.mark.parametrize("tag", [0x00100020, 0x0020000D])
def test_what_no_node_would_take_does_not_come_through(file: Path, tag: int) -> None:
    vr = "LO" if tag == 0x00100020 else "UI"
    file.with_name("nobody.dcm").write_bytes(part10.head(MR, UID, EXPLICIT) + image(explicit(tag, vr, "")))
    result = run("try", file.parent, "--recipe", "basic", "--json")
    assert result.exit_code == 1
    found = {row["outcome"]: (row["files"], row["why"]) for row in rows(result)}
    assert found["unidentified"] == (1, "PatientID or StudyInstanceUID is missing or empty")
    assert found["de-identified"] == (1, "")


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(f"notes on {NEEDLE}" * 40)
    with pytest.raises(Failure) as error:
        dry.instance(path)
    assert error.value.outcome is Outcome.MALFORMED
    assert "QZNEEDLE" not in str(error.value)


# try


def test_a_folder_that_comes_through_is_exit_0(file: Path) -> None:
    result = run("try", file.parent, "--json")
    assert result.exit_code == 0
    assert rows(result) == [{"outcome": "de-identified", "files": 1, "why": ""}]


def test_a_folder_says_how_many_fail_and_why(file: Path) -> None:
    (file.parent / "deeper").mkdir()
    for number in range(2):
        (file.parent / "deeper" / f"notes{number}.txt").write_text(f"notes on {NEEDLE}")
    (file.parent / "cut.dcm").write_bytes(file.read_bytes()[:-4])
    result = run("try", file.parent, "--json")
    assert result.exit_code == 1
    assert {str(row["outcome"]): row["files"] for row in rows(result)} == {
        "malformed": 2,
        "de-identified": 1,
        "incomplete": 1,
    }
    assert "QZNEEDLE" not in result.output


BLANKING = """FORMAT dicom
%labels
ADD id blanking
ADD applies 113100
ADD pixels_blank top
%filter top
LABEL the first row
  present Rows
  coordinates 0,0,2,1
%header
REMOVE ALL
KEEP SOPClassUID
REPLACE SOPInstanceUID func:uid
KEEP PixelData
KEEP Rows
KEEP Columns
"""


def test_what_leaves_with_regions_blanked_is_counted_apart(file: Path) -> None:
    recipe = file.parents[1] / "blanking.dicom"
    recipe.write_text(BLANKING)
    said = {0x00280101: b"\x10\0", 0x00280102: b"\x0f\0"}
    shown = explicit(0x00280004, "CS", "MONOCHROME2"), *(explicit(tag, "US", value) for tag, value in said.items())
    file.write_bytes(part10.head(MR, UID, EXPLICIT) + image(*shown))
    result = run("try", file.parent, "--recipe", recipe, "--json")
    assert rows(result) == [{"outcome": "de-identified", "files": 1, "why": "regions blanked: the first row"}]
    assert result.exit_code == 0


def test_nothing_is_written_into_the_folder(file: Path) -> None:
    before = {path: path.read_bytes() for path in file.parent.rglob("*")}
    run("try", file.parent)
    assert {path: path.read_bytes() for path in file.parent.rglob("*")} == before


@pytest.mark.parametrize("words", [("diff", "image.dcm"), ("try", ".")])
def test_what_a_library_warns_of_is_not_shown(file: Path, words: tuple[str, str]) -> None:
    """As people run it: warnings of libraries hold values of elements."""
    file.write_bytes(part10.head(MR, NEEDLE, EXPLICIT) + BODY)
    command = [sys.executable, "-m", "scp.cli", "recipe", words[0], str(file.parent / words[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert NEEDLE not in done.stdout + done.stderr
    assert '"room": "library"' in done.stderr  # who warned is told, and nothing of what it said


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no files" in run("try", tmp_path / "empty").stdout
    assert run("try", tmp_path / "absent").exit_code == 1


# What the tools stand on


def test_changes_are_in_the_order_of_tags_and_hold_no_value_in_their_repr() -> None:
    before = read(BODY, explicit=True)
    changes = dry.changes(before, before)
    assert all(change.same for change in changes)
    assert [change.where for change in changes] == sorted(change.where for change in changes)
    assert "QZNEEDLE" not in repr(changes)


def test_a_dry_run_belongs_to_nobody() -> None:
    assert dry.nobody().secret != dry.nobody().secret
    assert len(dry.nobody().secret) == 32
