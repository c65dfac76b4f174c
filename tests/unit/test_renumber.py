"""A file under another visit number: what the recipe would have made, and nothing else of it changed."""

import hashlib
from io import BytesIO

import pydicom
import pytest
from factories import ct, enhanced, instance, mr, needles
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from visiting import encoded, header

from scp.bounds import Bounds
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import find, read
from scp.instance import Subject
from scp.moving.renumber import staged
from scp.outcome import Failure, Outcome

BEFORE, AFTER = "123456789012", "998877665544"
SECRET = bytes(range(32))
PLACES = ["StudyID", "PatientComments", "PerformedProcedureStepID", "AccessionNumber", "EthnicGroup", "ImageComments"]


def renumbered(path, content):
    path.write_bytes(content)
    one = staged(path, Bounds())
    parts, digest = one.renumbered(BEFORE, AFTER)
    made = b"".join(parts)
    assert hashlib.sha256(made).digest() == digest
    assert one.digest == hashlib.sha256(content).digest()
    return made


@pytest.mark.parametrize("recipe", ["mip", "mip-strict", "basic", "research-mri"])
@pytest.mark.parametrize("dataset", [mr, ct, enhanced])
def test_it_is_what_the_recipe_makes_under_the_other_number(tmp_path, recipe, dataset):
    plan = compile_plan(read(find(recipe)), Policy({}))
    image = instance(dataset(BurnedInAnnotation="NO"))
    first, second = (plan.apply(image, Subject("SAAAAAAAAAAAAAAAA", number, SECRET)) for number in (BEFORE, AFTER))
    assert first.digest != second.digest
    made = renumbered(tmp_path / "x.dcm", b"".join(first.parts))
    assert made == b"".join(second.parts)
    assert BEFORE.encode() not in made
    if recipe == "mip":
        assert not [needle for needle in needles() if needle in made]


def values(number):
    """Texts in which the number is the whole value, one of several, or only digits among others."""
    return {
        "whole": number,
        "several": f"{number}\\x",
        "last": f"x\\{number}",
        "longer": f"{number}9",
        "in words": f"v {number}",
        "none": "other",
    }


SAME = {"longer", "in words"}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(PLACES), st.sampled_from(sorted(values(""))), min_size=1), st.integers(0, 3))
def test_whole_values_at_any_depth_and_no_other_digits(tmp_path_factory, chosen, depth):
    def built(number):
        dataset = Dataset()
        for keyword, kind in chosen.items():
            setattr(dataset, keyword, values(BEFORE if kind in SAME else number)[kind])
        for _level in range(depth):
            outer = Dataset()
            outer.ReferencedStudySequence = [dataset]
            dataset = outer
        image = header(1, visit=number, SOPInstanceUID=f"2.25.{BEFORE}", SeriesInstanceUID=f"2.25.{BEFORE}.1")
        image.PixelData = BEFORE.encode() * 4
        image.update(dataset)
        return encoded(image)

    path = tmp_path_factory.getbasetemp() / "nested.dcm"
    made = renumbered(path, built(BEFORE))
    assert made == built(AFTER)
    assert len(made) == len(built(BEFORE))
    assert pydicom.dcmread(BytesIO(made)).SOPInstanceUID == f"2.25.{BEFORE}"


def test_a_number_of_another_length_is_none(tmp_path):
    (tmp_path / "x.dcm").write_bytes(encoded(header()))
    with pytest.raises(ValueError, match="another length"):
        staged(tmp_path / "x.dcm", Bounds()).renumbered(BEFORE, "1")


@pytest.mark.parametrize("content", [b"", b"short", bytes(200), bytes(128) + b"DICM" + bytes(100)])
def test_what_is_no_staged_file_is_refused(tmp_path, content):
    (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(Failure) as caught:
        staged(tmp_path / "x.dcm", Bounds())
    assert caught.value.outcome is Outcome.FAILED


@settings(deadline=None)
@given(st.integers(150, 1000))
def test_a_file_that_ends_short_is_refused_or_is_not_what_was_stored(tmp_path_factory, length):
    whole = encoded(header())
    path = tmp_path_factory.getbasetemp() / "short.dcm"
    path.write_bytes(whole[: min(length, len(whole) - 1)])
    try:
        one = staged(path, Bounds())
    except Failure:
        return
    assert one.digest != hashlib.sha256(whole).digest()  # between two elements only its row can tell
