"""Each gate on made headers, in both directions; every gate is documented, weighed and counted."""

import re
import warnings
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from doubles import VISIT
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from visiting import encoded, header

from scp import metrics
from scp.config import Config
from scp.config.visits import Gates
from scp.outcome import Failure
from scp.steward import headers
from scp.steward.gates import GATES, Candidate, Verdict, ask, converted
from scp.steward.gates.mandatory import EITHER, MANDATORY
from scp.steward.headers import Header
from scp.steward.steward import weights

PAGE = (Path(__file__).parents[2] / "docs" / "visits.md").read_text("utf-8")


@pytest.fixture
def visit(tmp_path):
    """Make a candidate of data sets, written to files and read back."""

    def make(*datasets, protocols=None):
        for file in tmp_path.iterdir():
            file.unlink()
        for number, dataset in enumerate(datasets):
            (tmp_path / f"{number:04d}.dcm").write_bytes(encoded(dataset))
        names = sorted(path.name for path in tmp_path.iterdir())
        return Candidate(tmp_path, headers.of_visit(tmp_path, names), protocols or {})

    return make


def stack(count, **attributes):
    return [header(number, **attributes) for number in range(1, count + 1)]


def said(gate, candidate):
    return [(one.why, len(one.files)) for one in GATES[gate](candidate)]


def test_a_good_visit_passes_every_gate(visit):
    candidate = visit(*stack(40), protocols={"t1_mprage": "T1 MPRAGE"})
    assert {gate: said(gate, candidate) for gate in GATES if gate != "dcm2niix"} == {
        gate: [] for gate in GATES if gate != "dcm2niix"
    }


@pytest.mark.parametrize("keyword", MANDATORY)
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_each_mandatory_attribute_is_missed_in_any_slice(visit, keyword, how):
    value = None if how == "missing" else ""
    candidate = visit(header(1), header(2, **{keyword: value}), header(3))
    ((why, files),) = said("mandatory", candidate)
    assert why == f"{keyword} is missing in 1 of 3"
    assert files == 1


@pytest.mark.parametrize("pair", EITHER)
def test_of_a_choice_one_is_enough(visit, pair):
    first, second = pair
    assert said("mandatory", visit(header(1, **{first: None}), header(2, **{second: None}))) == []
    assert said("mandatory", visit(header(1, **{first: None, second: None}), header(2))) == [
        (f"{first} or {second} is missing in 1 of 2", 1)
    ]


@pytest.mark.parametrize(
    ("image_type", "found"),
    [(["ORIGINAL", "PRIMARY"], 0), (["DERIVED", "PRIMARY", "MPR"], 0), (["DERIVED", "SECONDARY"], 1), (None, 1)],
)
def test_primary(visit, image_type, found):
    assert sum(files for _, files in said("primary", visit(header(1), header(2, ImageType=image_type)))) == found


@pytest.mark.parametrize("keyword", ["PatientID", "StudyID", "PatientSex", "PatientBirthDate", "PatientAge"])
@pytest.mark.parametrize("other", ["other", "missing"])
def test_one_visit_is_one_person(visit, keyword, other):
    wrong = {"PatientID": "SBBB", "StudyID": "4711", "PatientSex": "M", "PatientBirthDate": "19530101"}
    value = None if other == "missing" else wrong.get(keyword, "071Y")
    candidate = visit(header(1), header(2), header(3, **{keyword: value}))
    assert said("consistent", candidate) == [(f"{keyword} has 2 values in one visit", 1)]
    (finding,) = ask(candidate, weights(Config(gates={"t1": "pass", "slices": "pass", "mandatory": "pass"})))
    assert (finding.verdict, finding.files) == (Verdict.HOLD, ("0002.dcm",))


@pytest.mark.parametrize(
    ("description", "found"),
    [("T1 MPRAGE", 0), ("t1_mprage_sag", 0), ("MPRAGE", 0), ("SAG FSPGR", 0), ("T2 FLAIR", 1), ("", 1)],
)
def test_t1(visit, description, found):
    assert len(said("t1", visit(header(1, SeriesDescription=description)))) == found


@pytest.mark.parametrize(
    ("spacing", "thickness", "found"),
    [
        (["1", "1"], "1", 0),
        (["1.5", "1.5"], "1.5", 0),
        (["1.51", "1"], "1", 1),
        (["1", "1"], "1.6", 1),
        (["1", "1"], None, 1),
        (None, "1", 1),
        (["0", "0"], "1", 1),
    ],
)
def test_resolution(visit, spacing, thickness, found):
    candidate = visit(header(1, PixelSpacing=spacing, SliceThickness=thickness))
    assert len(said("resolution", candidate)) == found


def test_one_fine_t1_series_is_enough_and_others_do_not_matter(visit):
    coarse = header(1, SeriesInstanceUID="2.25.9", SliceThickness="5")
    assert said("resolution", visit(*stack(2), coarse)) == []
    assert said("resolution", visit(header(1, SeriesDescription="T2 TSE", SliceThickness="5"))) == []


