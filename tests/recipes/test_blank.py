"""Blanked pixels against an own account of which are hidden: black inside, every other bit as sent."""

from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pydicom
import pytest
from encoded import EXPLICIT, IMPLICIT, RLE, explicit, image, implicit, instance, sequence
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

from scp.dataset import PIXEL_DATA, DataSet, read
from scp.deidentify import blank, dry, native
from scp.deidentify.labels import Label, region
from scp.deidentify.regions import hidden
from scp.outcome import Failure, Outcome

Box = tuple[int, int, int, int]
FORMS = [
    ("MONOCHROME1", 1), ("MONOCHROME2", 1), ("PALETTE COLOR", 1), ("RGB", 3), ("YBR_FULL", 3),
]  # fmt: skip


def label(*lines: str) -> Label:
    regions = [region(line) for line in lines]
    return Label(1, "g", "x", regions=tuple(one for one in regions if one is not None))


def us_region(left: int, top: int, right: int, bottom: int) -> bytes:
    corners = zip((0x18, 0x1A, 0x1C, 0x1E), (left, top, right, bottom), strict=True)
    return b"".join(explicit(0x00186000 | low, "UL", pack("<I", value)) for low, value in corners)


def described(pixels: bytes, rows: int, columns: int, *more: bytes, vr: str = "OW", **said: Any) -> bytes:
    """An image that describes these pixels; `said` over the description of one 8-bit monochrome frame."""
    of = {"samples": 1, "photometric": "MONOCHROME2", "planar": 0, "frames": "1", "allocated": 8, "signed": 0} | said
    stored = of.get("stored", of["allocated"])
    return image(
        explicit(0x00280002, "US", pack("<H", of["samples"])),
        explicit(0x00280004, "CS", of["photometric"]),
        explicit(0x00280006, "US", pack("<H", of["planar"])),
        explicit(0x00280008, "IS", of["frames"]),
        explicit(0x00280010, "US", pack("<H", rows)),
        explicit(0x00280011, "US", pack("<H", columns)),
        explicit(0x00280100, "US", pack("<H", of["allocated"])),
        explicit(0x00280101, "US", pack("<H", stored)),
        explicit(0x00280102, "US", pack("<H", of.get("high", stored - 1))),
        explicit(0x00280103, "US", pack("<H", of["signed"])),
        *more,
        pixels=explicit(PIXEL_DATA, vr, pixels + bytes(len(pixels) % 2)),
    )


def pixels_of(dataset: DataSet) -> bytes:
    return dataset.value(PIXEL_DATA)


def blanked(data: bytes, *labels: Label, syntax: str = EXPLICIT) -> DataSet:
    return blank.blanked(read(data, explicit=True), syntax, labels)


def withheld(data: bytes, *labels: Label, syntax: str = EXPLICIT) -> str:
    with pytest.raises(Failure) as error:
        blanked(data, *labels, syntax=syntax)
    assert error.value.outcome in {Outcome.PIXELS_WITHHELD, Outcome.INCOMPLETE}  # the walk measures pixels too
    return error.value.why


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return left, top, left + draw(st.integers(1, 12)), top + draw(st.integers(1, 12))


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[bool, Box]]:
    """Lines of one label: kept or blanked, and where."""
    return draw(st.lists(st.tuples(st.booleans(), boxes()), min_size=1, max_size=5))


def mask(rows: int, columns: int, programs: Sequence[Sequence[tuple[bool, Box]]]) -> np.ndarray[Any, Any]:
    """What deid's own mask would hide, label by label, put together."""
    total = np.zeros((rows, columns), bool)
    for lines in programs:
        one = np.full((rows, columns), lines[0][0])
        for keep, (left, top, right, bottom) in lines:
            one[top:bottom, left:right] = not keep
        total |= one
    return total


def written(lines: Sequence[tuple[bool, Box]]) -> Label:
    return label(*(f"{'keep' if keep else ''}coordinates {','.join(map(str, box))}" for keep, box in lines))


