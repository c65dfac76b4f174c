"""The other tests believe the factories; here they are checked."""

from io import BytesIO

import factories
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

MAKERS = [factories.mr, factories.ct, factories.enhanced]
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_needle_is_in_what_is_sent(make, syntax):
    data = factories.encode(make(5), syntax)
    assert [needle for needle in factories.needles(5) if needle not in data] == []
    assert [needle for needle in factories.needles(6) if needle in data] == []


def test_needles_are_told_apart_and_are_no_numbers():
    needles = [*factories.needles(1), *factories.needles(2)]
    assert len(set(needles)) == len(needles) > 60
    assert all(len(needle) == 12 and not needle.isdigit() for needle in needles)


@pytest.mark.parametrize("make", MAKERS)
def test_plant_returns_what_it_planted(make):
    dataset = make(1)
    again = factories.plant(dataset, 9)
    data = factories.encode(dataset)
    assert again == factories.needles(9)
    assert all(needle in data for needle in again)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pydicom_reads_back_what_was_encoded(make, syntax):
    dataset = make(3)
    stream = BytesIO(factories.encode(dataset, syntax))
    read = pydicom.filereader.read_dataset(stream, syntax == ImplicitVRLittleEndian, is_little_endian=True)
    assert read.PatientID == dataset.PatientID
    assert read.SOPInstanceUID == dataset.SOPInstanceUID
    assert read.PixelData == dataset.PixelData
    assert read.ReferencedPatientSequence[0].PatientName == dataset.ReferencedPatientSequence[0].PatientName


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_made_can_be_saved_and_its_pixels_read(make):
    stream = BytesIO()
    make(1).save_as(stream, enforce_file_format=True)
    stream.seek(0)
    assert pydicom.dcmread(stream).pixel_array.size in {16, 32}


def test_attributes_are_put_in_and_taken_away():
    dataset = factories.mr(PatientID="OTHER", StudyInstanceUID=None)
    assert dataset.PatientID == "OTHER"
    assert "StudyInstanceUID" not in dataset
    assert factories.arrival(factories.mr(SOPClassUID=None)).sop_class_uid == ""


def test_one_seed_is_one_patient_and_instance():
    assert factories.encode(factories.mr(4)) == factories.encode(factories.mr(4))
    assert factories.mr(4).SOPInstanceUID != factories.mr(5).SOPInstanceUID


def test_an_arrival_agrees_with_itself_until_told_otherwise():
    dataset = factories.ct(2)
    arrival = factories.arrival(dataset)
    assert arrival.sop_class_uid == arrival.context_class == dataset.SOPClassUID
    assert arrival.sop_instance_uid == dataset.SOPInstanceUID
    assert arrival.transfer_syntax == ExplicitVRLittleEndian
    assert factories.arrival(dataset, context_class="1.2").context_class == "1.2"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_instance_has_its_table_of_elements(syntax):
    dataset = factories.mr(2)
    instance = factories.instance(dataset, syntax)
    assert instance.dataset.text(0x00100020) == dataset.PatientID
    assert instance.dataset.text(0x0020000D) == dataset.StudyInstanceUID
    assert instance.dataset.explicit is (syntax == ExplicitVRLittleEndian)
