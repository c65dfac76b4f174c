"""NIfTI headers: what is refused before a voxel is read, and what the cleaned one keeps, by nibabel's reading."""

import struct

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from niftis import NAME, TYPES, volume

from scp.outcome import Failure, Outcome
from scp.volumes import header

MOST = 1 << 20
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=7).map(tuple)
KINDS = {
    "version": st.sampled_from([1, 2]),
    "order": st.sampled_from("<>"),
    "datatype": st.sampled_from(TYPES),
    "shape": SHAPES,
    "extension": st.sampled_from([0, 16, 64, 4096]),
}
KEPT = (
    "dim_info", "dim", "intent_p1", "intent_code", "datatype", "bitpix", "slice_start", "pixdim", "scl_slope",
    "scl_inter", "slice_end", "slice_code", "xyzt_units", "cal_max", "slice_duration", "toffset", "qform_code",
    "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "srow_x", "srow_y", "srow_z", "sizeof_hdr",
)  # fmt: skip


def nibabels(data):
    kind = nibabel.Nifti1Header if len(data) < 540 or struct.unpack("<i", data[:4])[0] not in {540, 469893120} else None
    return (kind or nibabel.Nifti2Header)(data[: 348 if kind else 540], check=False)


def read(data, most=MOST):
    return header.read(data[: header.MOST], most)


def read_or_not(data):
    try:
        return read(data)
    except Failure as failure:
        return failure


@given(**{key: KINDS[key] for key in KINDS})
def test_all_that_places_a_voxel_stays_and_no_text_does(**kind):
    sent = volume(**kind)
    head = read(sent)
    clean = head.clean()
    assert len(clean) == head.begins == (352 if kind["version"] == 1 else 544)
    assert head.offset == head.begins + kind["extension"]
    assert head.voxels == len(sent) - head.offset
    before, after = nibabels(sent), nibabels(clean)
    for field in KEPT:
        assert before[field].tobytes() == after[field].tobytes(), field
    assert np.array_equal(before.get_best_affine(), after.get_best_affine())
    assert before.endianness == after.endianness
    assert after.get_data_offset() == head.begins
    for field in ("descrip", "aux_file", "intent_name"):
        assert after[field].tobytes().strip(b"\0") == b""
    if kind["version"] == 1:
        for field in ("data_type", "db_name", "extents", "session_error", "glmax", "glmin"):
            assert after[field].tobytes().strip(b"\0") == b""
    assert clean[-4:] == bytes(4)
    assert not any(NAME[at : at + 4] in clean for at in range(len(NAME) - 3))


@given(st.binary(max_size=600), st.sampled_from([1, 2]), st.sampled_from("<>"))
def test_any_bytes_are_a_header_or_a_failure(noise, version, order):
    whole = volume(version=version, order=order)
    for data in (noise, whole[: len(noise)] + noise, noise[:40] + whole[40:], whole[:60] + noise):
        found = read_or_not(data)
        if isinstance(found, Failure):
            assert found.outcome in {Outcome.MALFORMED, Outcome.PIXELS_WITHHELD}
            assert NAME.decode() not in str(found)
        else:
            assert 0 < found.voxels <= MOST
            assert len(found.clean()) == found.begins


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"datatype": 128, "bitpix": 24}, Outcome.PIXELS_WITHHELD),
        ({"datatype": 2304, "bitpix": 32}, Outcome.PIXELS_WITHHELD),
        ({"datatype": 1, "bitpix": 1}, Outcome.MALFORMED),
        ({"datatype": 4, "bitpix": 8}, Outcome.MALFORMED),
        ({"datatype": 0}, Outcome.MALFORMED),
        ({"magic": b"ni1\0"}, Outcome.MALFORMED),
        ({"dim": (0, 1, 1, 1, 1, 1, 1, 1)}, Outcome.MALFORMED),
        ({"dim": (8, 1, 1, 1, 1, 1, 1, 1)}, Outcome.MALFORMED),
        ({"dim": (3, 2, 0, 4, 1, 1, 1, 1)}, Outcome.MALFORMED),
        ({"dim": (3, 2, -3, -4, 1, 1, 1, 1)}, Outcome.MALFORMED),
        ({"offset": 100}, Outcome.MALFORMED),
        ({"offset": 2**40}, Outcome.MALFORMED),
    ],
    ids=str,
)
def test_what_is_not_known_is_refused(version, changed, outcome):
    changed = dict(changed)
    if version == 2 and "magic" in changed:
        changed["magic"] = b"ni2\0\r\n\x1a\n"
    with pytest.raises(Failure) as caught:
        read(volume(version=version, **changed))
    assert caught.value.outcome is outcome


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), 352.5])
def test_an_offset_that_is_no_number_of_bytes_is_refused(offset):
    with pytest.raises(Failure, match="vox_offset"):
        read(volume(offset=offset))


def test_a_volume_beyond_the_limit_is_refused_by_its_header_alone():
    data = volume(shape=(30_000, 30_000, 30_000), voxels=b"")
    with pytest.raises(Failure, match="max_instance_bytes"):
        read(data)
    small = volume()
    assert read(small, 48).voxels == 48
    with pytest.raises(Failure, match="max_instance_bytes"):
        read(small, 47)


def test_dimensions_beyond_the_last_hold_nothing():
    head = read(volume(dim=(3, 2, 3, 4, 1952, 11, 30, 0)))
    assert struct.unpack_from("<8h", head.clean(), 40) == (3, 2, 3, 4, 1, 1, 1, 0)
