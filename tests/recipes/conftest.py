"""Recipes written in a test, compiled, and applied to a few bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import combine, find, read
from scp.instance import Subject

NEEDED = "KEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe of these header lines (and %labels lines), with what every recipe needs."""

    def written(lines: str, labels: str = "") -> Path:
        path = tmp_path / "written.dicom"
        section = f"%labels\n{labels}\n" if labels else ""
        path.write_text(f"FORMAT dicom\n{section}%header\n# because: a test\n{NEEDED}{lines}\n")
        return path

    return written


@pytest.fixture
def plan_of(write: Callable[..., Path]) -> Callable[..., Plan]:
    """Compiles such a recipe."""

    def compiled(lines: str, labels: str = "", **protocols: str) -> Plan:
        return compile_plan(read(write(lines, labels)), Policy(protocols))

    return compiled


EVERY_IMAGE = """FORMAT dicom
%labels
ADD pixels_pass every-image
%filter every-image
LABEL every image
  present SOPClassUID
%header
"""


@pytest.fixture(scope="session")
def unpolicied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Plan]:
    """Compiles a recipe that lets images of all kinds leave, for tests of what becomes of headers."""
    path = tmp_path_factory.mktemp("recipes") / "every.dicom"
    path.write_text(EVERY_IMAGE)
    return lambda name: compile_plan(combine([read(find(name)), read(path)]), Policy({}))


@pytest.fixture(scope="session")
def shipped() -> Plan:
    """The default recipe with its own pixel policy."""
    return compile_plan(read(find("mip")), Policy({}))


@pytest.fixture(scope="session")
def mip(unpolicied: Callable[[str], Plan]) -> Plan:
    return unpolicied("mip")


@pytest.fixture(scope="session")
def mip_strict(unpolicied: Callable[[str], Plan]) -> Plan:
    return unpolicied("mip-strict")


@pytest.fixture(scope="session")
def subject() -> Subject:
    return Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
