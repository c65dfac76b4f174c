"""Lines that name an attribute in one place inside of sequences, as deid writes such places, held against deid."""

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from encoded import EXPLICIT, IMPLICIT, MR, UID, explicit, image, implicit, instance, items, ordered, sequence
from test_differential import comparable, theirs

from scp.deidentify import part10
from scp.deidentify.cleaning import Cleaning
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.fields import EVERY, Inside, parse
from scp.deidentify.places import Places
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, load
from scp.instance import Subject

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
REQUEST, PROTOCOL, STEP, MEANING, TEXT = 0x00400275, 0x00400008, 0x00400009, 0x00080104, 0x0040A160
Compiles = Callable[..., Plan]


def coded(meaning: str) -> bytes:
    return explicit(0x00080100, "SH", "T1") + explicit(MEANING, "LO", meaning)


def sent() -> bytes:
    """Two requests of two codes each, and the same attributes elsewhere."""
    first = ordered(sequence(PROTOCOL, coded("AA"), coded("BB")), explicit(STEP, "SH", "XONE"))
    second = ordered(sequence(PROTOCOL, coded("CC"), coded("DD")), explicit(STEP, "SH", "XTWO"))
    return image(sequence(REQUEST, first, second), sequence(0x00081032, coded("EE")))


def left(plan: Plan, data: bytes, syntax: str = EXPLICIT) -> bytes:
    return b"".join(plan.apply(instance(data, syntax), SUBJECT).parts)


@pytest.mark.parametrize(
    ("line", "gone"),
    [
        ("REMOVE RequestAttributesSequence__ScheduledProcedureStepID", "XONE XTWO"),
        ("BLANK RequestAttributesSequence__ScheduledProcedureStepID", "XONE XTWO"),
        ("REMOVE RequestAttributesSequence__ScheduledProtocolCodeSequence__CodeMeaning", "AA BB CC DD"),
        ("BLANK RequestAttributesSequence__ScheduledProtocolCodeSequence__CodeMeaning", "AA BB CC DD"),
        ("REMOVE RequestAttributesSequence__ScheduledProtocolCodeSequence", "AA BB CC DD"),
        ("BLANK RequestAttributesSequence__ScheduledProtocolCodeSequence", "AA BB CC DD"),
        ("REMOVE (0040,0275)__1__(0040,0009)", "XTWO"),
        ("BLANK (0040,0275)__0__(0040,0008)__1__(0008,0104)", "BB"),
        ("REMOVE (0040,0275)__1__(0040,0008)__0__(0008,0104)", "CC"),
        ("REMOVE (0040,0275)__7__(0040,0009)", ""),
        ("REMOVE ProcedureCodeSequence__CodeMeaning", "EE"),
        ("REMOVE ScheduledProtocolCodeSequence__CodeMeaning", ""),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_only_that_place_is_meant_as_deid_means_it(plan_of: Compiles, line: str, gone: str, tmp_path: Path) -> None:
    made = left(plan_of(line), sent())
    for word in ("XONE", "XTWO", "AA", "BB", "CC", "DD", "EE"):
        assert (word.encode() in made[400:]) == (word not in gone.split()), word
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_deid = theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + sent())), line, tmp_path)
    if "Sequence" not in line.rsplit("__", maxsplit=1)[-1]:  # of a whole sequence deid blanks to text
        ours = comparable(pydicom.dcmread(BytesIO(made)))
        ours.pop(0x0020000D, None), ours.pop(0x0020000E, None)
        theirs_ = comparable(by_deid)
        theirs_.pop(0x0020000D, None), theirs_.pop(0x0020000E, None)
        assert theirs_ == ours


