"""The acceptance check itself: a good tree has no violation, and every rule can fail."""

import shutil

import pytest
from acceptance import violations
from doubles import VISIT
from visiting import House, encoded, header, image

OTHER = "999999999999"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """An export tree with two visits of two files, published by the steward."""
    house = House(tmp_path, monkeypatch)
    house.store(image(1), image(2), image(1, visit=OTHER), image(2, visit=OTHER))
    assert house.later() == 2
    return house.config.export


def first(tree):
    return min((tree / "DICOM").rglob("*.dcm"))


def rules(tree):
    return {rule for rule, _ in violations(tree)}


def rewrite(tree, **attributes):
    file = first(tree)
    file.write_bytes(encoded(header(1, **attributes)))


def test_a_published_tree_has_no_violation(tree):
    assert violations(tree) == []


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ({"StudyID": "4711"}, "StudyID is not the visit"),
        ({"PatientID": "S_1"}, "PatientID is no pseudonym that every consumer takes"),
        ({"PatientID": "P" * 56}, "a name is longer than the catalog's columns"),
        ({"SeriesDescription": "T1 " + "x" * 50}, "a name is longer than the catalog's columns"),
        ({"SeriesDescription": "T1/SAG"}, "a name is no folder's, or means something to a shell"),
        ({"SeriesDescription": "T1 .. SAG"}, "a name is no folder's, or means something to a shell"),
        ({"SeriesDescription": "T1 $(id)"}, "a name is no folder's, or means something to a shell"),
        ({"PatientBirthDate": "19520304"}, "the birth date is not the year's"),
        ({"PatientAge": None}, "the age becomes NULL"),
        ({"SeriesDate": None}, "a date is not the month's"),
        ({"AcquisitionDate": "20250917"}, "a date is not the month's"),
        ({"PatientSex": "M"}, "one visit is several persons"),
        ({"SliceLocation": None}, "a mandatory attribute is missing"),
        ({"PixelSpacing": ""}, "a mandatory attribute is missing"),
        ({"EchoTime": ["1", "2"]}, "several values abort the catalog"),
        ({"LongCodeValue": "UC"}, "a value representation aborts the run"),
        ({"DoubleFloatPixelData": b"12345678"}, "a value representation aborts the run"),
    ],
)
def test_what_is_wrong_in_a_header_is_found(tree, attributes, rule):
    rewrite(tree, **attributes)
    assert rule in rules(tree)


def test_a_preamble_that_says_something_else_is_found(tree):
    file = first(tree)
    file.write_bytes(b"II*\0" + file.read_bytes()[4:])
    assert rules(tree) == {"libmagic does not say DICOM medical imaging data"}


def test_two_files_of_one_name_are_found(tree):
    visits = sorted(path for path in tree.glob("DICOM/*/*/*"))
    shutil.copy(first(tree), visits[1] / first(tree).name)
    assert "one copy overwrites another" in rules(tree)


@pytest.mark.parametrize(
    ("break_", "rule"),
    [
        (lambda tree: (tree / "DICOM" / "2031" / "20310204").mkdir(mode=0o750), "an empty folder aborts the scan"),
        (lambda tree: (first(tree).parent / ".ready").unlink(), "a visit has no marker"),
        (lambda tree: (tree / "DICOM" / "notes.txt").write_text("x"), "a file stands where none is read"),
        (lambda tree: (first(tree).parent / "manifest.json").write_text("x"), "a file stands where none is read"),
        (lambda tree: (tree / "staging").mkdir(), "something besides DICOM/ is scanned"),
        (lambda tree: (tree / "DICOM" / "2031").rename(tree / "DICOM" / "2032"), "a day stands in another year"),
        (lambda tree: first(tree).parent.rename(first(tree).parents[1] / "0123"), "a folder is called as no folder is"),
        (lambda tree: first(tree).chmod(0o644), "the world may read or write"),
        (lambda tree: first(tree).chmod(0o600), "the Data Factory's group cannot read"),
        (lambda tree: first(tree).rename(first(tree).with_name("x" * 47 + ".dcm")), "a file stands where none is read"),
    ],
)
def test_what_is_wrong_in_the_tree_is_found(tree, break_, rule):
    break_(tree)
    assert rule in rules(tree)


def test_the_folder_of_a_visit_counts_for_its_files(tree):
    first(tree).parent.rename(first(tree).parents[1] / VISIT[::-1])
    assert "StudyID is not the visit" in rules(tree)
