"""What series do to one another that vary in more than values: what was found, by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from encoded import EXPLICIT, explicit, image, sequence

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.deidentify.recipe import read as read_recipe

sys.path.append(str(Path(__file__).parents[1] / "fuzz"))
sys.path.append(str(Path(__file__).parents[1] / "dialogues"))
from beside import Sent, Tally, agree
from walker import SUBJECT, Case

SCANS = Path(__file__).parents[3] / "shared" / "data"
ALWAYS = [explicit(0x00180000 | number, "DS", f"{number}") for number in range(0x0050, 0x0062)]
ALWAYS += [explicit(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M\\ND"), explicit(0x00080060, "CS", "MR")]
COUNT = 9


def site(recipe: str, folder: Path) -> Plan:
    path = folder / "site.dicom"
    path.write_text(f"FORMAT dicom\n{recipe}", "ascii")
    return compile_plan(read_recipe(path), Policy({}))


def ends(plan: Plan, sent: Iterator[bytes]) -> Tally:
    """Raises Wrong where one of them ends otherwise than alone."""
    return agree(plan, Case("", EXPLICIT, b""), [Sent(SUBJECT, data) for data in sent])


@pytest.mark.parametrize("recipe", ["mip", "research-mri"])
def test_private_elements_behind_the_layout_keep_their_creator(recipe: str) -> None:
    """Philips' Stack Sequence, of undefined length, changes: it is read anew, and its creator stood in front of it."""

    def sent() -> Iterator[bytes]:
        for number in range(COUNT):
            stack = explicit(0x20010010, "LO", "Philips Imaging DD 001") + explicit(0x20011003, "FL", bytes(4))
            stack += sequence(0x2001105F, explicit(0x00280106, "US", bytes([number, 0])), undefined=True)
            yield image(*ALWAYS, explicit(0x00200013, "IS", str(number)), stack)

    assert ends(compile_plan(load(recipe), Policy({})), sent()) == Tally(COUNT, COUNT - 2)


@pytest.mark.parametrize("recipe", ["mip", "research-mri"])
def test_private_elements_that_come_behind_the_layout_have_a_creator_in_it(recipe: str) -> None:
    """The sequence is there in one image and not in the next."""

    def sent() -> Iterator[bytes]:
        for number in range(2 * COUNT):
            block = explicit(0x20010010, "LO", "Philips Imaging DD 001")
            block += explicit(0x20011003, "FL", bytes([number, 0, 0, 0]))
            stack = sequence(0x2001105F, explicit(0x00280106, "US", b"\1\0"), undefined=True)
            yield image(*ALWAYS, block + stack * (number >= COUNT))

    assert ends(compile_plan(load(recipe), Policy({})), sent()).through == 2 * COUNT


def test_an_image_whose_pixels_are_blanked_comes_in_the_middle(tmp_path: Path) -> None:
    """Others of its series pass; a label by what changes says that this one is blanked."""
    plan = site(
        "%labels\nADD pixels_blank screens\n# because: a test\nADD pixels_otherwise pass\n%filter screens\n"
        "LABEL screen\ncontains ImageType SCREEN\ncoordinates 0,0,1,1\n%header\nREMOVE ALL\n# because: a test\n"
        "KEEP SOPClassUID\nKEEP PixelData\nREPLACE SOPInstanceUID func:uid\n",
        tmp_path,
    )
    more = [explicit(0x00280004, "CS", "MONOCHROME2"), explicit(0x00280101, "US", b"\x10\0")]
    more += [explicit(0x00280102, "US", b"\x0f\0")]

    def sent() -> Iterator[bytes]:
        for number in range(COUNT):
            kind = explicit(0x00080008, "CS", "SCREEN" if number in {6, 8} else f"M{number}")
            yield image(*ALWAYS, *more, kind)

    assert ends(plan, sent()) == Tally(COUNT, COUNT - 2)


def test_what_is_made_twice_of_one_instance_asks_twice(tmp_path: Path) -> None:
    """Items laid out alike have the same empty date, for which the month of the scan stands, which changes."""
    plan = site(
        "%header\nREMOVE ALL\n# because: a test\nKEEP SOPClassUID\n# because: a test\nKEEP SourceImageSequence\n"
        "# because: a test\nKEEP ReferencedImageSequence\nREPLACE StudyDate func:scan_month\n"
        "REPLACE SOPInstanceUID func:uid\n",
        tmp_path,
    )
    items = [explicit(0x00080020, "DA")] * 5

    def sent() -> Iterator[bytes]:
        for number in range(1, COUNT + 1):
            day = explicit(0x00080022, "DA", f"20240{number}15")
            yield image(*ALWAYS, day, sequence(0x00081140, *items), sequence(0x00082112, *items))

    assert ends(plan, sent()) == Tally(COUNT, COUNT - 2)


def test_public_scans_as_they_come_from_the_scanner() -> None:
    """Each as one of its series and alone, where they are at hand."""
    folders = sorted({path.parent for path in SCANS.rglob("*.dcm")}) if SCANS.is_dir() else []
    for recipe in ("mip", "research-mri"):
        plan = compile_plan(load(recipe), Policy({}))
        for folder in folders:
            files = sorted(folder.glob("*.dcm"))[:12]
            syntax = str(pydicom.filereader.read_file_meta_info(files[0]).TransferSyntaxUID)
            agree(plan, Case(recipe, syntax, b""), [Sent(SUBJECT, _data_set(path.read_bytes())) for path in files])


def _data_set(file: bytes) -> bytes:
    return file[144 + int.from_bytes(file[140:144], "little") :]
