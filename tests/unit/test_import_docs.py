"""docs/import.md against the code."""

import re
from pathlib import Path

from test_docs import table

from scp.cli.import_ import CALLING
from scp.inbound import Aside

PAGE = (Path(__file__).parents[2] / "docs" / "import.md").read_text()


def test_every_way_aside_is_documented_and_none_else():
    assert table("import.md", "Result") == [(one.label, "yes" if one.fine else "no", one.meaning) for one in Aside]


def test_the_default_title_is_documented():
    assert f"without it, `{CALLING}`" in PAGE


def test_exit_codes_are_documented():
    assert re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE) == ["0", "1", "2"]
