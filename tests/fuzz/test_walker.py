"""The walker's campaign in small: it finds nothing in the plan, and it would find what is to be found."""

import sys
from io import BytesIO

import pydicom
import pytest
import walk
import walker
from encoded import EXPLICIT, IMPLICIT, explicit, image, implicit, instance, sequence
from factories import ct, encode, mr
from hypothesis import given, settings
from hypothesis import strategies as st
from walker import RECIPES, SYNTAXES, Case, Wrong, decoded, execute, mutated, plans, seeds

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import load, read
from scp.outcome import Failure, Outcome

PLANS, SEEDS = plans(), seeds()


def test_a_case_follows_from_its_number():
    made = [mutated(SEEDS, 1, number) for number in range(300)]
    assert made == [mutated(seeds(), 1, number) for number in range(300)]
    assert len(set(made)) > 200
    assert made != [mutated(SEEDS, 2, number) for number in range(300)]


def test_most_good_cases_come_through_and_the_others_are_refused_by_name():
    through = [execute(PLANS[case.recipe], case) is not None for case in SEEDS]
    assert sum(through) >= 0.6 * len(SEEDS)


def test_a_small_campaign_finds_nothing():
    through, wrong = walk.batch(1, range(1500))
    assert wrong == []
    assert through > 200


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=600))
def test_any_bytes_are_refused_or_come_through(data):
    case = decoded(data)
    execute(PLANS[case.recipe], case)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(SEEDS), st.integers(0, 2000), st.binary(min_size=1, max_size=40))
def test_bytes_written_over_a_good_case_are_refused_or_come_through(case, at, over):
    data = bytearray(case.data)
    data[at : at + len(over)] = over
    execute(PLANS[case.recipe], case._replace(data=bytes(data)))


def test_the_first_bytes_choose_recipe_and_syntax():
    assert decoded(b"\1\1rest") == Case(RECIPES[1], SYNTAXES[1], b"rest")
    assert decoded(b"") == Case(RECIPES[0], SYNTAXES[0], b"")
    assert decoded(b"\xff\xff") == Case(RECIPES[255 % len(RECIPES)], SYNTAXES[255 % 3], b"")


def test_a_token_that_is_left_is_found(tmp_path):
    path = tmp_path / "leaking.dicom"
    path.write_text(
        "FORMAT dicom\n%labels\nADD unguarded PatientName PatientComments\n%header\nREMOVE ALL\n# because: a test\n"
        "KEEP SOPClassUID\nKEEP PatientName\nREPLACE SOPInstanceUID func:uid\n"
    )
    plan = compile_plan(read(path), Policy({}))
    with pytest.raises(Wrong, match="is left"):
        execute(plan, Case("mip", EXPLICIT, encode(mr())))


def test_what_takes_too_long_is_found(monkeypatch):
    monkeypatch.setattr(walker, "HANGS", -1.0)
    with pytest.raises(Wrong, match="took"):
        execute(PLANS["mip"], SEEDS[0])


def test_another_exception_is_a_find_and_the_exit_code_says_so(monkeypatch):
    def defect(_plan, _case):
        raise KeyError("defect")

    monkeypatch.setattr(walk, "execute", defect)
    assert walk.batch(3, range(2))[1] == [f"case {n} of seed 3: KeyError: 'defect'" for n in range(2)]
    monkeypatch.setattr(walk, "campaign", lambda count, seed: (0, [f"{count} {seed}"]))
    monkeypatch.setattr(sys, "argv", ["walk.py", "7", "9"])
    assert walk.main() == 1
    monkeypatch.setattr(walk, "campaign", lambda _count, _seed: (1, []))
    assert walk.main() == 0


# What the campaign found


@pytest.mark.parametrize("terms", [b"ISO_IR\0100", b"ISO\x97IR 100", b"\0ISO_IR 100"])
def test_a_character_set_that_no_reader_understands_is_malformed(terms):
    plan = compile_plan(load("mip"), Policy({}))
    with pytest.raises(Failure) as error:
        plan.apply(instance(image(explicit(0x00080005, "CS", terms))), walker.SUBJECT)
    assert error.value.outcome is Outcome.MALFORMED


@pytest.mark.parametrize("recipe", ["basic", "research-mri"])
@pytest.mark.parametrize("vr", ["SQ", "UN"])
def test_nor_is_one_in_an_item(recipe, vr):
    """Because of it pydicom gives up the whole file."""
    plan = compile_plan(load(recipe), Policy({}))
    encoded = implicit if vr == "UN" else lambda tag, value: explicit(tag, "CS", value)
    for terms, is_good in ((b"\0bad", False), (b"ISO\x97IR 100", False), (b"ISO_IR 192\0", True), (b"", True)):
        sent = instance(image(sequence(0x00082218, encoded(0x00080005, terms), vr=vr)))
        try:
            out = b"".join(plan.apply(sent, walker.SUBJECT).parts)
        except Failure as failure:
            assert not is_good
            assert failure.outcome is Outcome.MALFORMED  # noqa: PT017
        else:
            assert is_good
            assert pydicom.dcmread(BytesIO(out)).AnatomicRegionSequence


@pytest.mark.parametrize("terms", [b"ISO_IR 100", b"\\ISO 2022 IR 87", b"ISO_IR 192\0", b"", b"GB18030"])
def test_a_character_set_that_is_one_comes_through(terms):
    plan = compile_plan(load("mip"), Policy({}))
    assert plan.apply(instance(image(explicit(0x00080005, "CS", terms))), walker.SUBJECT).parts


def test_an_element_that_a_wrong_length_swallowed_does_not_leave_in_a_kept_one():
    """The guard looks for values of attributes, and what was swallowed is none any more."""
    inside = explicit(0x00100010, "PN", "QZNEEDLE^JOHN")
    for data, refused in (
        (image(explicit(0x00081090, "LO", b"Skyra " + inside)), True),
        (image(explicit(0x00081010, "SH", b"Skyra " + inside)), False),  # removed, whatever it holds
        (image(explicit(0x00081090, "LO", b"Skyra   padding\0\0\0")), False),
    ):
        plan = PLANS["mip"]
        try:
            out = b"".join(plan.apply(instance(data), walker.SUBJECT).parts)
        except Failure as failure:
            assert refused
            assert failure.outcome is Outcome.NOT_DEIDENTIFIED  # noqa: PT017
            assert "QZNEEDLE" not in failure.why  # noqa: PT017
        else:
            assert not refused
            assert b"QZNEEDLE" not in out


def test_the_syntaxes_are_really_those_of_the_cases():
    assert {case.syntax for case in SEEDS} == set(SYNTAXES)
    assert encode(ct(), IMPLICIT) in {case.data for case in SEEDS}