@pytest.mark.parametrize(("count", "found"), [(39, 1), (40, 0), (41, 0)])
def test_slices(visit, count, found):
    assert len(said("slices", visit(*stack(count)))) == found


def test_frames_are_slices(visit):
    assert said("slices", visit(header(1, NumberOfFrames="176"))) == []
    assert len(said("slices", visit(header(1, NumberOfFrames="12")))) == 1


def test_gaps_and_doubles(visit):
    assert said("gaps", visit(*stack(8))) == []
    lost = [dataset for number, dataset in enumerate(stack(8)) if number not in {3, 4}]
    assert said("gaps", visit(*lost)) == [("1 gaps in a series, 2 slices wide", 6)]


def test_two_slices_at_one_place(visit):
    again = header(9, ImagePositionPatient=["-10", "-20", "3"])
    assert said("gaps", visit(*stack(8), again)) == [("2 slices of a series share their place with another", 2)]


def test_what_passes_the_volume_again_on_purpose_is_no_double(visit):
    echoes = [header(number, EchoTime=str(echo)) for number in range(1, 6) for echo in (10, 20)]
    volumes = [header(number) for number in range(1, 6) for _ in range(3)]
    for dataset in volumes:
        dataset.SeriesInstanceUID = "2.25.8"
    assert said("gaps", visit(*echoes, *volumes)) == []


def test_a_localizer_has_no_gaps(visit):
    planes = (["1", "0", "0", "0", "1", "0"], ["1", "0", "0", "0", "0", "-1"], ["0", "1", "0", "0", "0", "-1"])
    assert said("gaps", visit(*(header(1, ImageOrientationPatient=plane) for plane in planes))) == []


@given(
    st.integers(3, 30), st.sampled_from([0.5, 0.9, 1.0, 3.3]), st.floats(-200, 200), st.data(), st.integers(0, 2),
)  # fmt: skip
def test_every_inner_slice_that_is_lost_is_missed(count, step, start, data, axis):
    normal = [0.0, 0.0, 0.0]
    normal[axis] = 1.0
    orientation = {0: "0\\1\\0\\0\\0\\1", 1: "0\\0\\1\\1\\0\\0", 2: "1\\0\\0\\0\\1\\0"}[axis]

    def slice_(number):
        place = [f"{(start + number * step) * along:.4f}" for along in normal]
        return Header(
            f"{number}.dcm",
            {"ImagePositionPatient": tuple(place), "ImageOrientationPatient": tuple(orientation.split("\\"))},
        )

    whole = tuple(slice_(number) for number in range(count))
    assert list(GATES["gaps"](Candidate(Path(), whole))) == []
    if count > 4:
        lost = data.draw(st.integers(1, count - 2))
        rest = tuple(one for number, one in enumerate(whole) if number != lost)
        assert len(list(GATES["gaps"](Candidate(Path(), rest)))) == 1


def test_the_protocol_list_counts_only_where_there_is_one(visit):
    candidate = visit(header(1), header(2, SeriesInstanceUID="2.25.9", SeriesDescription="LOCALIZER"))
    assert said("protocol", candidate) == []
    listed = Candidate(candidate.folder, candidate.headers, {"t1_mprage_sag_p2": "T1 MPRAGE"})
    assert said("protocol", listed) == [("1 of 2 series are not called as [protocols] says", 1)]


def test_dcm2niix_is_really_run(visit, monkeypatch):
    candidate = visit(*(header(number, Rows=8, Columns=8, PixelData=bytes(128)) for number in range(1, 6)))
    assert said("dcm2niix", candidate) == []
    (candidate.folder / "0000.dcm").write_bytes(b"no DICOM")
    for number in range(1, 5):
        (candidate.folder / f"{number:04d}.dcm").write_bytes(b"no DICOM")
    assert any("dcm2niix" in why for why, _ in said("dcm2niix", candidate))
    monkeypatch.setattr("scp.steward.gates.converted.program", lambda: None)
    assert said("dcm2niix", candidate) == [("dcm2niix is not installed", 0)]


