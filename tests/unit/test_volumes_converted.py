"""What dcm2niix makes of identified images, sidecars with names and all, is taken: same volumes, no name."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel
import pydicom
import pytest
from imaging import DCM2NIIX
from niftis import unpacked
from placing import PEER, house, sealed, stored, tree

from scp import phantom
from scp.instance import Identity
from scp.outcome import Outcome
from scp.volumes import File, Volume

REAL = Path(__file__).parents[3] / "shared" / "data"
SETS = {path.name: sorted(path.rglob("*.dcm")) for path in REAL.iterdir() if path.is_dir()} if REAL.exists() else {}
WHOSE = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID")


def converted(files, folder, *more):
    """Names and bytes of what dcm2niix makes, with everything that it can say of the patient."""
    folder.mkdir()
    listed = folder / "files"
    listed.mkdir()
    for number, file in enumerate(files):
        (listed / f"{number:05}.dcm").symlink_to(file)
    made = folder / "made"
    made.mkdir()
    command = [DCM2NIIX, "-b", "y", "-ba", "n", *more, "-f", "sub-QzDoe77_%n_%s", "-o", made, listed]
    subprocess.run(command, check=False, capture_output=True, timeout=120)
    return {path.name: path for path in sorted(made.iterdir())}


def volumes(made):
    """Each as an import would find it."""
    for name, path in made.items():
        stem = name.removesuffix(".gz").removesuffix(".nii")
        if stem != name:
            beside = {suffix: made[stem + suffix] for suffix in (".json", ".bval", ".bvec") if stem + suffix in made}
            yield path, Volume(PEER, (name,), _file(path), {suffix: _file(of) for suffix, of in beside.items()})


def _file(path):
    return File(path.stat().st_size, lambda: path.open("rb"))


def seen(image):
    """Voxels, affine and scale."""
    return image.shape, image.affine.tobytes(), image.dataobj.get_unscaled().tobytes(), image.header.get_slope_inter()


def check(walk, made):
    """Every volume was taken and is the same; nothing of the sidecars' own identity is left."""
    walk = replace(walk, most=1 << 30)
    sent = list(volumes(made))
    assert [walk.take(volume) for _, volume in sent] == [Outcome.STORED] * len(sent), sealed(walk)
    ours = [nibabel.Nifti1Image.from_bytes(unpacked(data)) for data in stored(walk, ".nii") + stored(walk, ".nii.gz")]
    theirs = [nibabel.load(path) for path, _ in sent]
    assert sorted(map(seen, ours), key=str) == sorted(map(seen, theirs), key=str)
    kept = b"\n".join(name.encode() + b"\n" + unpacked(data) for name, data in tree(walk).items()).lower()
    fields = [json.loads(path.read_text("utf-8", "replace")) for name, path in made.items() if name.endswith(".json")]
    words = {str(field[keyword]).lower() for field in fields for keyword in WHOSE if field.get(keyword)}
    assert words
    assert not [word for word in words if len(word) >= 6 and word.encode() in kept]
    return fields


@pytest.mark.parametrize("packing", ["n", "y"])
def test_of_the_phantom(tmp_path, packing):
    study = phantom.study()
    for number, image in enumerate(study):
        image.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    made = converted(sorted(tmp_path.glob("*.dcm")), tmp_path / "nifti", "-z", packing)
    walk = house(tmp_path)
    check(walk, made)
    first = study[0]
    known = walk.linkage.resolve(Identity(str(first.PatientID), "", str(first.StudyInstanceUID)))
    assert walk.linkage.counts() == (1, 2)
    sidecars = [json.loads(data) for data in stored(walk, ".json")]
    assert {one["PatientID"] for one in sidecars} == {known.pseudonym}
    assert len({path.split("/")[3] for path in tree(walk)}) == 1
    assert {one["Modality"] for one in sidecars} == {"MR"}
    assert all(one["EchoTime"] > 0 for one in sidecars)


@pytest.mark.parametrize("name", SETS)
def test_of_real_images(tmp_path, name):
    files = [file for file in SETS[name] if "PixelData" in pydicom.dcmread(file, specific_tags=["PixelData"])]
    made = converted(files, tmp_path / "nifti", "-z", "n")
    if any(path.suffix == ".nii" for path in made.values()):
        check(house(tmp_path), made)
