"""Private attributes that are named and came in another form than their maker's: left out, and the rest goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from encoded import EXPLICIT, IMPLICIT, explicit, image, implicit, instance, items, sequence

from scp.deidentify.fields import parse
from scp.deidentify.generate import research_mri
from scp.deidentify.plan import Plan
from scp.deidentify.profile import FOLDER, private_vr, safe_private, technical
from scp.deidentify.values import rewrite
from scp.instance import Subject
from scp.outcome import Failure, Outcome

RECIPE = """REMOVE ALL
KEEP PixelSpacing
KEEP PatientSex
# because: a test
KEEP (0043,"GEMS_PARM_01",2C)
REPLACE (0043,"GEMS_PARM_01",83) func:numbers
KEEP (0021,"SIEMENS MR SDS 01",FE)
"""
GE, SIEMENS = explicit(0x00430010, "LO", b"GEMS_PARM_01"), explicit(0x00210010, "LO", b"SIEMENS MR SDS 01 ")
SPACING, DOE = explicit(0x00280030, "DS", b"1\\1 "), b"DOE^JOHN"


@pytest.fixture
def plan(plan_of: Callable[..., Plan]) -> Plan:
    return plan_of(RECIPE)


def left(plan: Plan, subject: Subject, data: bytes, transfer_syntax: str = EXPLICIT) -> bytes:
    return b"".join(plan.apply(instance(data, transfer_syntax), subject).parts)


@pytest.mark.parametrize("vr", ["LO", "DS", "OB", "UT"])
def test_a_number_that_came_as_something_else_is_left_out(plan: Plan, subject: Subject, vr: str) -> None:
    made = left(plan, subject, image(SPACING, GE, explicit(0x0043102C, vr, DOE)))
    assert SPACING in made
    assert DOE not in made
    assert explicit(0x0043102C, "SS", b"\x84\1") in left(
        plan, subject, image(GE, explicit(0x0043102C, "SS", b"\x84\1"))
    )


@pytest.mark.parametrize("vr", ["DS", "LO", "UN", "OB", "SH"])
def test_checked_text_is_checked_whatever_it_came_as(plan: Plan, subject: Subject, vr: str) -> None:
    made = left(plan, subject, image(GE, explicit(0x00431083, vr, b"0.5\\" + DOE + b"\\1 ")))
    assert explicit(0x00431083, "DS", b"0.5\\\\1") in made
    assert DOE not in made


@pytest.mark.parametrize(
    "block",
    [
        explicit(0x002110FE, "OB", DOE),
        explicit(0x002110FE, "UN", DOE),
        explicit(0x002110FE, "UN", items([implicit(0x00100010, DOE)])[:-2]),
        explicit(0x002110FE, "LO", DOE),
    ],
)
def test_what_should_be_a_sequence_and_is_none_is_left_out(plan: Plan, subject: Subject, block: bytes) -> None:
    made = left(plan, subject, image(SPACING, SIEMENS, block))
    assert SPACING in made
    assert DOE not in made


def test_a_public_attribute_in_another_form_is_still_refused(plan: Plan, subject: Subject) -> None:
    with pytest.raises(Failure) as error:
        left(plan, subject, image(explicit(0x00280030, "OB", DOE)))
    assert error.value.outcome is Outcome.NOT_DEIDENTIFIED


@pytest.mark.parametrize("undefined", [False, True])
def test_inside_a_private_sequence_the_same_rules_hold(plan: Plan, subject: Subject, *, undefined: bool) -> None:
    inside = explicit(0x00100010, "PN", DOE) + explicit(0x00100040, "CS", b"F ") + explicit(0x00211001, "LO", DOE)
    made = left(plan, subject, image(SIEMENS, sequence(0x002110FE, inside, undefined=undefined)))
    assert explicit(0x00100040, "CS", b"F ") in made
    assert DOE not in made


def test_the_same_without_value_representations(plan: Plan, subject: Subject) -> None:
    sent = image(SPACING, GE, explicit(0x0043102C, "SS", b"\x84\1"))
    body = b"".join(
        implicit(tag, value)
        for tag, value in (
            (0x00080016, b"1.2.840.10008.5.1.4.1.1.4\0"),
            (0x00080018, b"1.2.3.4\0"),
            (0x00430010, b"GEMS_PARM_01"),
            (0x0043102C, b"\x84\1"),
            (0x00431083, b"1\\" + DOE + b" "),
        )
    )
    made = left(plan, subject, body, IMPLICIT)
    assert explicit(0x0043102C, "SS", b"\x84\1") in made
    assert explicit(0x0043102C, "SS", b"\x84\1") in left(plan, subject, sent)
    assert explicit(0x00431083, "DS", b"1\\") in made
    assert DOE not in made


# The list


def test_every_row_of_the_list_is_a_line_of_research_mri() -> None:
    text = research_mri()
    for one in technical().values():
        field = f'({one.group:04X},"{one.creator}",{one.element:02X})'
        line = f"REPLACE {field} func:{one.function}" if one.function else f"KEEP {field}"
        assert f"\n{line}\n" in text
        private = parse(field)
        assert private.vr == one.vr, field
        if one.function:
            assert rewrite("REPLACE", f"func:{one.function}", private)


def test_text_and_blocks_pass_only_through_what_checks_them() -> None:
    unchecked = {one.vr for one in technical().values() if not one.function}
    assert unchecked <= {"FD", "FL", "SL", "SQ", "SS", "UL", "US"}


def test_the_list_repeats_nothing_of_the_standard() -> None:
    assert not technical().keys() & safe_private().keys()
    assert private_vr(0x0043, "GEMS_PARM_01", 0x2C) == "SS"
    assert private_vr(0x0019, "GEMS_ACQU_01", 0x9E) == "LO"
    assert private_vr(0x0043, "NOBODY", 0x2C) is None


def test_a_list_that_repeats_the_standard_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "technical.csv"
    path.write_text((FOLDER / "technical.csv").read_text() + '"(0019,xx9E)",GEMS_ACQU_01,LO,codes,again\n')
    with pytest.raises(ValueError, match="twice"):
        technical(path)
