"""The drawing itself: the same head whichever way it is cut."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.phantom.head import FLAIR, T1, draw
from scp.phantom.series import AXIAL, SAGITTAL
from scp.phantom.study import _axes, _positions, _volume

QUIET = {**T1, "noise": 0}


def generator():
    return np.random.default_rng(0)


def at(x, y, z, signal=QUIET):
    """The tissue at one point."""
    point = tuple(np.full((1, 1, 1), value, np.float32) for value in (x, y, z))
    return int(draw(point, signal, generator())[0, 0, 0])


@pytest.mark.parametrize(
    ("point", "tissue"),
    [
        ((10, -6, 13), "csf"),
        ((-10, -6, 13), "csf"),
        ((24, -8, 0), "grey"),
        ((20, 10, 25), "white"),
        ((31, -80, -24), "eye"),
        ((-31, -80, -24), "eye"),
        ((0, 4, 22), "white"),
        ((0, -92, -42), "fat"),
        ((0, 12, -130), "muscle"),
    ],
)
@pytest.mark.parametrize("signal", [T1, FLAIR], ids=["t1", "flair"])
def test_tissues_stand_where_anatomy_has_them(point, tissue, signal):
    assert at(*point, {**signal, "noise": 0}) == pytest.approx(signal[tissue], abs=2)


@pytest.mark.parametrize("point", [(0, 0, 120), (100, 0, 0), (0, 130, 0), (0, -150, 0), (-90, -90, 80)])
def test_there_is_air_around(point):
    assert at(*point) == 0


@given(st.floats(-110, 110), st.floats(-110, 110), st.floats(-110, 110))
def test_every_value_lies_between_air_and_fat(x, y, z):
    assert 0 <= at(x, y, z) <= max(T1.values())


@given(st.floats(10, 60), st.floats(-60, 60), st.floats(-40, 60))
def test_each_grid_gives_the_same_point_the_same_value(x, y, z):
    alone = at(x, y, z)
    row = draw(
        (
            np.float32([x - 5, x, x + 5])[:, None, None],
            np.full((1, 1, 1), y, np.float32),
            np.full((1, 1, 1), z, np.float32),
        ),
        QUIET,
        generator(),
    )
    assert row.shape == (3, 1, 1)
    assert row[1, 0, 0] == alone


def quiet_volume(series):
    """A coarse series without noise, its voxels and where each of them lies."""
    series = dataclasses.replace(series, size=series.size // 8, spacing=series.spacing * 8, signal=QUIET)
    positions = _positions(series)
    return series, positions, _volume(series, positions, generator())


@pytest.mark.parametrize("series", [SAGITTAL, AXIAL], ids=["sagittal", "axial"])
def test_the_header_says_where_each_voxel_lies(series):
    """PS3.3 C.7.6.2.1.1: position + column * spacing * row cosines + row * spacing * column cosines."""
    series, positions, volume = quiet_volume(series)
    along, down, _ = _axes(series)
    for slice_, row, column in np.random.default_rng(3).integers(
        0, [series.slices, series.size, series.size], (200, 3)
    ):
        place = positions[slice_] + column * series.spacing * along + row * series.spacing * down
        assert abs(int(volume[slice_, row, column]) - at(*place)) <= 2


@pytest.mark.parametrize("series", [SAGITTAL, AXIAL], ids=["sagittal", "axial"])
def test_orientation_and_slices_are_right_handed_or_follow_the_patient(series):
    along, down, through = _axes(series)
    assert np.dot(along, down) == 0
    assert np.linalg.norm(along) == np.linalg.norm(down) == np.linalg.norm(through) == 1
    assert np.all(np.diff(_positions(series) @ through) > 0)


def test_noise_is_only_noise():
    grid = (np.zeros((40, 1, 1), np.float32), np.zeros((1, 40, 1), np.float32), np.full((1, 1, 1), 300, np.float32))
    air = draw(grid, T1, generator())
    assert 0 < air.mean() < 3 * T1["noise"]
    assert air.std() > 1
    assert np.array_equal(air, draw(grid, T1, generator()))
    assert not np.array_equal(air, draw(grid, T1, np.random.default_rng(1)))


def test_values_fit_twelve_bits():
    loud = {**T1, "fat": 10_000}
    assert at(0, -92, -42, loud) == 4095
