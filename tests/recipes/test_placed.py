"""What is kept, written, moved or added in one place inside of sequences, held against deid where deid does it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from encoded import EXPLICIT, IMPLICIT, MR, UID, explicit, image, implicit, instance, items, ordered, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from test_differential import comparable, theirs
from test_places import MEANING, PROTOCOL, REQUEST, STEP, coded, sent, tree

from scp.dataset import BOUNDS, PIXEL_DATA
from scp.dataset import read as read_dataset
from scp.deidentify import coverage, part10
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.fields import EVERY, Inside
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, combine, read
from scp.dictionary import ATTRIBUTES
from scp.instance import DeidentifiedHead, Instance, Subject
from scp.outcome import Failure, Outcome
from scp.pixels import Header, begin

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
Compiles = Callable[..., Plan]
WAY = "RequestAttributesSequence__ScheduledProcedureStepID"
CODES = "RequestAttributesSequence__ScheduledProtocolCodeSequence"
STACK = '(2001,"Philips Imaging DD 001",5F)'
DATE = 0x00400004  # ScheduledProcedureStepEndDate


def left(plan: Plan, data: bytes, syntax: str = EXPLICIT) -> Dataset:
    plan = replace(plan, unguarded=frozenset(ATTRIBUTES))
    return pydicom.dcmread(BytesIO(b"".join(plan.apply(instance(data, syntax), SUBJECT).parts)))


def steps(made: Dataset) -> list[str | None]:
    return [item.get("ScheduledProcedureStepID") for item in made.RequestAttributesSequence]


def meanings(made: Dataset) -> list[list[str | None]]:
    sequences = [item.ScheduledProtocolCodeSequence for item in made.RequestAttributesSequence]
    return [[code.get("CodeMeaning") for code in codes] for codes in sequences]


# deid does the same


@pytest.mark.parametrize(
    "lines",
    [
        f"REPLACE {WAY} NEW",
        "REPLACE (0040,0275)__1__(0040,0009) NEW",
        f"REPLACE {CODES}__CodeMeaning NEW",
        "REPLACE (0040,0275)__0__(0040,0008)__1__(0008,0104) NEW",
        "REPLACE (0040,0275)__7__(0040,0009) NEW",
        "REPLACE ProcedureCodeSequence__CodeMeaning NEW",
        f"REMOVE ScheduledProcedureStepID\nREPLACE {WAY} NEW",
        f"REMOVE CodeMeaning\nREPLACE {CODES}__CodeMeaning NEW",
        f"BLANK CodeMeaning\nREPLACE {CODES}__CodeMeaning NEW",
        f"REPLACE {WAY} NEW\nREMOVE (0040,0275)__0__(0040,0008)",
        "JITTER RequestAttributesSequence__ScheduledProcedureStepEndDate 31",
        "JITTER (0040,0275)__1__(0040,0004) -1",
        "REMOVE ScheduledProcedureStepEndDate\nJITTER (0040,0275)__1__(0040,0004) 2",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_deid_means_the_same(plan_of: Compiles, lines: str, tmp_path: Path) -> None:
    dated = [ordered(explicit(DATE, "DA", f"2025030{n}"), explicit(STEP, "SH", "S")) for n in (1, 2)]
    for data in (sent(), image(sequence(REQUEST, *dated), sequence(0x00081032, coded("EE")))):
        ours = comparable(left(plan_of(lines), data))
        by_deid = comparable(theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + data)), lines, tmp_path))
        for made in (ours, by_deid):
            made.pop(0x0020000D), made.pop(0x0020000E)
        assert ours == by_deid


# deid does not


@pytest.mark.filterwarnings("ignore")
def test_keep_of_a_place_is_ignored_by_deid(plan_of: Compiles, tmp_path: Path) -> None:
    lines = f"REMOVE ScheduledProcedureStepID\nKEEP {WAY}"
    by_deid = theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + sent())), lines, tmp_path)
    assert steps(by_deid) == [None, None]
    assert steps(left(plan_of(lines), sent())) == ["XONE", "XTWO"]


@pytest.mark.parametrize("field", [WAY, "(0040,0275)__0__(0040,0009)"])
def test_add_in_a_place_stops_deid(plan_of: Compiles, field: str, tmp_path: Path) -> None:
    data = part10.head(MR, UID, EXPLICIT) + sent()
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        theirs(pydicom.dcmread(BytesIO(data)), f"ADD {field} NEW", tmp_path)
    assert steps(left(plan_of(f"ADD {field} NEW"), sent()))[0] == "NEW"


@pytest.mark.filterwarnings("ignore")
def test_a_place_is_stronger_wherever_its_line_stands(plan_of: Compiles, tmp_path: Path) -> None:
    # deid lets the last line win, so that an exception written first is lost.
    lines = f"REPLACE {WAY} HERE\nREPLACE ScheduledProcedureStepID ALL"
    by_deid = theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + sent())), lines, tmp_path)
    assert steps(by_deid) == ["ALL", "ALL"]
    assert steps(left(plan_of(lines), sent())) == ["HERE", "HERE"]


# What each verb does


def test_keep_lets_one_place_stay_and_no_other(plan_of: Compiles) -> None:
    lines = f"REMOVE ALL\nKEEP RequestAttributesSequence\nKEEP ProcedureCodeSequence\nKEEP {CODES}\n"
    made = left(plan_of(f"{lines}KEEP (0040,0275)__1__(0040,0008)__0__(0008,0104)"), sent())
    assert meanings(made) == [[None, None], ["CC", None]]
    assert made.ProcedureCodeSequence[0].get("CodeMeaning") is None
    assert steps(made) == [None, None]


def test_a_sequence_that_is_kept_in_one_place_is_gone_through(plan_of: Compiles) -> None:
    inner = sequence(PROTOCOL, ordered(coded("IN"), sequence(PROTOCOL, coded("DEEP"))))
    data = image(sequence(REQUEST, inner), sequence(0x00081032, inner))
    lines = f"REMOVE ALL\nKEEP RequestAttributesSequence\nKEEP ProcedureCodeSequence\nKEEP CodeMeaning\nKEEP {CODES}"
    made = left(plan_of(lines), data)
    (code,) = made.RequestAttributesSequence[0].ScheduledProtocolCodeSequence
    assert code.CodeMeaning == "IN"
    assert "CodeValue" not in code
    assert "ScheduledProtocolCodeSequence" not in code, "of its own kind, and not in that place"
    assert "ScheduledProtocolCodeSequence" not in made.ProcedureCodeSequence[0]


def test_add_writes_in_each_item_and_makes_none(plan_of: Compiles) -> None:
    data = image(sequence(REQUEST, explicit(0x00400007, "LO", "D1"), b"", explicit(0x00401001, "SH", "Z ")))
    made = left(plan_of(f"ADD {WAY} NEW"), data)
    assert steps(made) == ["NEW", "NEW", "NEW"]
    assert [list(item.keys()) for item in made.RequestAttributesSequence] == [
        [0x00400007, STEP], [STEP], [STEP, 0x00401001]]  # fmt: skip
    assert "RequestAttributesSequence" not in left(plan_of(f"ADD {WAY} NEW"), image())
    assert steps(left(plan_of("ADD (0040,0275)__2__(0040,0009) NEW"), data)) == [None, None, "NEW"]


def test_what_has_no_value_is_added_nowhere(plan_of: Compiles) -> None:
    plan = plan_of("ADD RequestAttributesSequence__ScheduledProcedureStepEndDate func:date_month")
    made = left(plan, image(sequence(REQUEST, explicit(DATE, "DA", "20250317"), explicit(STEP, "SH", "S "))))
    assert [item.get("ScheduledProcedureStepEndDate") for item in made.RequestAttributesSequence] == ["20250301", None]


def test_blank_leaves_no_value_where_another_line_writes_one(plan_of: Compiles) -> None:
    plan = plan_of(f"REPLACE ScheduledProcedureStepID NEW\nBLANK {WAY}")
    assert steps(left(plan, sent())) == ["", ""]


def test_the_line_with_a_number_is_the_exception(plan_of: Compiles) -> None:
    lines = [f"REPLACE {WAY} EVERY", "KEEP (0040,0275)__1__(0040,0009)"]
    for text in ("\n".join(lines), "\n".join(reversed(lines))):
        assert steps(left(plan_of(text), sent())) == ["EVERY", "XTWO"]


def test_functions_see_the_value_of_the_place(plan_of: Compiles) -> None:
    plan = plan_of(
        "REMOVE ALL\nKEEP RequestAttributesSequence\n"
        "REPLACE RequestAttributesSequence__ScheduledProcedureStepEndDate func:date_month\n"
        "REPLACE RequestAttributesSequence__StudyInstanceUID func:uid"
    )
    inside = ordered(explicit(DATE, "DA", "20250317"), explicit(0x0020000D, "UI", "1.2.3.1"))
    made = left(plan, image(sequence(REQUEST, inside)))
    (item,) = made.RequestAttributesSequence
    assert item.ScheduledProcedureStepEndDate == "20250301"
    assert item.StudyInstanceUID.startswith("2.25.")
    assert "StudyInstanceUID" not in made


@pytest.mark.parametrize("undefined", [{}, {"undefined": True}, {"undefined_items": True},
                                       {"undefined": True, "undefined_items": True}])  # fmt: skip
def test_lengths_stay_as_they_were_sent(plan_of: Compiles, undefined: dict[str, bool]) -> None:
    contents = [explicit(STEP, "SH", word) for word in ("AAAA", "BBBB")]
    data = image(sequence(REQUEST, *contents, **undefined))
    plan = replace(plan_of("REPLACE (0040,0275)__1__(0040,0009) NEW"), unguarded=frozenset(ATTRIBUTES))
    made = b"".join(plan.apply(instance(data), SUBJECT).parts)
    contents[1] = explicit(STEP, "SH", "NEW")
    assert sequence(REQUEST, *contents, **undefined) in made


def test_implicit_and_unknown(plan_of: Compiles) -> None:
    plan = plan_of(f"REMOVE ALL\nKEEP RequestAttributesSequence\nKEEP {WAY}")
    head = implicit(0x00080016, f"{MR}\0"), implicit(0x00080018, f"{UID}\0")
    inside = implicit(0x00400007, "GONE") + implicit(STEP, "STAY")
    whole = ordered(*head, implicit(REQUEST, items([inside])))
    assert steps(left(plan, whole, IMPLICIT)) == ["STAY"]
    unknown = left(plan, image(explicit(REQUEST, "UN", items([inside]))))
    assert unknown["RequestAttributesSequence"].VR == "SQ"
    assert steps(unknown) == ["STAY"]
    assert "GONE" not in str(unknown)


def test_the_choice_of_a_vr_is_that_of_the_item(plan_of: Compiles) -> None:
    icon, smallest, representation = 0x00880200, 0x00280106, 0x00280103
    lines = "REMOVE SmallestImagePixelValue\nKEEP IconImageSequence__SmallestImagePixelValue"
    head = implicit(0x00080016, f"{MR}\0"), implicit(0x00080018, f"{UID}\0")
    for signed, vr in ((b"\1\0", "SS"), (b"\0\0", "US")):
        inside = implicit(representation, signed) + implicit(smallest, b"\xff\xff")
        made = left(plan_of(lines), ordered(*head, implicit(icon, items([inside]))), IMPLICIT)
        element = made.IconImageSequence[0][smallest]
        assert {element.VR} == {vr}


@pytest.mark.parametrize("value", [b"\0\1\2\3", b"\xfe\xff\0\xe0\x08\0\0\0"])
def test_what_is_no_sequence_is_refused_as_without_the_line(plan_of: Compiles, value: bytes) -> None:
    for vr in ("UN", "LO"):
        with pytest.raises(Failure) as error:
            left(plan_of(f"KEEP {WAY}"), image(explicit(REQUEST, vr, value)))
        assert error.value.outcome is Outcome.NOT_DEIDENTIFIED


def test_what_stands_behind_the_pixels_is_reached(plan_of: Compiles) -> None:
    signatures, certificate = 0xFFFAFFFA, 0x04000115  # DigitalSignaturesSequence
    lines = "KEEP DigitalSignaturesSequence\nREPLACE DigitalSignaturesSequence__DigitalSignatureUID func:uid"
    made = left(plan_of(lines), image(sequence(signatures, explicit(0x04000100, "UI", "1.2.3.9"))))
    assert made.DigitalSignaturesSequence[0].DigitalSignatureUID.startswith("2.25.")
    assert made.PixelData == bytes(range(8))
    assert certificate not in made.DigitalSignaturesSequence[0]


def test_in_a_header_whose_pixels_are_still_coming_too(plan_of: Compiles) -> None:
    plan = plan_of(
        f"REMOVE ScheduledProcedureStepID\nKEEP (0040,0275)__1__(0040,0009)\nREPLACE {CODES}__CodeMeaning NEW"
    )
    plan = replace(plan, unguarded=frozenset(ATTRIBUTES))
    whole = instance(sent())
    element = whole.dataset.find(PIXEL_DATA)
    assert element
    data = bytes(whole.dataset.data)
    header = Header(explicit=True, ends=frozenset({PIXEL_DATA}), bounds=BOUNDS)
    head = plan.deidentify(Instance(whole.arrival, *begin(bytearray(data[: element.value]), iter(()), header)), SUBJECT)
    assert isinstance(head, DeidentifiedHead)
    made = b"".join(plan.apply(whole, SUBJECT).parts)
    assert b"".join(head.parts) + data[element.value :] == made
    assert b"XTWO" in made
    assert b"XONE" not in made
    signatures = sequence(0xFFFAFFFA, explicit(STEP, "SH", "XSIX"))
    assert b"XSIX" not in b"".join(head.behind(read_dataset(signatures, explicit=True)))


def test_private_attributes_beside_a_place_are_decided_as_ever(plan_of: Compiles) -> None:
    private = explicit(0x00190010, "LO", "SIEMENS MR HEADER"), explicit(0x0019100A, "US", b"\7\0")
    lines = f'KEEP {WAY}\nREMOVE ScheduledProcedureStepID\nKEEP (0019,"SIEMENS MR HEADER",0A)'
    data = image(sequence(REQUEST, ordered(*private, explicit(STEP, "SH", "S "))), *private)
    made = left(plan_of(lines), data)
    assert made[0x0019100A].value == 7
    assert made.RequestAttributesSequence[0][0x0019100A].value == 7
    assert steps(made) == ["S"]


# Nothing is weakened in silence


NAMED = "PerformingPhysicianName"
PERSON = f"RequestAttributesSequence__{NAMED}"


def guarded(plan: Plan, data: bytes) -> str:
    try:
        made = plan.apply(instance(data), SUBJECT)
    except Failure as failure:
        return f"{failure.outcome.name}: {failure.why}"
    return b"".join(made.parts).decode("latin-1")


def people(value: str) -> bytes:
    return explicit(0x00081050, "PN", value)


def test_the_guard_lets_through_what_is_kept_on_purpose_and_nothing_else(plan_of: Compiles) -> None:
    plan = plan_of(f"REMOVE {NAMED}\nREMOVE PatientName\nREMOVE PatientID\nKEEP {PERSON}")
    kept = sequence(REQUEST, people("GARCIA^MARIA"))
    assert "GARCIA^MARIA" in guarded(plan, image(kept))
    assert "GARCIA^MARIA" in guarded(plan, image(kept, people("GARCIA^MARIA"))), "the same value of the same attribute"
    another = guarded(plan, image(kept, people("LINDGREN^ASTRID"), explicit(0x00204000, "LT", "by LINDGREN")))
    assert another.startswith("RESIDUAL: the value of (0008,1050)")
    beside = guarded(plan, image(kept, explicit(0x00204000, "LT", "by Maria Garcia")))
    assert beside.startswith("RESIDUAL: the value of (0008,1050)"), "it may stand in its place, and only there"
    twice = sequence(0x00081032, explicit(MEANING, "LO", "GARCIA, Maria"))
    assert guarded(plan, image(kept, twice)).startswith("RESIDUAL: the value of (0008,1050)")
    patient = guarded(plan, image(sequence(REQUEST, people("DOE^JOHN")), explicit(0x00100010, "PN", "DOE^JOHN")))
    assert patient.startswith("RESIDUAL: the value of (0010,0010) PatientName stands in (0008,1050)")
    unknown = image(explicit(REQUEST, "UN", items([implicit(0x00081050, "GARCIA^MARIA")])))
    assert "GARCIA^MARIA" in guarded(plan, unknown)


def test_the_guard_lets_a_date_through_that_was_made_coarser(plan_of: Compiles) -> None:
    line = "RequestAttributesSequence__ScheduledProcedureStepEndDate"
    lines = f"REMOVE ScheduledProcedureStepEndDate\nREPLACE {line} func:date_month"
    data = image(sequence(REQUEST, explicit(DATE, "DA", "20250301")))
    assert "20250301" in guarded(plan_of(lines), data)
    assert guarded(plan_of(lines), image(sequence(REQUEST, explicit(DATE, "DA", "20250302")),
                   explicit(0x00204000, "LT", "on 20250302"))).startswith("RESIDUAL")  # fmt: skip


def test_the_guard_still_looks_where_another_line_keeps_the_attribute(plan_of: Compiles) -> None:
    lines = f"REMOVE PatientName\nREMOVE {NAMED}\nREPLACE {PERSON} NOBODY\nKEEP ProcedureCodeSequence__{NAMED}"
    data = image(explicit(0x00100010, "PN", "DOE^JOHN"), sequence(0x00081032, people("DOE^JOHN")))
    assert guarded(plan_of(lines), data).startswith("RESIDUAL")


def test_a_weakening_says_why_and_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "weak.dicom"
    needed = "KEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid"
    lines = f"REMOVE ALL\n# because: structure\nKEEP RequestAttributesSequence\n\n{{}}KEEP {WAY}\n{needed}\n"
    path.write_text(f"FORMAT dicom\n%header\n{lines.format('')}")
    with pytest.raises(RecipeError, match=r"weak\.dicom:7: KEEP RequestAttributesSequence__.* leaves more"):
        compile_plan(read(path), Policy({}))
    path.write_text(f"FORMAT dicom\n%header\n{lines.format('# because: the planning asks for it' + chr(10))}")
    weak = coverage.weaknesses(compile_plan(read(path), Policy({})))
    assert (WAY, "X", "kept as sent", "the planning asks for it") in [
        (one.attribute, one.code, one.action, one.because) for one in weak]  # fmt: skip


@pytest.mark.parametrize("line", [f"REPLACE {WAY} X", f"REMOVE {WAY}", f"BLANK {WAY}", f"ADD {WAY} func:dummy"])
def test_what_says_nothing_of_the_value_needs_no_reason(plan_of: Compiles, line: str) -> None:
    weak = coverage.weaknesses(plan_of(line))
    assert WAY not in {one.attribute for one in weak}


@pytest.mark.parametrize("verb", ["REMOVE", "BLANK", "REPLACE"])
def test_values_that_are_looked_for_go_from_places_that_are_kept(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "values.dicom"
    value = " X" if verb == "REPLACE" else ""
    path.write_text(
        "FORMAT dicom\n%values who\nFIELD PatientName\n%header\n# because: a test\nKEEP SOPClassUID\n"
        f"REPLACE SOPInstanceUID func:uid\nREMOVE PatientName\nREMOVE CodeMeaning\nKEEP {CODES}__CodeMeaning\n"
        f"KEEP {CODES}\n{verb} values:who{value}\n"
    )
    plan = compile_plan(read(path), Policy({}))
    name = explicit(0x00100010, "PN", "BB")
    expected = {"REMOVE": None, "BLANK": "", "REPLACE": "X"}[verb]
    made = left(plan, image(name, sequence(REQUEST, sequence(PROTOCOL, coded("AA"), coded("BB")))))
    assert meanings(made) == [[expected, expected]], "a search decides on an attribute, not on one of its values"
    assert meanings(left(plan, image(name, sequence(REQUEST, sequence(PROTOCOL, coded("AA")))))) == [["AA"]]


def test_items_keep_their_numbers_when_others_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "site.dicom"
    path.write_text(
        "FORMAT dicom\n%labels\nADD applies 113100 113104\n%header\n# because: a test\nKEEP SOPClassUID\n"
        "REPLACE SOPInstanceUID func:uid\nREPLACE TextValue func:description\nREMOVE NumericValue\n"
        "KEEP (0040,0555)__2__(0040,A30A)\nREPLACE (0040,0555)__0__(0040,A30A) 0\n"
    )
    plan = compile_plan(read(path), Policy({}))
    context = 0x00400555  # AcquisitionContextSequence

    def item(code: str, value: str, kind: str = "NUMERIC") -> bytes:
        name = ordered(explicit(0x00080100, "SH", code), explicit(0x00080102, "SH", "DCM"))
        said = explicit(0x0040A040, "CS", kind), explicit(0x0040A30A, "DS", value)
        return ordered(*said, sequence(0x0040A043, name))

    gone = item("121022", "1", "TEXT")  # an accession number: X in Table E.3.4-1
    made = left(plan, image(sequence(context, item("999", "7"), gone, item("999", "8"), item("999", "9"))))
    values = [str(one.get("NumericValue", "")) for one in made.AcquisitionContextSequence]
    assert values == ["0", "8", ""]


# Layers


def layered(tmp_path: Path, *texts: str) -> Plan:
    paths = []
    for number, text in enumerate(texts):
        needed = "# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n" if number == 0 else ""
        paths.append(tmp_path / f"{number}.dicom")
        paths[-1].write_text(f"FORMAT dicom\n%header\n{needed}# because: a test\n{text}\n")
    return compile_plan(combine([read(path) for path in paths]), Policy({}))


def test_a_later_recipe_s_word_on_the_place_holds(tmp_path: Path) -> None:
    numbered = "(0040,0275)__0__(0040,0009)"
    plan = layered(tmp_path, f"KEEP {numbered}", f"REPLACE {WAY} LATER")
    assert steps(left(plan, sent())) == ["LATER", "LATER"]
    plan = layered(tmp_path, f"REMOVE {WAY}", f"KEEP {numbered}")
    assert steps(left(plan, sent())) == ["XONE", None]


def test_a_later_recipe_s_word_on_the_attribute_holds_but_brings_nothing_back(tmp_path: Path) -> None:
    plan = layered(tmp_path, f"KEEP {WAY}", "REMOVE ScheduledProcedureStepID")
    assert steps(left(plan, sent())) == [None, None]
    plan = layered(tmp_path, f"REMOVE {WAY}", "KEEP ScheduledProcedureStepID")
    assert steps(left(plan, sent())) == [None, None]


def test_a_later_recipe_takes_places_away_with_the_sequence_above_them(tmp_path: Path) -> None:
    place = f"KEEP RequestAttributesSequence\nREMOVE ScheduledProcedureStepID\nKEEP {WAY}"
    made = left(layered(tmp_path, place, "REMOVE RequestAttributesSequence"), sent())
    assert "RequestAttributesSequence" not in made
    made = left(layered(tmp_path, f"{place}\nREPLACE {CODES}__CodeMeaning X", f"REMOVE {CODES}"), sent())
    assert "ScheduledProtocolCodeSequence" not in made.RequestAttributesSequence[0]
    assert steps(made) == ["XONE", "XTWO"]
    with pytest.raises(RecipeError, match=r"1\.dicom:\d+: KEEP .* does not stay with its items"):
        layered(tmp_path, "REMOVE RequestAttributesSequence", f"KEEP {WAY}")


# Who decided


def test_explain_names_the_line_of_a_place(plan_of: Compiles) -> None:
    plan = plan_of(f"REMOVE ScheduledProcedureStepID\nREPLACE {WAY} X\nKEEP (0040,0275)__1__(0040,0009)")
    asked = {
        field: plan.explain(field) for field in (WAY, "(0040,0275)__0__(0040,0009)", "(0040,0275)__1__(0040,0009)")
    }
    assert [(one.action, one.line) for (one,) in asked.values()] == [
        ("replaced", 7), ("replaced", 7), ("kept as sent", 8)]  # fmt: skip
    general, *placed = plan.explain("ScheduledProcedureStepID")
    assert general.action == "removed"
    assert [(one.attribute, one.line) for one in placed] == [(WAY, 7), ("(0040,0275)__1__(0040,0009)", 8)]
    (elsewhere,) = plan.explain("ScheduledProtocolCodeSequence__ScheduledProcedureStepID")
    assert (elsewhere.action, elsewhere.line) == ("removed", 6)


@pytest.mark.parametrize(
    ("lines", "line"),
    [("REMOVE ALL\nKEEP CodeValue", 6), ("KEEP CodeValue\nREMOVE RequestAttributesSequence", 7),
     ("KEEP CodeValue\nBLANK RequestAttributesSequence", 7), ("REMOVE RequestAttributesSequence\nREMOVE CodeValue", 6),
     ("KEEP CodeValue\nADD RequestAttributesSequence func:dummy", 7)],
)  # fmt: skip
@pytest.mark.parametrize("way", [f"{CODES}__CodeValue", "(0040,0275)__0__(0040,0008)__1__(0008,0100)"])
def test_explain_says_with_what_above_it_a_place_goes(plan_of: Compiles, lines: str, line: int, way: str) -> None:
    plan = plan_of(lines)
    (decision,) = plan.explain(way)
    assert (decision.action, decision.line) == ("removed with (0040,0275) RequestAttributesSequence", line)
    code = sequence(PROTOCOL, explicit(0x00080100, "SH", "QZ1"), explicit(0x00080100, "SH", "QZ2"))
    assert b"QZ" not in b"".join(plan.apply(instance(image(sequence(REQUEST, code))), SUBJECT).parts)


def test_explain_says_what_goes_below_a_place(plan_of: Compiles) -> None:
    plan = plan_of(f"KEEP CodeValue\nREMOVE (0040,0275)__1__(0040,0008)\nREMOVE {STACK}")
    (gone,) = plan.explain("(0040,0275)__1__(0040,0008)__0__(0008,0100)")
    assert (gone.action, gone.line) == ("removed with (0040,0008) ScheduledProtocolCodeSequence", 7)
    (stays,) = plan.explain("(0040,0275)__0__(0040,0008)__0__(0008,0100)")
    assert (stays.action, stays.line) == ("kept as sent", 6)
    (private,) = plan.explain(f"{STACK}__CodeValue")
    assert (private.action, private.line) == (f"removed with {STACK}", 8)


# Any lines on any data


VERBS = {"KEEP": "", "REMOVE": "", "BLANK": "", "REPLACE": " NEW", "ADD": " ADDED"}
WAYS = st.lists(st.sampled_from([REQUEST, PROTOCOL]), min_size=1, max_size=3)


def written(tags: list[int], numbers: list[int]) -> str:
    names = [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags]
    if EVERY in numbers:
        return "__".join(names)
    return "__".join(f"{name}__{number}" for name, number in zip(names[:-1], numbers, strict=True)) + f"__{names[-1]}"


def walked(dataset: Dataset, way: tuple[tuple[int, int], ...] = ()) -> Iterator[tuple[Any, str | None]]:
    """Each place with its CodeMeaning."""
    yield way, dataset.get("CodeMeaning")
    for tag in (REQUEST, PROTOCOL):
        for number, item in enumerate(dataset[tag].value if tag in dataset else ()):
            yield from walked(item, (*way, (tag, number)))


def expected(was: str | None, way: tuple[tuple[int, int], ...], lines: list[tuple[str, Inside]], general: str) -> Any:
    """What the language says, told once more: the strongest line for the place, else the one for the attribute."""
    fitting = [
        (sum(number != EVERY for number in inside.items), at, verb)
        for at, (verb, inside) in enumerate(lines)
        if [tag for tag, _ in way] == list(inside.tags[:-1])
        and all(own in {EVERY, number} for own, (_, number) in zip(inside.items, way, strict=True))
    ]
    verb = max(fitting)[2] if fitting else general
    if verb == "ADD":
        return "ADDED"
    return None if was is None else {"KEEP": was, "REMOVE": None, "BLANK": "", "REPLACE": "NEW"}[verb]


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(["KEEP", "REMOVE", "BLANK"]))
def test_any_lines_decide_on_their_places_and_on_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, general: str
) -> None:
    lines: dict[Inside, str] = {}
    for _ in range(data.draw(st.integers(1, 4))):
        tags = data.draw(WAYS)
        every = data.draw(st.booleans())
        numbers = [EVERY if every else data.draw(st.sampled_from([0, 1])) for _ in tags]
        lines.setdefault(Inside((*tags, MEANING), tuple(numbers)), data.draw(st.sampled_from(sorted(VERBS))))
    text = "\n".join(
        f"{verb} {written([*inside.tags], [*inside.items])}{VERBS[verb]}" for inside, verb in lines.items()
    )
    path = tmp_path_factory.mktemp("lines") / "lines.dicom"
    needed = "# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
    path.write_text(f"FORMAT dicom\n%header\n{needed}{general} CodeMeaning\n{text}\n")
    whole = image(*tree(3, 2))
    was = dict(walked(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + whole))))
    now = dict(walked(left(compile_plan(read(path), Policy({})), whole)))
    told = [(verb, inside) for inside, verb in lines.items()]
    assert now == {way: expected(value, way, told, general) for way, value in was.items()}
