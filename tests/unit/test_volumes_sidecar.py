"""What lies beside a volume: an allow-list of fields, numbers in tables, and whose it is said to be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.exports.nifti import KEPT, PHYSICS
from scp.instance import Peer, Subject
from scp.outcome import Failure, Outcome
from scp.volumes import File, Volume, sidecar
from scp.volumes.sidecar import _TEXTS
from scp.volumes.whose import Guard, Labels, identity, labels

SUBJECT = Subject("SAAAAAAAAAAAAAAAA", "123456789012", bytes(32))
PEER = Peer("IMPORT", "CLOAKROOM", "127.0.0.1")
SENT = {
    "Modality": "MR", "MagneticFieldStrength": 3, "Manufacturer": "Siemens", "ManufacturersModelName": "Prisma_fit",
    "EchoTime": 0.00298, "SliceTiming": [0, 0.5, 1.25], "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    "ScanningSequence": "GR_IR", "SequenceVariant": "SK\\SP\\MP", "MRAcquisitionType": "3D",
    "PhaseEncodingDirection": "j-", "PatientSex": "F", "PatientAge": "034Y", "SeriesNumber": 4,
    "ConversionSoftware": "dcm2niix", "ConversionSoftwareVersion": "v1.0.20240202",
}  # fmt: skip
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


def volume(*parts):
    return Volume(PEER, parts, File(0, lambda: None))


def allowed(fields, suffix=""):
    return sidecar.allowed(fields, suffix, SUBJECT, {"Site T1": "T1 OURS"})


def test_what_the_export_has_passes_too():
    ours = {"PatientID": SUBJECT.pseudonym, "StudyID": SUBJECT.scan_research_id}
    assert allowed(SENT) == SENT | ours
    assert sidecar.read(sidecar.written(allowed(SENT))) == SENT | ours


@given(st.dictionaries(st.sampled_from([*KEPT, *PHYSICS]) | WORDS, JSON, max_size=12))
def test_no_text_passes_that_is_not_of_a_known_kind(fields):
    made = allowed(fields)
    assert set(made) <= {*KEPT, *PHYSICS}
    assert made["PatientID"] == SUBJECT.pseudonym
    assert made["StudyID"] == SUBJECT.scan_research_id
    for keyword, value in made.items():
        if keyword in {"PatientID", "StudyID", "SeriesDescription"}:
            continue
        for one in value if isinstance(value, list) else [value]:
            assert _TEXTS[keyword](one) if keyword in _TEXTS else isinstance(one, int | float)
    assert isinstance(json.loads(sidecar.written(made)), dict)


@pytest.mark.parametrize("keyword", ["PatientName", "StudyInstanceUID", "AcquisitionTime", "InstitutionName", "X"])
def test_fields_that_are_not_on_the_list_do_not_pass(keyword):
    assert keyword not in allowed({keyword: "1"})


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageType", ["DOE^JOHN"]), ("ScanningSequence", "JOHN"), ("Manufacturer", "Dr Doe"), ("PatientAge", "093Y"),
        ("PatientAge", "34"), ("PatientSex", "John"), ("Modality", "DOE"), ("PhaseEncodingDirection", "j-doe"),
        ("EchoTime", "0.1"), ("EchoTime", True), ("EchoTime", {"a": 1}), ("EchoTime", [[1]]), ("EchoTime", []),
        ("SeriesDate", "20260101"), ("AcquisitionDate", 20260101), ("PatientBirthDate", 19521130),
        ("ConversionSoftwareVersion", "by John Doe"), ("ManufacturersModelName", "J\u00f6hn"),
    ],
)  # fmt: skip
def test_values_of_another_kind_do_not_pass(keyword, value):
    assert keyword not in allowed({keyword: value})


@pytest.mark.parametrize(
    ("said", "suffix", "made"),
    [
        ("MPRAGE of John Doe", "T1w", "MPRAGE"),
        ("Site T1", "bold", "T1 OURS"),
        ("Doe", "T1w", "T1w"),
        (None, "bold", "bold"),
        (None, "Doe", None),
    ],
)
def test_a_description_is_in_words_of_protocols(said, suffix, made):
    assert allowed({"SeriesDescription": said} if said else {}, suffix).get("SeriesDescription") == made


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b'{"a": NaN}', b"\xff", b"[" * 100_000, b'{"a": Infinity}'])
def test_what_is_no_sidecar_is_malformed(data):
    with pytest.raises(Failure) as caught:
        sidecar.read(data)
    assert caught.value.outcome is Outcome.MALFORMED


@given(st.lists(st.lists(st.floats(width=32, allow_infinity=False).map(str), min_size=1, max_size=5), max_size=3))
def test_tables_of_numbers_pass(rows):
    text = "\r\n".join("\t ".join(row) for row in rows)
    made = sidecar.gradients(text.encode())
    assert [line.split() for line in made.decode().splitlines()] == rows


@pytest.mark.parametrize("word", ["John", "0x10", "1,5", "1952-11-30", "1" * 18, "--1", "\u0661"])
def test_tables_of_anything_else_are_malformed(word):
    with pytest.raises(Failure) as caught:
        sidecar.gradients(f"0 1000 {word}\n".encode())
    assert caught.value.outcome is Outcome.MALFORMED
    assert word not in caught.value.why


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("sub-01_ses-02_task-rest_bold.nii.gz",), Labels("01", "02", "bold")),
        (("sub-01", "ses-02", "anat", "T1w.nii"), Labels("01", "02", "T1w")),
        (("sub-01", "ses-02", "anat", "sub-01_ses-02_T1w.NII"), Labels("01", "02", "T1w")),
        (("scan.nii",), Labels("", "", "scan")),
        (("sub-0-1_T1w.nii",), Labels("", "", "T1w")),
        (("mysub-01_T1w.nii",), Labels("", "", "T1w")),
    ],
)
def test_labels_of_a_path(parts, said):
    assert labels(parts) == said


@pytest.mark.parametrize(
    "parts", [("sub-01", "sub-02_T1w.nii"), ("sub-1_sub-2.nii",), ("ses-1", "sub-1_ses-2_T1w.nii")]
)
def test_labels_that_differ_are_nobodys(parts):
    with pytest.raises(Failure) as caught:
        labels(parts)
    assert caught.value.outcome is Outcome.MISMATCHED


def test_the_sidecars_patient_decides_else_the_label():
    path = ("sub-77_ses-2_T1w.nii",)
    said = identity(volume(*path), {"PatientID": 4711, "StudyInstanceUID": "1.2.3"}, "")
    assert (said.patient_id, said.issuer, said.study_uid) == ("4711", "", "1.2.3")
    label = identity(volume(*path), {}, "")
    assert (label.patient_id, label.issuer) == ("77", "")
    own = identity(volume(*path), {}, "COHORT")
    assert (own.patient_id, own.issuer) == ("77", "COHORT")
    assert identity(volume(*path), {"IssuerOfPatientID": "H", "PatientID": "1"}, "COHORT").issuer == "H"
    assert len({label.visit, own.visit, said.visit}) == 3
    other = identity(volume("sub-77_ses-3_T1w.nii"), {}, "")
    assert other.visit != label.visit
    same = identity(volume("ses-2", "sub-77_ses-2_bold.nii"), {}, "")
    assert same == label


def test_what_names_nobody_is_unidentified():
    with pytest.raises(Failure) as caught:
        identity(volume("scan.nii"), {"PatientName": "Doe"}, "")
    assert caught.value.outcome is Outcome.UNIDENTIFIED


@given(st.binary(max_size=40), st.integers(0, 60), st.integers(1, 30))
def test_a_label_is_found_wherever_it_stands_and_however_it_is_cut(noise, cut, size):
    guard = Guard(volume("sub-QzDoe77_T1w.nii"), {})
    for label in (b"QzDoe77", b"qzdoe77", b"QZDOE77", "QzDoe77".encode("utf-16-le"), "QzDoe77".encode("utf-16-be")):
        data = noise + label + noise
        pieces = [data[:cut], *(data[at : at + size] for at in range(cut, len(data), size))]
        with pytest.raises(Failure) as caught:
            list(map(guard.looking(), pieces))
        assert caught.value.outcome is Outcome.RESIDUAL
    look = guard.looking()
    look(noise)


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"PatientName": "Prisma^John"}, {"ManufacturersModelName": "Prisma_fit"}),
        ({"PatientName": "Qzx"}, {"ManufacturersModelName": "of Qzx"}),
        ({"PatientID": "1111111"}, {"ManufacturersModelName": "1111111"}),
        ({"PatientBirthDate": "1952-11-30"}, {"SeriesNumber": 19521130}),
        ({"PatientID": "195211"}, {"SeriesNumber": 195211}),
        ({"StudyInstanceUID": "1.2.345.67"}, {"ManufacturersModelName": "1.2.345.67"}),
    ],
)
def test_a_sidecar_that_would_say_it_is_residual(fields, value):
    guard = Guard(volume("x.nii"), fields)
    with pytest.raises(Failure) as caught:
        guard.check_sidecar(value, frozenset())
    assert caught.value.outcome is Outcome.RESIDUAL
    guard.check_sidecar(value, frozenset(value))
    guard.check_sidecar({"EchoTime": 0.01, "ImageType": ["ORIGINAL"]}, frozenset())


def test_a_short_label_is_not_found_in_numbers_nor_an_even_one_in_a_background():
    guard = Guard(volume("sub-300_T1w.nii"), {"PatientID": "0000000"})
    guard.check_sidecar({"RepetitionTime": 300, "SliceTiming": [300, 0]}, frozenset())
    guard.looking()(b"0" * 1000 + b"300")
    with pytest.raises(Failure):
        guard.check_sidecar({"ManufacturersModelName": "Model 300"}, frozenset())
