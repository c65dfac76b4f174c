"""The table held against pydicom on its own test files, and against every way of cutting them short."""

from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from scp.dataset import read
from scp.outcome import Failure, Outcome

IMPLICIT = "1.2.840.10008.1.2"
FILES = ["CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "rtplan.dcm", "reportsi.dcm", "JPEG2000.dcm"]


def encoded(name: str) -> tuple[bytes, bool]:
    """The bare data set, and whether its VRs are explicit."""
    path = Path(str(get_testdata_file(name)))
    dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    data = path.read_bytes()
    meta = 132 + 12 + dataset.file_meta[0x00020000].value if data[128:132] == b"DICM" else 0
    return data[meta:], str(dataset.file_meta.get("TransferSyntaxUID", IMPLICIT)) != IMPLICIT


@pytest.mark.parametrize("name", FILES)
def test_tags_and_values_are_those_pydicom_reads(name: str) -> None:
    data, explicit = encoded(name)
    dataset = read(data, explicit=explicit)
    theirs = pydicom.dcmread(str(get_testdata_file(name)), force=True)
    assert [element.tag for element in dataset.elements] == sorted(theirs.keys())
    for element in dataset.elements:
        raw = theirs.get_item(element.tag)
        if isinstance(raw.value, bytes) and element.end == element.stop:
            assert bytes(dataset.data[element.value : element.end]) == raw.value


@pytest.mark.parametrize("name", FILES)
def test_nested_items_are_those_pydicom_reads(name: str) -> None:
    data, explicit = encoded(name)
    dataset = read(data, explicit=explicit)
    theirs = pydicom.dcmread(str(get_testdata_file(name)), force=True)
    counted = sum(1 for _ in theirs.iterall())
    ours = len(dataset.elements) + sum(len(item.elements) for nest in dataset.nested.values() for item in nest.items)
    assert ours == counted


@pytest.mark.parametrize("name", ["reportsi.dcm", "rtplan.dcm", "UN_sequence.dcm", "MR_small.dcm", "JPEG2000.dcm"])
def test_a_cut_anywhere_is_seen(name: str) -> None:
    data, explicit = encoded(name)
    whole = read(data, explicit=explicit)
    between = {0, *(element.stop for element in whole.elements)}
    offsets = range(min(len(data), 6000)) if len(data) < 6000 else [*range(2500), *range(2500, len(data), 97)]
    for at in offsets:
        if at in between:
            continue
        with pytest.raises(Failure) as error:
            read(data[:at], explicit=explicit)
        assert error.value.outcome is Outcome.INCOMPLETE, at


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_is_refused_or_read_to_the_last_byte(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["reportsi.dcm", "rtplan.dcm", "UN_sequence.dcm"]))
    original, explicit = encoded(name)
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    assert result(bytes(changed), explicit=explicit) in {Outcome.INCOMPLETE, Outcome.MALFORMED, None}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_or_read_to_the_last_byte(data: bytes, explicit: bool) -> None:  # noqa: FBT001  hypothesis
    assert result(data, explicit=explicit) in {Outcome.INCOMPLETE, Outcome.MALFORMED, None}


def result(data: bytes, *, explicit: bool) -> Outcome | None:
    """How the bytes are refused; None where they are read, each element behind the one before, to the last byte."""
    try:
        dataset = read(data, explicit=explicit)
    except Failure as failure:
        return failure.outcome
    at = 0
    for element in dataset.elements:
        assert element.start == at
        assert element.start < element.value <= element.end <= element.stop
        at = element.stop
    assert at == len(data)
    return None
