"""docs/import.md against the code."""

import re
from pathlib import Path

import pytest
import typer
from test_docs import table

from scp.cli.import_ import CALLING, _title
from scp.inbound import Aside

PAGE = (Path(__file__).parents[2] / "docs" / "import.md").read_text()


def test_every_way_aside_is_documented_and_none_else():
    assert table("import.md", "Result") == [(one.label, "yes" if one.fine else "no", one.meaning) for one in Aside]


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "A\\B", "Ä", "A\nB"])
def test_what_is_no_title_is_refused(title):
    with pytest.raises(typer.BadParameter):
        _title(title)


def test_a_title_is_taken_without_the_spaces_around_it():
    assert _title(" DISC 1 ") == "DISC 1"


def test_the_default_title_is_documented():
    assert f"without it, `{CALLING}`" in PAGE


def test_exit_codes_are_documented():
    assert re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE) == ["0", "1", "2"]