@settings(max_examples=400)
@given(
    form=st.sampled_from(FORMS),
    allocated=st.sampled_from([8, 16, 32]),
    planar=st.sampled_from([0, 1]),
    signed=st.sampled_from([0, 1]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3)),
    lines=st.lists(programs(), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 400), max_size=4),
)
def test_hidden_pixels_are_black_and_no_other_bit_is_touched(  # noqa: PLR0913, PLR0917  one for each thing drawn
    form: tuple[str, int], allocated: int, planar: int, signed: int, size: tuple[int, int, int],
    lines: list[list[tuple[bool, Box]]], seed: int, cuts: list[int],
) -> None:  # fmt: skip
    (photometric, samples), (rows, columns, frames) = form, size
    where = mask(rows, columns, lines)
    assume(where.any())
    shape = (frames, samples, rows, columns) if planar and samples > 1 else (frames, rows, columns, samples)
    cell = {8: "u1", 16: "<u2", 32: "<u4"}[allocated]
    sent = np.random.default_rng(seed).integers(0, 2**allocated, shape, dtype=cell.replace("<", ""))
    black = {"MONOCHROME1": [2 ** (allocated - signed) - 1], "YBR_FULL": [0, *[2 ** (allocated - 1)] * 2]}
    expected = sent.copy()
    for sample, value in enumerate(black.get(photometric, [0] * samples)):
        plane = expected[:, sample] if planar and samples > 1 else expected[..., sample]
        plane[:, where] = value
    data = described(
        sent.astype(cell).tobytes(), rows, columns, frames=str(frames), allocated=allocated, planar=planar,
        samples=samples, photometric=photometric, signed=signed,
    )  # fmt: skip
    labels = [written(one) for one in lines]
    left = blanked(data, *labels)
    wanted = expected.astype(cell).tobytes()
    assert pixels_of(left)[: len(wanted)] == wanted
    before = read(data, explicit=True)
    start, end = (element := before.elements[-1]).value, element.value + len(wanted)
    assert (bytes(left.data[:start]), bytes(left.data[end:])) == (data[:start], data[end:])
    assert left.elements == before.elements
    assert bytes(before.data) == data
    whole = pixels_of(before)
    places = sorted({0, len(whole), *(at % (len(whole) + 1) for at in cuts)})
    take = native.of(before, labels).take
    assert b"".join(take(whole[a:b], a) for a, b in pairwise(places)) == pixels_of(left)


@pytest.mark.parametrize(("line", "shown"), [
    ("coordinates 0,0,4,1", [(y, x) for y in range(1, 4) for x in range(4)]),
    ("ctpcoordinates 1,1,3,3", [(y, x) for y in range(4) for x in range(4) if not (y and x)]),
    ("keepcoordinates 1,2,3,4", [(2, 1), (2, 2), (3, 1), (3, 2)]),
    ("ctpkeepcoordinates 1,2,1,1", [(2, 1)]),
    ("coordinates all", []),
    ("coordinates 0,0,99,99", []),
])  # fmt: skip
def test_each_way_to_write_a_region(line: str, shown: list[tuple[int, int]]) -> None:
    left = np.frombuffer(pixels_of(blanked(described(b"\7" * 16, 4, 4), label(line))), "u1").reshape(4, 4)
    assert [tuple(map(int, at)) for at in np.argwhere(left)] == shown


# Ultrasound regions


@pytest.mark.parametrize("line", ["coordinates", "keepcoordinates"])
def test_ultrasound_regions_are_kept_and_the_rest_is_blanked(line: str) -> None:
    """By `coordinates from:` deid blanks the regions themselves and leaves the text around them."""
    regions = sequence(0x00186011, us_region(1, 1, 2, 2), us_region(3, 0, 3, 0))
    left = blanked(described(b"\7" * 16, 4, 4, regions), label(f"{line} from:SequenceOfUltrasoundRegions"))
    assert np.frombuffer(pixels_of(left), "u1").reshape(4, 4).tolist() == [
        [0, 0, 0, 7], [0, 7, 7, 0], [0, 7, 7, 0], [0, 0, 0, 0]
    ]  # fmt: skip


def test_regions_of_one_image_are_not_those_of_the_next() -> None:
    """What deid writes back into the recipe masks the second image by the first one's regions."""
    rule = label("keepcoordinates from:SequenceOfUltrasoundRegions")
    one = described(b"\7" * 16, 4, 4, sequence(0x00186011, us_region(0, 0, 0, 0)))
    other = described(b"\7" * 16, 4, 4, sequence(0x00186011, us_region(3, 3, 3, 3)))
    for data, at in ((one, 0), (other, 15), (one, 0)):
        assert [n for n, value in enumerate(pixels_of(blanked(data, rule))) if value] == [at]