def test_dcm2niix_is_that_of_its_package_or_one_on_the_path(tmp_path, monkeypatch):
    assert Path(converted.program()).parent.name == "dcm2niix"
    monkeypatch.setattr(converted, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert converted.program() is None
    own = tmp_path / "dcm2niix"
    own.touch(0o755)
    assert converted.program() == str(own)
    empty = ModuleSpec("dcm2niix", None, origin=str(tmp_path / "package" / "__init__.py"))
    monkeypatch.setattr(converted, "find_spec", lambda _name: empty)
    assert converted.program() == str(own)


def test_a_finding_holds_no_value_of_the_visit(visit):
    secrets = ("Zq7PATIENT", "Zq7STUDY", "Zq7SERIES")
    values = dict(zip(("PatientID", "StudyID", "SeriesDescription"), secrets, strict=True))
    candidate = visit(header(1), header(2, SliceLocation=None, ImageType=["ZQ7TYPE"], **values), protocols={"a": "b"})
    found = ask(candidate, dict.fromkeys(GATES, Verdict.WARN))
    assert len(found) > 4
    assert "ZQ7" not in str(found).upper()
    assert VISIT not in str([one.why for one in found])


@given(st.dictionaries(st.sampled_from(headers.KEYWORDS), st.lists(st.text(max_size=8), max_size=4).map(tuple)))
def test_no_value_is_too_strange_for_a_gate(values):
    candidate = Candidate(Path("nowhere"), (Header("a.dcm", values), Header("b.dcm", values)), {"a": "b"})
    for gate in set(GATES) - {"dcm2niix"}:
        assert all(set(one.files) <= {"a.dcm", "b.dcm"} for one in GATES[gate](candidate))


def test_what_is_no_number_is_none_at_all():
    odd = Header("a.dcm", {"PixelSpacing": ("1", "one"), "SliceThickness": ("nan",), "EchoTime": ("1e3", "-.5")})
    assert odd.numbers("PixelSpacing") == odd.numbers("SliceThickness") == odd.numbers("Rows") == ()
    assert odd.numbers("EchoTime") == (1000.0, -0.5)
    digits = Header("a.dcm", {"EchoTime": ("1" * 1_000_000 + "x",), "SliceThickness": ("5.", "+5", "5.5E-1", ".5")})
    assert digits.numbers("EchoTime") == (), "tried at each digit again it would not end in time"
    assert digits.numbers("SliceThickness") == (5.0, 5.0, 0.55, 0.5)


ENDLESS = st.sampled_from(("9E999", "-9E999", "1E308", "-1E308", "1E-308", "9" * 400, "0", "0.001", "1", "2"))


@given(st.lists(st.lists(ENDLESS, min_size=10, max_size=10), max_size=6))
def test_no_number_is_too_large_for_a_gate(files):
    made = [
        Header(
            f"{number}.dcm",
            {
                "SeriesDescription": ("T1",),
                "ImagePositionPatient": tuple(values[:3]),
                "ImageOrientationPatient": tuple(values[3:9]),
                "NumberOfFrames": (values[9],),
                "PixelSpacing": tuple(values[:2]),
            },
        )
        for number, values in enumerate(files)
    ]
    for gate in set(GATES) - {"dcm2niix"}:
        assert all(one.why for one in GATES[gate](Candidate(Path("nowhere"), tuple(made))))


def test_a_place_that_no_number_holds_is_none():
    endless = Header("a.dcm", {"ImagePositionPatient": ("0", "0", "9E999"), "NumberOfFrames": ("1E12",)})
    assert endless.numbers("ImagePositionPatient") == ()
    assert endless.numbers("NumberOfFrames") == (1e12,)


def test_a_file_that_cannot_be_read_is_a_failure_of_the_disk(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    for name in ("a.dcm", "b.dcm"):
        with pytest.raises(Failure, match="a stored file cannot be read"):
            headers.read(tmp_path / name)


WHOLE = encoded(header(1))
_HEAD = len(WHOLE) - 64


@settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(132, _HEAD), st.integers(0, 255)), max_size=8), st.integers(0, len(WHOLE)))
@example([], 142)  # these three raised what nobody caught
@example([], 153)
@example([(137, 0x55)], len(WHOLE))
def test_a_file_that_a_disk_has_spoilt_is_a_failure_or_is_read(tmp_path, changes, length):
    """One that raised anything else would end the steward, at each of its starts, and with it all publishing."""
    spoilt = bytearray(WHOLE)
    for at, value in changes:
        spoilt[at] = value
    path = tmp_path / "a.dcm"
    path.write_bytes(spoilt[:length])
    with warnings.catch_warnings(), suppress(Failure):
        warnings.simplefilter("ignore")  # pydicom says much of such files
        found = headers.read(path)
        assert set(found.values) <= set(headers.KEYWORDS)
        for gate in set(GATES) - {"dcm2niix"}:
            assert {file for one in GATES[gate](Candidate(tmp_path, (found, found))) for file in one.files} <= {"a.dcm"}


def test_what_weighs_nothing_is_not_asked(visit):
    found = ask(visit(header(1, SeriesDescription="T2")), dict.fromkeys(GATES, Verdict.PASS))
    assert found == []


def test_settings_table_metric_and_page_name_the_same_gates():
    assert set(GATES) == set(Gates.model_fields) == set(weights(Config()))
    assert list(metrics.GATES) == list(GATES)
    assert list(metrics.VERDICTS) == [verdict.label for verdict in Verdict if verdict is not Verdict.PASS]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [(gate, getattr(Gates(), gate)) for gate in GATES]
