"""Recipes written in a test, compiled, and applied to a few bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import find, read
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


@pytest.fixture(scope="session")
def mip() -> Plan:
    return compile_plan(read(find("mip")), Policy({}))


@pytest.fixture(scope="session")
def mip_strict() -> Plan:
    return compile_plan(read(find("mip-strict")), Policy({}))


@pytest.fixture(scope="session")
def subject() -> Subject:
    return Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