@pytest.mark.parametrize("regions", [
    b"",
    sequence(0x00186011),
    sequence(0x00186011, us_region(0, 0, 1, 1)[:-12]),
    sequence(0x00186011, b"".join(explicit(0x00186000 | low, "UL", b"") for low in (0x18, 0x1A, 0x1C, 0x1E))),
    sequence(0x00186011, *[us_region(0, 0, 1, 1)] * 65),
])  # fmt: skip
def test_regions_that_do_not_say_where_they_lie_withhold_the_image(regions: bytes) -> None:
    why = withheld(described(bytes(16), 4, 4, regions), label("keepcoordinates from:SequenceOfUltrasoundRegions"))
    assert "region" in why.lower()


# What is refused


@pytest.mark.parametrize("said", [
    {"photometric": "YBR_FULL_422", "samples": 3},
    {"photometric": "YBR_RCT", "samples": 3},
    {"photometric": ""},
    {"photometric": "RGB"},
    {"samples": 3},
    {"samples": 0},
    {"allocated": 1},
    {"allocated": 12},
    {"allocated": 64},
    {"stored": 9},
    {"stored": 0, "high": 7},
    {"stored": 4, "high": 2},
    {"frames": "2"},
    {"frames": "0"},
    {"frames": "many"},
    {"frames": "1\\1"},
    {"frames": "\u00b2"},
    {"frames": "0" * 4_400 + "1"},
])  # fmt: skip
def test_what_is_not_surely_understood_is_withheld(said: dict[str, Any]) -> None:
    assert withheld(described(bytes(16), 4, 4, **said), label("coordinates all"))


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (4, 5), (65535, 65535)])
def test_pixels_that_are_not_as_many_as_is_said_are_withheld(size: tuple[int, int]) -> None:
    assert withheld(described(bytes(16), *size), label("coordinates all"))


def test_a_region_outside_the_image_withholds_it() -> None:
    assert "outside" in withheld(described(bytes(16), 4, 4), label("coordinates 4,0,9,9"))


@pytest.mark.parametrize("tag", [0x00280002, 0x00280010, 0x00280100, 0x00280101, 0x00280103])
def test_a_description_with_holes_is_withheld(tag: int) -> None:
    data = described(bytes(16), 4, 4, explicit(tag, "US", b""), photometric="MONOCHROME1")
    assert withheld(data, label("coordinates all"))


@pytest.mark.parametrize("value", ["\u00b2", "\u0663", "8" * 4_400, "\u00b219540312"])
@pytest.mark.parametrize("tag", [0x00280100, 0x00280101])
def test_a_description_of_digits_that_are_no_number_is_withheld(tag: int, value: str) -> None:
    data = described(bytes(16), 4, 4, explicit(0x00080005, "CS", "ISO_IR 192"), explicit(tag, "LO", value.encode()))
    assert "19540312" not in withheld(data, label("coordinates all"))


def test_floating_point_pixels_and_documents_are_withheld() -> None:
    body = image(explicit(0x7FE00008, "OF", bytes(16)))[: -len(explicit(PIXEL_DATA, "OW", bytes(8)))]
    data = body if read(body, explicit=True).find(0x7FE00008) else explicit(0x7FE00008, "OF", bytes(16))
    assert "only PixelData" in withheld(data, label("coordinates all"))
    assert "only PixelData" in withheld(explicit(0x00420011, "OB", b"%PDF"), label("coordinates all"))


def test_unused_bits_of_hidden_cells_are_black_too() -> None:
    """Embedded overlays stand there (PS3.5 8.1.2, retired)."""
    left = blanked(described(b"\xff" * 8, 2, 2, allocated=16, stored=12), label("coordinates 0,0,1,1"))
    assert pixels_of(left) == b"\0\0" + b"\xff" * 6


def test_the_black_of_monochrome1_is_the_greatest_value_stored() -> None:
    data = described(bytes(8), 2, 2, allocated=16, stored=12, photometric="MONOCHROME1")
    assert pixels_of(blanked(data, label("coordinates 1,1,2,2"))) == bytes(6) + pack("<H", 4095)
    data = described(bytes(8), 2, 2, allocated=16, stored=12, signed=1, photometric="MONOCHROME1")
    assert pixels_of(blanked(data, label("coordinates 1,1,2,2"))) == bytes(6) + pack("<h", 2047)
    data = described(bytes(8), 2, 2, allocated=16, stored=12, high=15, photometric="MONOCHROME1")
    assert pixels_of(blanked(data, label("coordinates 1,1,2,2"))) == bytes(6) + pack("<H", 4095 << 4)