@pytest.mark.parametrize("verb", ["REMOVE", "BLANK"])
def test_implicit_unknown_and_undefined(plan_of: Compiles, verb: str) -> None:
    plan = plan_of(f"{verb} RequestAttributesSequence__ScheduledProcedureStepID")
    head = implicit(0x00080016, f"{MR}\0"), implicit(0x00080018, f"{UID}\0")
    inside = implicit(STEP, "ZZQQ")
    whole = ordered(*head, implicit(REQUEST, items([inside])))
    assert b"ZZQQ" not in left(plan, whole, IMPLICIT)
    assert b"ZZQQ" not in left(plan, image(explicit(REQUEST, "UN", items([inside]))))
    content = explicit(STEP, "SH", "ZZQQ")
    data = image(sequence(REQUEST, content, content, undefined=True, undefined_items=True))
    made = left(plan, data)
    assert b"ZZQQ" not in made
    assert len(pydicom.dcmread(BytesIO(made)).RequestAttributesSequence) == 2


def test_long_values_are_emptied_too(plan_of: Compiles) -> None:
    data = image(sequence(REQUEST, explicit(TEXT, "UT", "ZZQQ")))
    made = left(plan_of("BLANK RequestAttributesSequence__TextValue"), data)
    found = pydicom.dcmread(BytesIO(made))
    assert found.RequestAttributesSequence[0].TextValue == ""


def test_it_goes_whatever_other_lines_keep(plan_of: Compiles) -> None:
    plan = plan_of("KEEP ScheduledProcedureStepID\nREMOVE RequestAttributesSequence__ScheduledProcedureStepID")
    assert b"ZZQQ" not in left(plan, image(sequence(REQUEST, explicit(STEP, "SH", "ZZQQ"))))


def test_it_is_explained_by_its_line(plan_of: Compiles) -> None:
    plan = plan_of("REMOVE RequestAttributesSequence__ScheduledProcedureStepID")
    (decision,) = plan.explain("RequestAttributesSequence__ScheduledProcedureStepID")
    assert (decision.action, decision.line) == ("removed", 6)
    (other,) = plan.explain("RequestAttributesSequence__ScheduledProtocolCodeSequence")
    assert other.line == 0
    assert any(one.attribute.startswith("RequestAttributesSequence__") for one in plan.summary())


def test_the_same_place_twice_is_refused(plan_of: Compiles) -> None:
    line = "RequestAttributesSequence__ScheduledProcedureStepID"
    with pytest.raises(RecipeError, match="has a rule for this field already"):
        plan_of(f"REMOVE {line}\nREMOVE RequestAttributesSequence__CodeMeaning\nBLANK (0040,0275)__(0040,0009)")


def test_places_add_to_the_recipes_under_them(tmp_path: Path) -> None:
    site = tmp_path / "site.dicom"
    site.write_text("FORMAT dicom\n%header\nREMOVE RequestAttributesSequence__ScheduledProcedureStepID\n")
    plan = compile_plan(load(f"basic,clean-structured-content,{site}"), Policy({}))
    assert plan.places.lines
    assert plan.cleaning.contents
    without = compile_plan(load("basic"), Policy({}))
    assert without.cleaning == Cleaning()
    assert without.places == Places()


def test_both_ways_to_write_a_place() -> None:
    assert parse("RequestAttributesSequence__CodeMeaning") == Inside((REQUEST, MEANING), (EVERY,))
    assert parse("(0040,0275)__(0008,0104)") == Inside((REQUEST, MEANING), (EVERY,))
    assert parse("(0040,0275)__12__(0008,0104)") == Inside((REQUEST, MEANING), (12,))
    for wrong in ("CodeMeaning__", "__CodeMeaning", "RequestAttributesSequence__0__", "RequestAttributesSequence____X"):
        with pytest.raises(ValueError, match="keyword"):
            parse(wrong)


def tree(depth: int, count: int) -> list[bytes]:
    """Items of both sequences down to a depth, each with its own way down as value."""

    def inside(way: str, below: int) -> list[bytes]:
        mine = [explicit(MEANING, "LO", f"<{way}>")]
        for tag in (REQUEST, PROTOCOL) if below else ():
            contents = [ordered(*inside(f"{way}{tag:x}.{number} ", below - 1)) for number in range(count)]
            mine.append(sequence(tag, *contents))
        return mine

    return inside("", depth)
