"""What the image holds: the page of licences against the environment, and how an environment is assembled."""

import importlib.util
import re
from importlib.metadata import distribution
from pathlib import Path

import pytest

from cluster import licences

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def assemble():
    spec = importlib.util.spec_from_file_location("assemble", ROOT / "docker" / "assemble.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed():
    lines = (ROOT / "docs" / "licences.md").read_text("utf-8").splitlines()
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("| ")]
    return {name.replace("_", "-"): (version, words) for name, version, words in rows[1:]}


def test_the_page_names_what_the_image_holds(assemble):
    held = assemble.closure("cloakroom")
    for_other_pythons = {"tzdata", "colorama"}
    assert set(listed()) - for_other_pythons == set(held) - for_other_pythons


def test_versions_are_those_that_are_locked():
    locked = (ROOT / "requirements.lock").read_text("utf-8")
    for name, (version, _) in listed().items():
        if name != "cloakroom":
            assert re.search(rf"^{re.escape(name)}=={re.escape(version)}\b", locked, re.MULTILINE | re.IGNORECASE), name


def test_every_licence_is_known_and_none_binds_the_hospital():
    for name, (_, words) in listed().items():
        assert words != "unknown", name
        assert not re.search(r"\bA?GPL|\bSSPL|\bBUSL", words), name


def test_nothing_that_only_installs_or_draws_is_among_them(assemble):
    assert not {"pip", "matplotlib", "fonttools", "hatchling", "pytest"} & set(assemble.closure("cloakroom"))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("numpy/core.py", True),
        ("numpy/tests/test_core.py", False),
        ("pydicom/data/test_files/x.dcm", False),
        ("tests/__init__.py", True),
        ("rich/__pycache__/rich.pyc", False),
        ("../../../bin/f2py", False),
    ],
)
def test_which_files_are_kept(assemble, path, kept):
    assert assemble.wanted(Path(path)) is kept


def test_files_are_copied_and_counted(assemble, tmp_path):
    sizes = assemble.copy({"typer": distribution("typer")}, tmp_path)
    assert (tmp_path / "typer" / "__init__.py").exists()
    assert sizes == {"typer": sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())}


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([], "unknown"),
        ([{"expression": "MIT OR Apache-2.0"}], "MIT OR Apache-2.0"),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}, {"license": {"id": "MIT"}}], "MIT"),
        ([{"license": {"name": "License :: Public Domain"}}], "Public Domain"),
        ([{"license": {"id": "MIT"}}, {"license": {"id": "MIT"}}], "MIT"),
    ],
)
def test_a_licence_in_words(held, words):
    assert licences.licence({"name": "x", "licenses": held}) == words


def test_a_package_that_says_nothing_itself_is_looked_up():
    for name in licences.ELSEWHERE:
        assert licences.licence({"name": name}) == licences.ELSEWHERE[name]
        assert name in listed()


def test_the_page_is_in_order():
    parts = [{"name": name, "version": "1", "licenses": [{"expression": "MIT"}]} for name in ("b", "A")]
    assert licences.table({"components": parts}).endswith("| a | 1 | MIT |\n| b | 1 | MIT |\n")
