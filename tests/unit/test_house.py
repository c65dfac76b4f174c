"""The laws of the house that a program can keep: sizes, one broad except, one maker of de-identified instances."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scp").rglob("*.py"))
TREES = {file: ast.parse(file.read_text("utf-8")) for file in FILES}


def nodes(kind):
    return [(file, node) for file, tree in TREES.items() for node in ast.walk(tree) if isinstance(node, kind)]


def functions():
    return [node.end_lineno - node.lineno + 1 for _, node in nodes(ast.FunctionDef)]


def calls(name):
    """Files that call something of this name."""
    found = nodes(ast.Call)
    return {file for file, node in found if name in {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_is_longer_than_300_lines(file):
    assert len(file.read_text("utf-8").splitlines()) <= 300


def test_no_two_modules_of_the_tests_have_one_name():
    """They find each other by name alone, so the second of a name would be the first in its disguise."""
    names = [file.name for file in (ROOT / "tests").rglob("*.py") if file.name not in {"__init__.py", "conftest.py"}]
    assert sorted(names) == sorted(set(names))


def test_functions_are_short():
    lengths = sorted(functions())
    assert lengths[-1] <= 60
    assert statistics.median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 30


def test_there_is_one_broad_except_and_it_is_at_the_front_door():
    broad = {
        file.relative_to(ROOT / "scp").as_posix()
        for file, handler in nodes(ast.ExceptHandler)
        if handler.type is None or getattr(handler.type, "id", "") in {"Exception", "BaseException"}
    }
    assert broad == {"receive/storage.py"}


def test_one_place_makes_de_identified_instances():
    assert calls("DeidentifiedInstance") == {ROOT / "scp" / "deidentify" / "plan.py"}
    assert calls("DeidentifiedHead") == {ROOT / "scp" / "deidentify" / "plan.py"}


def test_one_place_makes_de_identified_volumes():
    assert calls("DeidentifiedVolume") == {ROOT / "scp" / "volumes" / "clean.py"}


def test_the_environment_is_read_in_config_only():
    reading = {file for file, node in nodes(ast.Attribute) if node.attr in {"environ", "getenv"}}
    assert {file.parent.name for file in reading} == {"config"}


def test_nothing_is_skipped_or_expected_to_fail():
    words = ("pytest.ski" + "p", "importorski" + "p", "mark.xfai" + "l", "mark.ski" + "p")
    tests = [file for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)]
    assert [file.name for file in tests if any(word in file.read_text("utf-8") for word in words)] == []


def test_tests_outweigh_the_source():
    source = sum(len(file.read_text("utf-8").splitlines()) for file in FILES)
    tests = sum(len(file.read_text("utf-8").splitlines()) for file in (ROOT / "tests").rglob("*.py"))
    assert tests >= 1.2 * source


def test_nobody_looks_up_the_stairs():
    done = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


def test_no_lock_file_names_a_registry():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text
        assert text.count("--hash=sha256:") > text.count("==")


def test_every_page_that_is_linked_exists():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "deid_recipes" / "README.md"]:
        for part in page.read_text("utf-8").split("](")[1:]:
            target = part.split(")")[0].split("#")[0]
            if target and "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
