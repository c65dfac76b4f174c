"""Reports: what is kept, what the page shows, and pictures that are the pixels."""

import base64
import io
import re
import zlib

import numpy as np
import pytest
from doubles import VISIT
from visiting import House, encoded, header, image

from scp.db.index import Delivery
from scp.outcome import Failure, Outcome
from scp.steward import headers, report
from scp.steward.gates import Candidate, Finding, Verdict
from scp.steward.mosaic import ACROSS, DOWN, SIDE, mosaic, png
from scp.steward.page import page
from scp.steward.report import Reports, worst

FIRST = Delivery(VISIT, 1)


def unpacked(picture):
    """Grey pixels of one of our PNG files; the checksums are compared on the way."""
    stream = io.BytesIO(picture)
    assert stream.read(8) == b"\x89PNG\r\n\x1a\n"
    chunks = {}
    while raw := stream.read(8):
        length, kind = int.from_bytes(raw[:4]), raw[4:]
        chunks[kind] = stream.read(length)
        assert int.from_bytes(stream.read(4)) == zlib.crc32(kind + chunks[kind])
    width, height = int.from_bytes(chunks[b"IHDR"][:4]), int.from_bytes(chunks[b"IHDR"][4:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


def slices(folder, count, **attributes):
    """Files of 4 x 4 pixels, the later the brighter."""
    names = []
    for number in range(1, count + 1):
        names.append(f"{number:04d}.dcm")
        (folder / names[-1]).write_bytes(encoded(header(number, **attributes)))
    return names


def test_a_png_is_its_pixels():
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert np.array_equal(unpacked(png(pixels)), pixels)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (12, 3), (100, 3)])
def test_a_mosaic_goes_from_the_first_slice_to_the_last(tmp_path, count, rows):
    pixels = unpacked(mosaic(tmp_path, slices(tmp_path, count)))
    assert pixels.shape == (rows * SIDE, ACROSS * SIDE)
    shown = min(count, ACROSS * DOWN)
    values = [int(pixels[(at // ACROSS) * SIDE, (at % ACROSS) * SIDE]) for at in range(shown)]
    assert values == sorted(values)
    if count > 1:
        assert (values[0], values[-1]) == (0, 255)


def test_a_large_slice_is_thinned(tmp_path):
    big = header(1, Rows=300, Columns=200)
    big.add_new("PixelData", "OW", np.tile(np.arange(200, dtype="<u2"), 300).tobytes())
    (tmp_path / "a.dcm").write_bytes(encoded(big))
    pixels = unpacked(mosaic(tmp_path, ["a.dcm"]))
    assert pixels[0, 0] < pixels[0, 20] < pixels[0, 49]
    assert pixels[74, 49]
    assert not pixels[:, 60:].any()


def test_colour_and_frames_have_a_picture_too(tmp_path):
    colour = header(1, SamplesPerPixel=3, PhotometricInterpretation="RGB", BitsAllocated=8, BitsStored=8, HighBit=7)
    colour.PlanarConfiguration = 0
    colour.add_new("PixelData", "OW", bytes(range(48)))
    frames = header(2, NumberOfFrames="3")
    frames.add_new("PixelData", "OW", bytes(range(96)))
    for name, dataset in (("colour", colour), ("frames", frames)):
        (tmp_path / name).write_bytes(encoded(dataset))
        assert unpacked(mosaic(tmp_path, [name])).max() == 255


def test_what_has_no_pixels_that_can_be_read_has_no_picture(tmp_path):
    bare = header(1, PixelData=None)
    (tmp_path / "bare.dcm").write_bytes(encoded(bare))
    short = header(2)
    short.Rows = 400
    (tmp_path / "short.dcm").write_bytes(encoded(short))
    (tmp_path / "no.dcm").write_bytes(b"no DICOM")
    assert mosaic(tmp_path, ["bare.dcm", "short.dcm", "no.dcm", "missing.dcm"]) is None
    assert mosaic(tmp_path, []) is None


def candidate(folder, **attributes):
    return Candidate(folder, headers.of_visit(folder, slices(folder, 3, **attributes)))


def test_a_report_is_kept_and_replaced(tmp_path):
    reports = Reports(tmp_path / "reports")
    folder = tmp_path / "visit"
    folder.mkdir()
    visit = candidate(folder)
    assert reports.read(FIRST) is None
    reports.write(FIRST, visit, [Finding("t1", Verdict.WARN, "why", ("0001.dcm",))], 5.0)
    reports.write(FIRST, visit, iter([Finding("gaps", Verdict.HOLD, "because", ())]), 6.0)
    held = reports.read(FIRST)
    assert (held["verdict"], held["checked_at"], held["delivery"]) == ("hold", 6.0, 1)
    assert held["findings"] == [{"gate": "gaps", "verdict": "hold", "why": "because", "files": []}]
    assert held["series"][0]["description"] == "T1 MPRAGE"
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [f"{VISIT}-1.json"]
    assert (tmp_path / "reports" / f"{VISIT}-1.json").stat().st_mode & 0o777 == 0o640


def test_a_report_that_cannot_be_kept_lets_nothing_through(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch)
    house.store(image())

    def full(_path, _content):
        raise OSError(28, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(report, "write", full)
        assert house.later() == 0
    assert house.index.state(FIRST) == "quiet"
    assert house.steward.round() == 1


def test_a_disk_that_fails_says_so(tmp_path, monkeypatch):
    def broken(_path, _content):
        raise OSError(5, "EIO")

    monkeypatch.setattr(report, "write", broken)
    with pytest.raises(Failure) as caught:
        Reports(tmp_path).write(FIRST, Candidate(tmp_path, ()), [], 1.0)
    assert caught.value.outcome is Outcome.STORAGE_FAULT


def test_the_worst_of_nothing_is_pass():
    assert worst([]) is Verdict.PASS
    assert worst([Finding("a", Verdict.HOLD, "", ()), Finding("b", Verdict.WARN, "", ())]) is Verdict.HOLD


@pytest.fixture
def shown(tmp_path):
    folder = tmp_path / "visit"
    folder.mkdir()
    visit = candidate(folder, SeriesDescription="<b>T1</b>", ImageType=["DERIVED", "SECONDARY"])
    reports = Reports(tmp_path / "reports")
    reports.write(FIRST, visit, [Finding("primary", Verdict.HOLD, 'no "PRIMARY" <here>', ("0002.dcm",))], 0.0)
    return page(reports.read(FIRST), folder)


def test_the_page_says_what_was_found_and_shows_each_series(shown):
    assert VISIT in shown
    assert '<b class="hold">hold</b>' in shown
    assert shown.count("no &quot;PRIMARY&quot; &lt;here&gt;") == 2  # in the table, and with its series
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
    assert unpacked(base64.b64decode(picture)).shape == (SIDE, ACROSS * SIDE)


def test_nothing_of_a_header_becomes_markup_and_nothing_is_fetched(shown):
    assert "<b>T1</b>" not in shown
    assert "&lt;b&gt;T1&lt;/b&gt;" in shown
    assert "<script" not in shown
    assert "default-src 'none'" in shown
    assert re.findall(r"(?:src|href)=\"(?!data:)", shown) == []


def test_a_page_without_findings_and_pixels(tmp_path):
    (tmp_path / "a.dcm").write_bytes(encoded(header(1, PixelData=None)))
    visit = Candidate(tmp_path, headers.of_visit(tmp_path, ["a.dcm"]))
    reports = Reports(tmp_path / "reports")
    reports.write(FIRST, visit, [], 0.0)
    shown = page(reports.read(FIRST), tmp_path)
    assert "The gates found nothing" in shown
    assert "No picture" in shown