def test_implicit_pixels_are_blanked_as_well() -> None:
    explicitly = described(b"\7" * 16, 4, 4)
    elements = read(explicitly, explicit=True)
    data = b"".join(implicit(one.tag, bytes(elements.data[one.value : one.end])) for one in elements.elements)
    left = blank.blanked(read(data, explicit=False), IMPLICIT, [label("coordinates 0,0,4,3")])
    assert pixels_of(left) == bytes(12) + b"\7" * 4


# Encapsulated


def test_a_syntax_that_is_not_opened_is_withheld() -> None:
    body = described(b"", 4, 4, vr="OB")[:-12]
    data = body + explicit(PIXEL_DATA, "OB", encapsulate([b"\0\1"]) + pack("<HHI", 0xFFFE, 0xE0DD, 0), 0xFFFFFFFF)
    for syntax in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"):
        assert "RLE" in withheld(data, label("coordinates all"), syntax=syntax)
    assert "frame" in withheld(data, label("coordinates all"), syntax=RLE)
    with pytest.raises(Failure, match="stream_bytes"):
        native.of(read(data, explicit=True), [label("coordinates all")])


def file(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def arrays(path: Path, left: DataSet) -> tuple[Any, Any]:
    """Stored values before and after, decoded by pydicom."""
    before = pydicom.dcmread(path)
    after = pydicom.dcmread(path)
    again = pydicom.dcmread(BytesIO(bytes(left.data)), force=True) if left.explicit else None
    after.PixelData = left.data[(one := left.find(PIXEL_DATA)).value : one.stop].tobytes()  # type: ignore[union-attr]
    assert again is None or again.Rows == before.Rows
    return pixel_array(before, raw=True), pixel_array(after, raw=True)


REAL = [
    "SC_rgb_rle.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm",
    "MR_small_RLE.dcm", "rtdose_rle.dcm", "SC_rgb_small_odd.dcm", "examples_palette.dcm", "examples_rgb_color.dcm",
    "MR_small.dcm", "rtdose.dcm", "liver_1frame.dcm", "CT_small.dcm",
]  # fmt: skip


REFUSED = {
    "liver_1frame.dcm": "allocated",  # a segmentation of one bit
    "SC_rgb_rle_32bit_2frame.dcm": "does not encode",
    "rtdose_rle.dcm": "does not encode",  # 32 bits as well
}


@pytest.mark.parametrize("name", [name for name in REAL if get_testdata_file(name, download=False)])
def test_real_files_are_blanked_and_all_other_pixels_are_identical(name: str) -> None:
    path = file(name)
    sent = dry.instance(path)
    if name in REFUSED:
        assert REFUSED[name] in _why(sent.dataset, sent.arrival.transfer_syntax)
        return
    left = blank.blanked(sent.dataset, sent.arrival.transfer_syntax, [label("coordinates 0,0,5,3")])
    before, after = arrays(path, left)
    rows, columns = int(pydicom.dcmread(path).Rows), int(pydicom.dcmread(path).Columns)
    axis = before.shape.index(rows)
    where = np.zeros((rows, columns), bool)
    where[:3, :5] = True
    moved_before, moved_after = (np.moveaxis(one, (axis, axis + 1), (0, 1)) for one in (before, after))
    assert (moved_after[~where] == moved_before[~where]).all()
    assert (moved_after[where] == moved_after[0, 0]).all()
    assert left.elements[-1].tag == sent.dataset.elements[-1].tag


def _why(dataset: DataSet, syntax: str) -> str:
    with pytest.raises(Failure) as error:
        blank.blanked(dataset, syntax, [label("coordinates all")])
    return error.value.why


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_a_broken_rle_frame_is_withheld_and_nothing_else_is_raised(noise: bytes, at: int) -> None:
    sent = dry.instance(file("MR_small_RLE.dcm"))
    data = bytearray(sent.dataset.data)
    element = sent.dataset.find(PIXEL_DATA)
    assert element
    start = element.value + 16 + at
    data[start : start + len(noise)] = noise[: len(data) - start - 8]
    try:
        dataset = read(bytes(data), explicit=True)
    except Failure:
        return
    try:
        left = blank.blanked(dataset, RLE, [label("coordinates all")])
    except Failure as failure:
        assert failure.outcome is Outcome.PIXELS_WITHHELD  # noqa: PT017  either this or a result
        return
    assert left.find(PIXEL_DATA)


def test_hidden_columns_of_neighbours_are_one_run() -> None:
    dataset = instance(image()).dataset
    lines = hidden([label("coordinates 0,0,2,1", "coordinates 2,0,4,1", "coordinates 6,0,7,1")], dataset, 2, 8)
    assert lines == [((0, 4), (6, 7)), ()]
