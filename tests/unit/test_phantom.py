import subprocess
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import factories
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from scp.phantom import identity, study
from scp.phantom.head import FLAIR, T1
from scp.phantom.person import invent


@pytest.fixture(scope="module")
def images():
    return study()


def series(images, number):
    return [image for image in images if image.SeriesNumber == number]


def volume(images):
    return np.stack([image.pixel_array for image in images])


def test_two_series_of_one_study_of_one_patient(images):
    assert (len(series(images, 2)), len(series(images, 3))) == (112, 40)
    assert len(images) == 152
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID", "AccessionNumber"):
        assert len({str(image[keyword].value) for image in images}) == 1
    assert len({image.SeriesInstanceUID for image in images}) == 2
    assert len({image.SOPInstanceUID for image in images}) == 152


def test_the_same_seed_draws_the_same_and_another_somebody_else(images):
    again, other = study(1), study(2)
    assert all(factories.encode(one) == factories.encode(two) for one, two in zip(images[:3], again[:3], strict=True))
    assert other[0].PatientID != images[0].PatientID
    assert other[0].StudyInstanceUID != images[0].StudyInstanceUID
    assert not {image.SOPInstanceUID for image in images} & {image.SOPInstanceUID for image in other}


def test_every_image_is_a_conforming_file(images):
    for image in images[::25]:
        stream = BytesIO()
        image.save_as(stream, enforce_file_format=True)
        stream.seek(0)
        read = pydicom.dcmread(stream)
        assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert read.file_meta.MediaStorageSOPClassUID == read.SOPClassUID == MRImageStorage
        assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
        assert np.array_equal(read.pixel_array, image.pixel_array)


def test_it_is_a_well_defined_medical_image(images):
    first = series(images, 2)[0]
    assert "T1" in first.SeriesDescription
    assert max(first.PixelSpacing) < 1.5
    assert first.SliceThickness <= 1.5
    assert first.MRAcquisitionType == "3D"
    assert "PRIMARY" in first.ImageType
    for keyword in ("StudyID", "InstanceNumber", "SliceLocation", "AcquisitionDate", "SeriesDate", "PatientAge"):
        assert str(first[keyword].value)


@pytest.mark.parametrize(("number", "axis", "step"), [(2, 0, 1.4), (3, 2, 4.0)])
def test_slices_stand_one_thickness_apart_along_their_normal(images, number, axis, step):
    positions = np.array([image.ImagePositionPatient for image in series(images, number)], float)
    steps = np.diff(positions, axis=0)
    assert np.allclose(steps[:, axis], step, atol=0.002)
    assert np.allclose(np.delete(steps, axis, axis=1), 0)
    locations = [float(image.SliceLocation) for image in series(images, number)]
    assert all(low < high for low, high in pairwise(locations))


def test_dcm2niix_makes_one_volume_of_each_series(images, tmp_path, dcm2niix):
    for index, image in enumerate(images):
        image.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    made = {path.name: nibabel.load(path) for path in dcm2niix(tmp_path)}
    assert set(made) == {"2.nii", "3.nii"}
    assert made["2.nii"].shape == (112, 160, 160)
    assert made["3.nii"].shape == (128, 128, 40)
    assert np.allclose(np.abs(np.diag(made["2.nii"].affine)[:3]), 1.4, atol=0.001)
    drawn = volume(series(images, 2))
    assert np.array_equal(np.sort(np.asarray(made["2.nii"].dataobj).ravel()), np.sort(drawn.ravel()))


@pytest.fixture
def dcm2niix():
    def convert(folder):
        out = folder / "nii"
        out.mkdir()
        program = Path(sys.executable).with_name("dcm2niix")
        subprocess.run([program, "-b", "n", "-f", "%s", "-o", out, folder], check=True, capture_output=True)
        return sorted(out.iterdir())

    return convert


def test_it_looks_like_a_head(images):
    head = volume(series(images, 2)).astype(float)
    middle = head[head.shape[0] // 2 + 12]
    assert head[:, :3].mean() < 30, "air above"
    assert head[0].mean() < 60, "air beside"
    white, grey = T1["white"], T1["grey"]
    assert np.sum(np.abs(middle - white) < 40) > 2000
    assert np.sum(np.abs(middle - grey) < 40) > 400
    assert head.max() < 4096


def test_both_halves_are_alike(images):
    head = volume(series(images, 2)).astype(float)
    left, right = head[:50].mean(), head[-50:].mean()
    assert abs(left - right) < 0.05 * max(left, right)


def test_the_contrasts_differ():
    assert set(T1) == set(FLAIR)
    assert T1["white"] > T1["grey"] > T1["csf"]
    assert FLAIR["grey"] > FLAIR["white"] > FLAIR["csf"]


def test_identity_names_what_every_image_carries(images):
    planted = identity(images)
    assert len(planted) > 15
    for image in images[:: len(images) - 1]:
        encoded = factories.encode(image)
        for keyword, value in planted.items():
            assert value.encode("latin-1") in encoded, keyword


def test_identity_hides_in_sequences_and_private_elements_too(images):
    image = images[0]
    assert image.private_block(0x0029, "PHANTOM HEADER 1.0")[0x10].value == image.PatientName
    request = image.RequestAttributesSequence[0]
    assert image.PatientID in request.RequestedProcedureCodeSequence[0].CodeMeaning
    assert image.PatientID in image.OtherPatientIDsSequence[0].PatientID


@pytest.mark.parametrize("seed", range(20))
def test_a_persons_age_is_the_one_at_the_examination(seed):
    person = invent(seed)
    years = int(person.age[:3])
    assert person.birth.replace(year=person.birth.year + years, day=min(person.birth.day, 28)) <= person.examined
    assert 30 <= years <= 91
    assert person == invent(seed)
