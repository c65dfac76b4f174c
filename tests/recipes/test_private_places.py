"""Single places on ways through private sequences, and of private attributes, held against deid where it finds them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from encoded import EXPLICIT, IMPLICIT, MR, UID, explicit, image, implicit, instance, items, ordered, sequence
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydicom import Dataset
from test_differential import FILES, comparable, theirs
from test_placed import layered
from test_sample_files import instance as sample

from scp import dictionary
from scp.deidentify import coverage, part10
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.fields import EVERY, Inside, Private, parse
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, read
from scp.dictionary import ATTRIBUTES
from scp.instance import Subject
from scp.outcome import Failure

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
OWNER = "Philips Imaging DD 001"
STACK = f'(2001,"{OWNER}",5F)'
TECHNIQUE = f'(2001,"{OWNER}",20)'  # LO
AXIS = f'(2001,"{OWNER}",33)'  # CS
REQUEST, STEP, MEANING = 0x00400275, 0x00400009, 0x00080104
WAY = "RequestAttributesSequence"
Compiles = Callable[..., Plan]

pytestmark = pytest.mark.filterwarnings("ignore")


def creator(block: int = 0x10, name: str = OWNER) -> bytes:
    return explicit(0x20010000 | block, "LO", name)


def technique(value: str, block: int = 0x10) -> bytes:
    return explicit(0x20010020 | block << 8, "LO", value)


def axis(value: str, block: int = 0x10) -> bytes:
    return explicit(0x20010033 | block << 8, "CS", value)


def stack(*contents: bytes, block: int = 0x10, **how: bool) -> bytes:
    return sequence(0x2001005F | block << 8, *contents, **how)


def left(plan: Plan, *elements: bytes) -> Dataset:
    return made(plan, image(*elements))


def made(plan: Plan, data: bytes, syntax: str = EXPLICIT) -> Dataset:
    plan = replace(plan, unguarded=frozenset(ATTRIBUTES))
    return pydicom.dcmread(BytesIO(b"".join(plan.apply(instance(data, syntax), SUBJECT).parts)))


def by_deid(lines: str, folder: Path, *elements: bytes) -> Dataset:
    return theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + image(*elements))), lines, folder)


def meanings(found: Dataset, tag: int = 0x2001105F) -> list[str | None]:
    return [str(item.CodeMeaning or "") if "CodeMeaning" in item else None for item in found[tag].value]


def coded(meaning: str, *more: bytes) -> bytes:
    return ordered(explicit(0x00080100, "SH", "T1"), explicit(MEANING, "LO", meaning), *more)


SENT = creator(), stack(coded("ONE"), coded("TWO")), sequence(REQUEST, coded("ELSE"))
KEPT = f"KEEP {STACK}"


# By numbers, as deid does


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("REMOVE (2001,105F)__0__(0008,0104)", [None, "TWO"]),
        ("REMOVE (2001,105F)__1__(0008,0104)", ["ONE", None]),
        ("BLANK (2001,105F)__1__(0008,0104)", ["ONE", ""]),
        ("REPLACE (2001,105F)__0__(0008,0104) NEW", ["NEW", "TWO"]),
        ("REMOVE (2001,105F)__7__(0008,0104)", ["ONE", "TWO"]),
        ("REMOVE (2001,115F)__0__(0008,0104)", ["ONE", "TWO"]),
        ("REMOVE (2001,105F)__0__(0008,0104)\nREPLACE (2001,105F)__1__(0008,0104) NEW", [None, "NEW"]),
    ],
)
def test_by_numbers_deid_means_the_same(plan_of: Compiles, lines: str, expected: list[str], tmp_path: Path) -> None:
    there = by_deid(lines, tmp_path, *SENT)
    ours = left(plan_of(f"{KEPT}\n{lines}"), *SENT)
    for found in (there, ours):
        assert meanings(found) == expected
        assert [item.CodeValue for item in found[0x2001105F].value] == ["T1", "T1"]
        assert found.RequestAttributesSequence[0].CodeMeaning == "ELSE"


@pytest.mark.parametrize("tag", ["(2001,1020)", "(2001,1120)"])
def test_a_private_attribute_goes_by_its_number_as_in_deid(plan_of: Compiles, tag: str, tmp_path: Path) -> None:
    line = f"REMOVE (0040,0275)__0__{tag}"
    sent = sequence(REQUEST, ordered(creator(), creator(0x11), technique("AA"), technique("BB", 0x11)))
    for found in (by_deid(line, tmp_path, sent), left(plan_of(f"KEEP {TECHNIQUE}\n{line}"), sent)):
        (item,) = found.RequestAttributesSequence
        assert (0x20011020 in item, 0x20011120 in item) == (tag != "(2001,1020)", tag != "(2001,1120)")


def test_through_several_private_sequences_by_numbers(plan_of: Compiles, tmp_path: Path) -> None:
    inner = ordered(creator(0x12), stack(coded("DEEP"), block=0x12), coded("HERE"))
    sent = creator(), stack(inner)
    line = "REPLACE (2001,105F)__0__(2001,125F)__0__(0008,0104) NEW"
    for found in (by_deid(line, tmp_path, *sent), left(plan_of(f"{KEPT}\n{line}"), *sent)):
        (item,) = found[0x2001105F].value
        assert item.CodeMeaning == "HERE"
        assert meanings(item, 0x2001125F) == ["NEW"]


def named(dataset: Dataset, tag: int) -> str:
    """A private attribute of the data set by its creator; empty where no dictionary knows it."""
    group, number, place = tag >> 16, tag & 0xFF, (tag >> 16, tag >> 8 & 0xFF)
    owner = str(dataset[place].value).strip() if place in dataset else ""
    known = dictionary.private_vr(group, owner, number)
    return f'({group:04X},"{owner}",{number:02X})' if known not in {None, "UN"} else ""


def known_sequences(dataset: Dataset) -> Iterator[int]:
    """The private sequences with items that dictionaries know."""
    for element in dataset:
        tag = int(element.tag)
        if element.tag.is_private and element.VR == "SQ" and element.value and named(dataset, tag):
            yield tag


def test_by_numbers_the_same_comes_out_of_files_from_scanners(plan_of: Compiles, tmp_path: Path) -> None:
    compared = 0
    for path in FILES:
        dataset = pydicom.dcmread(path)
        for above in known_sequences(dataset):
            first = dataset[above].value[0]
            for tag in [int(one.tag) for one in first if one.tag in ATTRIBUTES or named(first, int(one.tag))][:6]:
                line = f"REMOVE ({above >> 16:04X},{above & 0xFFFF:04X})__0__({tag >> 16:04X},{tag & 0xFFFF:04X})"
                kept = [f"KEEP {one}" for one in (named(dataset, above), named(first, tag)) if one]
                there = theirs(pydicom.dcmread(path), line, tmp_path)[above].value
                plan = plan_of("\n".join([*dict.fromkeys(kept), line]))
                out = b"".join(replace(plan, unguarded=frozenset(ATTRIBUTES)).apply(sample(path), SUBJECT).parts)
                here = pydicom.dcmread(BytesIO(out))[above].value
                assert [comparable(item) for item in here] == [comparable(item) for item in there]
                assert tag not in here[0]
                assert tag not in there[0]
                compared += 1
    assert compared >= 4


# By creators, which deid passes over


@pytest.mark.parametrize("block", [0x10, 0x11, 0xFF])
def test_a_creator_on_the_way_is_found_in_whatever_block_it_has(plan_of: Compiles, block: int, tmp_path: Path) -> None:
    sent = (
        creator(0x0F + 1 if block != 0x10 else 0x20, "OTHER"),
        creator(block),
        stack(coded("ONE"), coded("TWO"), block=block),
    )
    lines = f"REPLACE {STACK}__CodeMeaning NEW"
    found = by_deid(lines, tmp_path, *sent)
    assert meanings(found, 0x2001005F | block << 8) == ["ONE", "TWO"]
    ours = left(plan_of(f"{KEPT}\n{lines}"), *sent)
    assert meanings(ours, 0x2001005F | block << 8) == ["NEW", "NEW"]
    numbered = left(plan_of(f"{KEPT}\nREMOVE {STACK}__1__(0008,0104)"), *sent)
    assert meanings(numbered, 0x2001005F | block << 8) == ["ONE", None]


def test_another_s_block_is_not_meant(plan_of: Compiles) -> None:
    sent = creator(0x10, "Philips Imaging DD 129"), creator(0x11), stack(coded("ONE"), block=0x11), axis("RL")
    found = left(plan_of(f"{KEPT}\nKEEP {AXIS}\nREMOVE {STACK}__CodeMeaning"), *sent)
    assert meanings(found, 0x2001115F) == [None]
    assert 0x20011033 not in found, "its block is another's"
    stray = left(plan_of(f"KEEP {WAY}__{TECHNIQUE}"), creator(), sequence(REQUEST, technique("AA")))
    assert not list(stray.RequestAttributesSequence[0]), "its own item names no creator"


def test_a_creator_with_two_blocks_owns_both(plan_of: Compiles) -> None:
    sent = ordered(creator(), creator(0x11), technique("AA"), technique("BB", 0x11), axis("RL", 0x11))
    (item,) = left(plan_of(f"KEEP {WAY}__{TECHNIQUE}"), sequence(REQUEST, sent)).RequestAttributesSequence
    assert [item[tag].value for tag in (0x20011020, 0x20011120)] == ["AA", "BB"]
    assert (0x20010010 in item, 0x20010011 in item, 0x20011133 in item) == (True, True, False)


# What each verb does to a private attribute in its place


@pytest.mark.parametrize(
    ("line", "expected"),
    [(f"KEEP {WAY}__{TECHNIQUE}", ["AA", "BB"]), (f"BLANK {WAY}__{TECHNIQUE}", ["", ""]),
     (f"REPLACE {WAY}__{TECHNIQUE} NEW", ["NEW", "NEW"]), (f"KEEP (0040,0275)__1__{TECHNIQUE}", [None, "BB"]),
     (f"REPLACE {WAY}__{TECHNIQUE} func:dummy", ["DUMMY", "DUMMY"])],
)  # fmt: skip
def test_only_that_place_stays(plan_of: Compiles, line: str, expected: list[str | None]) -> None:
    sent = [ordered(creator(), technique(value), axis("RL"), explicit(STEP, "SH", "S ")) for value in ("AA", "BB")]
    plan = plan_of(f"REMOVE ALL\nKEEP {WAY}\nKEEP ScheduledProcedureStepID\n{line}")
    found = left(plan, creator(), technique("CC"), sequence(REQUEST, *sent))
    assert 0x20011020 not in found
    for item, value in zip(found.RequestAttributesSequence, expected, strict=True):
        assert item.ScheduledProcedureStepID == "S"
        assert (item[0x20011020].value if 0x20011020 in item else None) == value
        assert (0x20010010 in item) == (value is not None), "a creator stays with what needs it"
        assert 0x20011033 not in item


def test_remove_takes_away_what_other_lines_keep_with_its_creator(plan_of: Compiles) -> None:
    item = ordered(creator(), technique("AA"))
    more = ordered(creator(), technique("BB"), axis("RL"))
    plan = plan_of(f"KEEP {TECHNIQUE}\nKEEP {AXIS}\nREMOVE {WAY}__{TECHNIQUE}")
    found = left(plan, creator(), technique("CC"), sequence(REQUEST, item, more))
    assert found[0x20011020].value == "CC"
    first, second = found.RequestAttributesSequence
    assert not list(first)
    assert [int(element.tag) for element in second] == [0x20010010, 0x20011033]


def test_functions_for_private_attributes(plan_of: Compiles) -> None:
    numbers = '(2001,"Philips Imaging DD 001",0A)'
    sent = ordered(creator(), explicit(0x2001100A, "IS", "12345678901 "))
    found = left(plan_of(f"REPLACE {WAY}__{numbers} func:numbers"), sequence(REQUEST, sent))
    assert not found.RequestAttributesSequence[0][0x2001100A].value


def test_a_private_sequence_in_one_place_is_gone_through(plan_of: Compiles) -> None:
    inside = ordered(creator(), stack(coded("IN", creator(), technique("AA"), explicit(0x00100010, "PN", "DOE"))))
    lines = f"REMOVE PatientName\nKEEP {WAY}__{STACK}\nREPLACE {WAY}__{STACK}__CodeMeaning NEW"
    found = left(plan_of(lines), creator(), stack(coded("TOP")), sequence(REQUEST, inside))
    assert 0x2001105F not in found
    (item,) = found.RequestAttributesSequence[0][0x2001105F].value
    assert (item.CodeMeaning, item.CodeValue) == ("NEW", "T1")
    assert "PatientName" not in item
    assert 0x20011020 not in item


def test_add_writes_into_the_items_of_a_private_sequence(plan_of: Compiles) -> None:
    found = left(plan_of(f"{KEPT}\nADD {STACK}__CodeMeaning NEW"), creator(), stack(b"", coded("X")))
    assert meanings(found) == ["NEW", "NEW"]
    assert 0x2001105F not in left(plan_of(f"{KEPT}\nADD {STACK}__CodeMeaning NEW"), creator())


def test_the_line_with_an_item_s_number_is_the_exception(plan_of: Compiles) -> None:
    lines = [f"REPLACE {STACK}__CodeMeaning EVERY", "KEEP (2001,105F)__1__(0008,0104)"]
    for text in ("\n".join(lines), "\n".join(reversed(lines))):
        assert meanings(left(plan_of(f"{KEPT}\n{text}"), *SENT)) == ["EVERY", "TWO"]


# However it was sent


@pytest.mark.parametrize("how", [{}, {"undefined": True}, {"undefined_items": True}])
def test_lengths_stay_as_they_were_sent(plan_of: Compiles, how: dict[str, bool]) -> None:
    plan = replace(plan_of(f"{KEPT}\nREPLACE {STACK}__CodeMeaning NEW"), unguarded=frozenset(ATTRIBUTES))
    out = b"".join(plan.apply(instance(image(creator(), stack(coded("OLD"), **how))), SUBJECT).parts)
    assert stack(coded("NEW"), **how) in out


def test_implicit_and_unknown(plan_of: Compiles) -> None:
    plan = plan_of(f"KEEP {STACK}\nREMOVE {STACK}__CodeMeaning\nKEEP {STACK}__{TECHNIQUE}")
    private = implicit(0x20010011, OWNER), implicit(0x20011120, "STAY"), implicit(0x20011133, "GO")
    inside = ordered(implicit(MEANING, "GONE"), implicit(0x00080100, "T1"), *private)
    head = implicit(0x00080016, f"{MR}\0"), implicit(0x00080018, f"{UID}\0")
    whole = ordered(*head, implicit(0x20010010, OWNER), implicit(0x2001105F, items([inside])))
    unknown = image(creator(), explicit(0x2001105F, "UN", items([inside])))
    undefined = image(creator(), explicit(0x2001105F, "UN", items([inside], undefined=True), 0xFFFFFFFF))
    for found in (made(plan, whole, IMPLICIT), made(plan, unknown), made(plan, undefined)):
        (item,) = found[0x2001105F].value
        assert item[0x20011120].value == "STAY"
        assert [int(element.tag) for element in item] == [0x00080100, 0x20010011, 0x20011120]


@pytest.mark.parametrize("vr", ["UN", "LO", "OB"])
@pytest.mark.parametrize("value", [b"\0\1\2\3", b"\xfe\xff\0\xe0\x08\0\0\0", b""])
def test_what_is_no_sequence_inside_goes(plan_of: Compiles, vr: str, value: bytes) -> None:
    found = left(
        plan_of(f"{KEPT}\nKEEP {STACK}__CodeMeaning"), creator(), explicit(0x2001105F, vr, value), technique("AA")
    )
    assert 0x20011020 not in found
    assert not value or 0x2001105F not in found


def test_what_contradicts_its_maker_s_dictionary_goes(plan_of: Compiles) -> None:
    item = ordered(creator(), explicit(0x20011020, "US", b"\1\0"))
    found = left(plan_of(f"KEEP {WAY}__{TECHNIQUE}"), sequence(REQUEST, item))
    assert 0x20011020 not in found.RequestAttributesSequence[0]


# Nothing is weakened in silence


PERSON = f"{STACK}__PerformingPhysicianName"


def guarded(plan: Plan, data: bytes) -> str:
    try:
        return b"".join(plan.apply(instance(data), SUBJECT).parts).decode("latin-1")
    except Failure as failure:
        return f"{failure.outcome.name} {failure.why}"


@pytest.mark.parametrize("unknown", [False, True])
def test_the_guard_lets_a_value_stand_there_and_nowhere_else(plan_of: Compiles, *, unknown: bool) -> None:
    plan = plan_of(f"{KEPT}\nREMOVE PerformingPhysicianName\nREMOVE PatientID\nKEEP {PERSON}")
    inside = implicit(0x00081050, "GARCIA^MARIA") if unknown else explicit(0x00081050, "PN", "GARCIA^MARIA")
    kept = explicit(0x2001105F, "UN", items([inside])) if unknown else stack(inside)
    assert "GARCIA^MARIA" in guarded(plan, image(creator(), kept))
    comment = explicit(0x00204000, "LT", "by Maria Garcia")
    assert guarded(plan, image(creator(), kept, comment)).startswith("RESIDUAL the value of (0008,1050)")
    other = sequence(0x00081032, explicit(0x00081050, "PN", "GARCIA^MARIA"), explicit(MEANING, "LO", "GARCIA^MARIA"))
    assert guarded(plan, image(creator(), kept, other)).startswith("RESIDUAL the value of (0008,1050)")
    away = creator(name="OTHER"), stack(explicit(0x00081050, "PN", "GARCIA^MARIA"))
    assert guarded(plan, image(*away, comment)).startswith("RESIDUAL"), "another's sequence goes, and its value with it"


def test_a_private_place_does_not_hide_the_patient_from_the_guard(plan_of: Compiles) -> None:
    plan = plan_of(f"REMOVE PatientName\nREMOVE PatientID\nKEEP {WAY}__{TECHNIQUE}")
    name = explicit(0x00100010, "PN", "LINDGREN^ASTRID")
    hidden = sequence(REQUEST, ordered(creator(), technique("Lindgren, Astrid")))
    assert guarded(plan, image(name, hidden)).startswith("RESIDUAL the value of (0010,0010) PatientName")
    assert "T1 AXIAL" in guarded(plan, image(name, sequence(REQUEST, ordered(creator(), technique("T1 AXIAL")))))
    kept = f"REMOVE PatientName\nREMOVE PatientID\nREMOVE PerformingPhysicianName\nKEEP {WAY}__{TECHNIQUE}"
    both = plan_of(f"{kept}\nKEEP {WAY}__PerformingPhysicianName")
    physician = explicit(0x00081050, "PN", "GARCIA^MARIA")
    inside = ordered(creator(), technique("Lindgren, Astrid"), physician)
    assert guarded(both, image(name, sequence(REQUEST, inside))).startswith("RESIDUAL the value of (0010,0010)")
    inside = ordered(creator(), technique("Maria Garcia"), physician)
    assert guarded(both, image(name, sequence(REQUEST, inside))).startswith("RESIDUAL the value of (0008,1050)")


def recipe(tmp_path: Path, lines: str) -> Path:
    path = tmp_path / "private.dicom"
    path.write_text(
        f"FORMAT dicom\n%header\nREPLACE SOPInstanceUID func:uid\n# because: a test\nKEEP SOPClassUID\n{lines}\n"
    )
    return path


def test_what_stays_says_why_and_is_listed(tmp_path: Path) -> None:
    path = recipe(tmp_path, f"KEEP {WAY}\nREMOVE ALL\n\nKEEP {WAY}__{TECHNIQUE}")
    with pytest.raises(
        RecipeError, match=r"private\.dicom:9: KEEP .* leaves more of RequestAttributesSequence__\(2001,"
    ):
        compile_plan(read(path), Policy({}))
    path = recipe(tmp_path, f"KEEP {WAY}\nREMOVE ALL\n\n# because: scans\nKEEP {WAY}__{TECHNIQUE}\nKEEP {STACK}\n"
                            f"KEEP {PERSON}\nREPLACE {WAY}__{AXIS} X\nREMOVE (2001,105F)__0__(2001,1020)")  # fmt: skip
    weak = [
        (one.attribute, one.code)
        for one in coverage.weaknesses(compile_plan(read(path), Policy({})))
        if one.because == "scans"
    ]
    assert weak == [(PERSON, "X"), (STACK, "X"), (f"{WAY}__{TECHNIQUE}", "X")]


@pytest.mark.parametrize(
    "lines",
    [f"KEEP {STACK}__CodeMeaning", f"REPLACE {STACK}__0__(0008,0104) X", "KEEP (2001,105F)__0__(0008,0104)",
     f"REMOVE {STACK}\nADD {STACK}__CodeMeaning X", f"BLANK {STACK}\nKEEP {STACK}__{TECHNIQUE}",
     f"KEEP {STACK}\nREMOVE {WAY}__{STACK}\nKEEP {WAY}__{STACK}__CodeMeaning",
     f"KEEP {AXIS}\nKEEP (2001,105F)__0__(0008,0104)"],
)  # fmt: skip
def test_what_is_to_stay_needs_its_way_kept(plan_of: Compiles, lines: str) -> None:
    with pytest.raises(RecipeError, match=r"never applies: \(2001,.* does not stay with its items; write KEEP for it"):
        plan_of(lines)
    assert plan_of(f"REMOVE {STACK}__CodeMeaning\nBLANK {STACK}__{TECHNIQUE}").places.lines, "true all the same"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"KEEP {AXIS}__CodeMeaning", "is no way down to an attribute"),
        ("KEEP (2001,105F)__0__(2001,1020)", 'KEEP needs to know whose private attribute it is; end with (2001,"CRE'),
        ("REPLACE (2001,105F)__0__(2001,1020) X", "needs to know whose"),
        ("BLANK RequestAttributesSequence__(2001,1020)", "needs to know whose"),
        (f"ADD {WAY}__{TECHNIQUE} X", "ADD is not for private attributes"),
        ("REMOVE (2001,105F)__0__(2001,0010)", "names a creator"),
        ("REMOVE (2001,0010)__0__(0008,0104)", "names a creator"),
        (f'REMOVE (2001,"{OWNER}",5F)__0__(2001,"NOBODY",20)', "is not in its maker's dictionary"),
        (f"REPLACE {WAY}__{STACK} X", "can write text and numbers only"),
        (f"REPLACE {WAY}__{TECHNIQUE} func:age", "a private attribute can be replaced by text"),
        (f"JITTER {WAY}__{TECHNIQUE} 3", "JITTER can move dates only"),
        (f"KEEP {WAY}__{TECHNIQUE}\nBLANK (0040,0275)__{TECHNIQUE}", "has a rule for this field already"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(plan_of: Compiles, line: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        plan_of(line)
    assert sentence in str(error.value)


def test_a_vr_that_never_leaves_is_refused_in_a_place_too(plan_of: Compiles) -> None:
    with pytest.raises(RecipeError, match="its VR LO never leaves by exclude_vr"):
        plan_of(f"KEEP {WAY}__{TECHNIQUE}", "ADD exclude_vr LO")


def test_a_creator_may_have_any_letters() -> None:
    owner = "http://www.gemedicalsystems.com/it_solutions/orthoview/2.1"
    found = parse(f'(3117,"{owner}",40)__3__(0008,0104)')
    assert found == Inside((Private(0x3117, owner, 0x40, "SQ"), MEANING), (3,))
    assert str(found) == f'(3117,"{owner}",40)__3__(0008,0104)'
    assert str(parse(f"{STACK}__CodeMeaning")) == f"{STACK}__CodeMeaning"
    assert str(parse("(2001,105F)__(0008,0104)")) == "(2001,105F)__CodeMeaning"
    assert parse("(2001,105f)__0__20011020") == Inside((0x2001105F, 0x20011020), (0,))


# Groups, values, layers


def test_in_groups_of_fields_and_of_values(tmp_path: Path) -> None:
    lines = f"REMOVE ALL\nKEEP {WAY}\nKEEP {STACK}\nKEEP fields:some\nREMOVE values:who\nKEEP ImageComments\n"
    members = f"%fields some\nFIELD {WAY}__{TECHNIQUE}\nFIELD {STACK}__CodeMeaning\n"
    needles = f"%values who\nFIELD {STACK}__0__(0008,0100)\nFIELD (2001,105F)__1__(0008,0100)\n"
    path = recipe(tmp_path, f"{lines}{members}{needles}")
    plan = compile_plan(read(path), Policy({}))
    request = sequence(REQUEST, ordered(creator(), technique("AA"), axis("RL")))
    codes = [
        ordered(explicit(0x00080100, "SH", code), explicit(MEANING, "LO", "M "))
        for code in ("FIRST", "SECOND", "THIRD")
    ]
    for comment, stays in (("is first", False), ("is second", False), ("is third", True)):
        found = left(plan, creator(), stack(*codes), request, explicit(0x00204000, "LT", comment))
        assert ("ImageComments" in found) == stays
        assert meanings(found) == ["M", "M", "M"]
        assert found.RequestAttributesSequence[0][0x20011020].value == "AA"
        assert 0x20011033 not in found.RequestAttributesSequence[0]


def test_values_that_are_looked_for_go_from_private_places(tmp_path: Path) -> None:
    path = recipe(tmp_path, f"REMOVE PatientName\nKEEP {WAY}__{TECHNIQUE}\nKEEP {WAY}__{AXIS}\nREMOVE values:who\n"
                            "%values who\nFIELD PatientName\n")  # fmt: skip
    plan = compile_plan(read(path), Policy({}))
    sent = sequence(REQUEST, ordered(creator(), technique("of doe"), axis("RL")))
    (item,) = left(plan, explicit(0x00100010, "PN", "DOE "), sent).RequestAttributesSequence
    assert [int(element.tag) for element in item] == [0x20010010, 0x20011033]
    (item,) = left(plan, explicit(0x00100010, "PN", "ROE "), sent).RequestAttributesSequence
    assert item[0x20011020].value == "of doe"


def test_a_later_recipe_holds(tmp_path: Path) -> None:
    item = sequence(REQUEST, ordered(creator(), technique("AA")))
    for later, stays in (
        (f"REMOVE {TECHNIQUE}", False),
        (f"REMOVE {AXIS}", True),
        ("REMOVE (0040,0275)__0__(2001,1020)", False),
    ):
        found = left(layered(tmp_path, f"KEEP {WAY}__{TECHNIQUE}", later), item)
        assert (0x20011020 in found.RequestAttributesSequence[0]) == stays
    found = left(layered(tmp_path, f"KEEP {STACK}\nREPLACE {STACK}__CodeMeaning X", f"REMOVE {STACK}"), *SENT)
    assert 0x2001105F not in found
    kept = left(layered(tmp_path, f"REMOVE {WAY}__{TECHNIQUE}", f"KEEP {TECHNIQUE}"), item, creator(), technique("BB"))
    assert kept[0x20011020].value == "BB"
    assert 0x20011020 not in kept.RequestAttributesSequence[0], "what is taken away in a place stays away"


# Who decided


def test_explain_names_the_line(plan_of: Compiles) -> None:
    plan = plan_of(f"{KEPT}\nREPLACE {STACK}__CodeMeaning X\nKEEP {TECHNIQUE}\nREMOVE {WAY}__{TECHNIQUE}")
    asked = (f"{STACK}__CodeMeaning", "(2001,105F)__3__(0008,0104)", f"{STACK}__{TECHNIQUE}", f"{STACK}__(2001,1120)")
    assert [(one.action, one.line) for field in asked for one in plan.explain(field)] == [
        ("replaced", 7), ("replaced", 7), ("kept as sent", 8), ("kept as sent", 8)]  # fmt: skip
    general, placed = plan.explain(TECHNIQUE)
    assert (general.action, placed.action, placed.line) == ("kept as sent", "removed", 9)
    assert placed.attribute == f"{WAY}__{TECHNIQUE}"
    (nobody,) = plan.explain(f"{WAY}__{AXIS}")
    assert (nobody.action, nobody.line) == ("removed", 0)
    assert f"{STACK}__CodeMeaning" in {one.attribute for one in plan.summary()}


# Any lines on any data


NAMES = {0x10: OWNER, 0x11: OWNER, 0x12: "OTHER"}
STEPS = st.sampled_from([STACK, "(2001,105F)", "(2001,115F)", "(2001,125F)", "(0040,0275)"])
ENDS = st.sampled_from([TECHNIQUE, "(2001,1020)", "(2001,1120)", "(2001,1220)", "(0008,0104)", STACK, "(2001,115F)"])
Way = tuple[tuple[int, int], ...]
Lines = list[tuple[str, str]]


def tree(depth: int, way: str = "") -> list[bytes]:
    """A code, a technique in three blocks, two of them of one owner, and sequences of the same down to a depth."""
    parts = [explicit(MEANING, "LO", f"m{way}")]
    for at, name in NAMES.items():
        parts += [creator(at, name), technique(f"t{way}.{at:x}", at)]
        parts += [stack(ordered(*tree(depth - 1, f"{way}.{at:x}")), block=at)] if depth else []
    parts += [sequence(REQUEST, *(ordered(*tree(depth - 1, f"{way}.r{n}")) for n in (0, 1)))] if depth else []
    return parts


def names(tag: int) -> set[str]:
    """All the ways to write it."""
    written = {f"({tag >> 16:04X},{tag & 0xFFFF:04X})"}
    if tag >> 16 & 1 and NAMES.get(tag >> 8 & 0xFF) == OWNER:
        written.add(f'({tag >> 16:04X},"{OWNER}",{tag & 0xFF:02X})')
    return written


Found = dict[Way, dict[int, str]]


def walked(dataset: Dataset, way: Way = ()) -> Iterator[tuple[Way, dict[int, str]]]:
    """The values at each level, by tag."""
    yield way, {int(one.tag): str(one.value) for one in dataset if one.VR == "LO" and int(one.tag) != 0x00100020}
    for element in dataset:
        for number, item in enumerate(element.value if element.VR == "SQ" else ()):
            yield from walked(item, (*way, (int(element.tag), number)))


def strongest(lines: Lines, way: Way, tag: int) -> str:
    """What the strongest line says of an attribute there, told once more from the text of the lines."""
    best = (-1, -1, "")
    for at, (verb, text) in enumerate(lines):
        words = text.split("__")
        numbered = words[1].isdigit()
        fields = words[::2] if numbered else words
        if len(fields) != len(way) + 1:
            continue
        here = all(word in names(one) for word, one in zip(fields, [*(one for one, _ in way), tag], strict=True))
        if here and (not numbered or [int(word) for word in words[1::2]] == [number for _, number in way]):
            best = max(best, (len(way) if numbered else 0, at, verb))
    return best[2]


def is_owned(tag: int) -> bool:
    return not tag >> 16 & 1 or NAMES.get(tag >> 8 & 0xFF) == OWNER


def expected(sent: Found, lines: Lines, general: str) -> Found:
    """What stays at each level, and the creators of that."""
    found: Found = {}
    for way, values in sent.items():
        steps = [(way[:depth], tag) for depth, (tag, _) in enumerate(way)]
        if not all(is_owned(tag) and strongest(lines, above, tag) in {"", "KEEP"} for above, tag in steps):
            continue
        stays: dict[int, str] = {}
        for tag, value in values.items():
            verb = strongest(lines, way, tag) or (general if tag >> 16 & 1 else "KEEP")
            if is_owned(tag) and verb != "REMOVE":
                stays[tag] = {"KEEP": value, "BLANK": "", "REPLACE": "NEW"}[verb]
        below = {longer[len(way)][0] for longer in sent if longer[: len(way)] == way != longer}
        needing = {*stays, *(tag for tag in below if strongest(lines, way, tag) != "REMOVE")}
        blocks = {tag >> 8 & 0xFF for tag in needing if tag >> 16 & 1 and is_owned(tag)}
        found[way] = stays | {0x20010000 | block: OWNER for block in blocks}
    return found


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["KEEP", "REMOVE"]))
def test_any_lines_decide_on_their_places_and_on_no_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, general: str
) -> None:
    lines: dict[Inside, tuple[str, str]] = {}
    for _ in range(data.draw(st.integers(1, 5))):
        steps = data.draw(st.lists(STEPS, min_size=1, max_size=2))
        end = data.draw(ENDS)
        verbs = ["REMOVE", "BLANK", "KEEP"] if end == STACK else ["KEEP", "REMOVE", "BLANK", "REPLACE"]
        verb = "REMOVE" if end.startswith("(2001,1") else data.draw(st.sampled_from(verbs))
        numbers = data.draw(st.none() | st.lists(st.integers(0, 1), min_size=len(steps), max_size=len(steps)))
        words = steps if numbers is None else [f"{step}__{number}" for step, number in zip(steps, numbers, strict=True)]
        named = parse("__".join([*words, end]))
        assert isinstance(named, Inside)
        assert (EVERY in named.items) == (numbers is None)
        lines.setdefault(named, (verb, "__".join([*words, end])))
    told = list(lines.values())
    written = "\n".join(f"{verb} {text}{' NEW' if verb == 'REPLACE' else ''}" for verb, text in told)
    path = recipe(tmp_path_factory.mktemp("private"), f"KEEP {STACK}\n{general} {TECHNIQUE}\n{written}")
    plan, refused = None, ""
    try:
        plan = compile_plan(read(path), Policy({}))
    except RecipeError as error:
        refused = str(error)
    assert "does not stay with its items" in refused or plan
    if plan is None:
        reject()
    whole = image(*tree(2))
    sent = dict(walked(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + whole))))
    owned = {way: {tag: one for tag, one in values.items() if tag & 0xFFFF > 0xFF} for way, values in sent.items()}
    assert dict(walked(made(plan, whole))) == expected(owned, told, general)
