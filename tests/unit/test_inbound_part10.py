"""Which files are DICOM, and what they say of their data set: with and without preamble, prefix and meta."""

import pytest
from factories import ct, encode, mr
from hypothesis import given
from hypothesis import strategies as st
from media import DIRECTORY, dicomdir, saved
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from scp.inbound.part10 import MOST, Head, head

IMAGE = mr()
BARE = encode(IMAGE)
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def said(dataset, transfer_syntax, data):
    """What a file is expected to say; its data set is all of its end."""
    begins = len(data) - len(encode(dataset, transfer_syntax))
    return Head(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), str(transfer_syntax), begins)


@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
@pytest.mark.parametrize("meta", [True, False], ids=["meta", "bare"])
@pytest.mark.parametrize("preamble", [bytes(128) + b"DICM", b"II*\0" * 32 + b"DICM", b"DICM", b""])
@pytest.mark.parametrize("make", [mr, ct])
def test_every_shape_of_a_file_is_read(make, preamble, meta, transfer_syntax):
    dataset = make(3)
    data = saved(dataset, transfer_syntax, preamble=preamble, meta=meta)
    assert head(data) == said(dataset, transfer_syntax, data)


def test_the_meta_says_which_transfer_syntax():
    data = saved(IMAGE, JPEG2000Lossless)
    assert head(data).transfer_syntax == JPEG2000Lossless


def test_where_meta_and_data_set_differ_the_meta_is_the_command():
    """As on the wire, so that the walk sees that they do not agree."""
    other = mr(1)
    data = saved(other)[: -len(encode(other))] + BARE
    assert head(data).sop_instance_uid == other.SOPInstanceUID


def test_a_dicomdir_says_that_it_is_one():
    assert head(dicomdir(("A",))).sop_class_uid == DIRECTORY


@pytest.mark.parametrize("data", [b"", b"D", b"DICM", b"PK\x03\x04", b"%PDF-1.7 " * 20, b"\0" * 200, b"\x08\0" * 200])
def test_what_is_no_dicom_is_not_taken_for_it(data):
    assert head(data) is None


@pytest.mark.parametrize("lacking", ["SOPClassUID", "SOPInstanceUID"])
@pytest.mark.parametrize("transfer_syntax", SYNTAXES)
def test_without_prefix_it_needs_both_its_uids(lacking, transfer_syntax):
    assert head(encode(mr(0, **{lacking: None}), transfer_syntax)) is None


@pytest.mark.parametrize("uid", ["Doe^John", "1.2.x", "1 2"])
def test_a_text_is_no_uid(uid):
    dataset = mr()
    data = encode(dataset).replace(dataset.SOPInstanceUID.encode(), uid.ljust(len(dataset.SOPInstanceUID)).encode())
    assert head(data) is None


def test_what_has_the_prefix_is_dicom_whatever_follows():
    """It goes through the walk, which refuses and seals it, instead of being passed over as unknown."""
    assert head(bytes(128) + b"DICM") == Head("", "", "1.2.840.10008.1.2", 132)
    assert head(bytes(128) + b"DICM" + b"\xff" * 50) == Head("", "", "1.2.840.10008.1.2", 132)


def test_undefined_and_overlong_lengths_end_the_search():
    for length in (b"\xff\xff\xff\xff", b"\xf0\xff\xff\x7f"):
        assert head(b"\x08\0\x05\0" + length + encode(mr(), ImplicitVRLittleEndian)) is None


def test_elements_that_go_backwards_end_it():
    twice = encode(mr(), ImplicitVRLittleEndian)[:40]
    assert head(twice[:8] + twice) is None


def test_a_long_element_at_the_very_end_is_read_no_further():
    assert head(b"\x08\0\x01\0OB\0\0") is None


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_not_but_never_fail(data):
    found = head(data)
    assert found is None or 0 <= found.begins <= len(data)


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8), st.booleans())
def test_mutated_files_never_fail(at, change, prefixed):
    whole = bytearray(saved(IMAGE) if prefixed else saved(IMAGE, preamble=b""))
    whole[at : at + len(change)] = change
    found = head(bytes(whole))
    assert found is None or 0 <= found.begins <= len(whole)


@given(st.integers(0, len(saved(IMAGE))))
def test_cut_files_never_fail(at):
    found = head(saved(IMAGE)[:at])
    assert (found is not None) == (at >= 132)


@given(st.binary(max_size=128).map(lambda text: text.ljust(128, b"\0")))
def test_the_preamble_may_hold_anything(preamble):
    data = saved(IMAGE, preamble=preamble + b"DICM")
    assert head(data[:MOST]) == said(IMAGE, ExplicitVRLittleEndian, data)
