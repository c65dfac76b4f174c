import dataclasses
import hashlib
import re
from datetime import date
from pathlib import PurePosixPath

import pytest
from doubles import clean
from hypothesis import given
from hypothesis import strategies as st

from scp.layouts import LAYOUTS
from scp.layouts.names import file_name, visit

VISITS = st.from_regex(r"[1-9][0-9]{1,14}", fullmatch=True)
DAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("dated", "DICOM/2026/20261121/4711"), ("daily", "DICOM/20261121/4711"), ("flat", "DICOM/4711")],
)
def test_where_a_visit_stands(name, folder):
    assert LAYOUTS[name]("4711", DAY) == PurePosixPath(folder)


def test_every_layout_is_tried_here():
    assert set(LAYOUTS) == {"dated", "daily", "flat"}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(scan_research_id=VISITS, day=st.dates(min_value=date(1000, 1, 1)))
def test_a_visit_has_one_folder_below_dicom(layout, scan_research_id, day):
    path = layout(scan_research_id, day)
    assert not path.is_absolute()
    assert path.parts[0] == "DICOM"
    assert path.name == scan_research_id
    assert all(re.fullmatch(r"[0-9]+", part) for part in path.parts[1:])


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("wrong", ["", "1", "0123", "../4711", "4711/..", "47 11", "4711\n", "a" * 4, "1" * 16, "٤٧١١"])
def test_what_is_no_visit_number_gets_no_folder(layout, wrong):
    with pytest.raises(ValueError, match="scan_research_id"):
        layout(wrong, DAY)


def test_a_file_is_called_by_its_numbers_and_a_hash():
    instance = dataclasses.replace(clean(), scan_research_id="4711", series_number=3, instance_number=27)
    unique = hashlib.sha256(instance.sop_instance_uid.encode()).hexdigest()[:8]
    assert file_name(instance) == f"4711_0003_00027_{unique}.dcm"


@given(VISITS, st.integers(), st.integers(), st.from_regex(r"2\.25\.[1-9][0-9]{5,38}", fullmatch=True))
def test_a_file_name_holds_nothing_else(scan_research_id, series, number, uid):
    name = file_name(
        dataclasses.replace(
            clean(),
            scan_research_id=scan_research_id,
            series_number=series,
            instance_number=number,
            sop_instance_uid=uid,
        )
    )
    assert re.fullmatch(r"[1-9][0-9]+_[0-9]{4,}_[0-9]{5,}_[0-9a-f]{8}\.dcm", name)


@given(st.tuples(st.integers(-5, 9999), st.integers(-5, 99999)), st.tuples(st.integers(0, 9999), st.integers(0, 99999)))
def test_names_sort_as_numbers_do(first, second):
    def key(numbers):
        return file_name(dataclasses.replace(clean(), series_number=numbers[0], instance_number=numbers[1]))

    def plain(numbers):
        return tuple(max(0, number) for number in numbers)

    if plain(first) < plain(second):
        assert key(first) < key(second)


def test_the_same_instance_has_the_same_name_and_another_another():
    assert file_name(clean(1)) == file_name(clean(1))
    same_numbers = dataclasses.replace(clean(1), sop_instance_uid="2.25.99")
    assert file_name(same_numbers) != file_name(clean(1))


def test_a_name_is_never_made_of_what_is_no_visit_number():
    with pytest.raises(ValueError, match="scan_research_id"):
        file_name(dataclasses.replace(clean(), scan_research_id="../../etc"))
    assert visit("10") == "10"
