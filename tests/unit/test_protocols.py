"""The structural list, read back as the pipeline's own reader does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner
from visiting import House, image

from scp.cli import app
from scp.config.bids import DEFAULT
from scp.exports import ExportError
from scp.exports.protocols import structural
from scp.steward.report import Reports

NAMES = st.sets(st.text("T1 MPRAGE3D_.-]", min_size=1, max_size=50).map(str.strip).filter(bool), max_size=8)


def names_of(text, step, section):
    """What the reader finds: lines that are not blank, from the step's section to the next that opens one."""
    lines = [line for line in text.split("\n") if line.strip()]
    at = lines.index(step) + 1
    while section not in lines[at]:
        at += 1
    found = []
    while "[" not in lines[at + 1] and "__" not in lines[at + 1]:  # IndexError where no line closes the section
        at += 1
        found.append(lines[at].rstrip())
    return found


@given(NAMES)
def test_the_reader_finds_what_was_written_or_nothing_is_written(names):
    others = ("MAP", "MP2RAGE")  # of what these letters spell; the default places neither
    t1 = sorted(
        name for name in names if ("T1" in name or "MPRAGE" in name) and not any(other in name for other in others)
    )
    if not t1 or any("__" in name for name in t1):
        with pytest.raises(ExportError):
            structural(names, DEFAULT)
    else:
        assert names_of(structural(names, DEFAULT), "__ATLASING__", "[STRUCTURAL]") == t1


def test_the_section_stands_among_others():
    file = "__MPM__\n[T1]\nt1_mtflash\n" + structural(["T1 MPRAGE"], DEFAULT) + "\n__fMRI__\n[EPI]\nepi\n[end]\n"
    assert names_of(file, "__ATLASING__", "[STRUCTURAL]") == ["T1 MPRAGE"]
    assert names_of(file, "__MPM__", "[T1]") == ["t1_mtflash"]
    assert names_of(file, "__fMRI__", "[EPI]") == ["epi"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "no series is called by a name that"),
        (["T2", "T1 MAP", "UNLISTED", ""], "no series is called by a name that"),
        (["T1", "T1[2]", "T1__3"], r"2 of 3 names have \[ or __ in them"),
    ],
)
def test_a_list_that_its_reader_would_take_wrongly_is_none(names, why):
    with pytest.raises(ExportError, match=why):
        structural(names, DEFAULT)


def test_the_command_prints_what_was_published_and_what_is_configured(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "cloakroom.toml"
    file.write_text(f'state = "{house.config.state}"\nexport = "{house.config.export}"\n', "utf-8")
    said = CliRunner().invoke(app, ["export", "protocols"])
    assert (said.exit_code, said.stdout) == (1, "")

    house.store(image(1, SeriesDescription="T1 MPRAGE"), image(2, SeriesDescription="T2", SeriesInstanceUID="2.25.8"))
    house.later()
    assert Reports(house.config.reports).descriptions() == {"T1 MPRAGE", "T2"}
    with file.open("a") as more:
        more.write('[protocols]\n"t1_mpr_sag" = "SAG T1 3D"\n"flair" = "T2 FLAIR"\n')
    said = CliRunner().invoke(app, ["export", "protocols"])
    assert said.exit_code == 0
    assert said.stdout == "__ATLASING__\n[STRUCTURAL]\nSAG T1 3D\nT1 MPRAGE\n[end]\n"
