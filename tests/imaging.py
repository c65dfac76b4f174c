"""What a neuroimager compares: the volumes that dcm2niix makes of a folder of DICOM files."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.multival import MultiValue

DCM2NIIX = Path(sys.executable).parent / "dcm2niix"
DATES = {"DA", "DT"}
IDENTIFYING = (
    "PatientID", "PatientName", "DeviceSerialNumber", "StationName", "InstitutionName", "InstitutionAddress",
    "ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName", "AccessionNumber",
)  # fmt: skip


def volumes(files, folder):
    """Shape, affine and a digest of the voxels of every volume that dcm2niix makes of the files, sorted."""
    source, made = folder / "in", folder / "out"
    for path in (source, made):
        path.mkdir(parents=True)
    for number, file in enumerate(files):
        shutil.copyfile(file, source / f"{number:06d}.dcm")
    command = [DCM2NIIX, "-b", "n", "-z", "n", "-f", "%s_%u", "-o", made, source]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return sorted(volume(path) for path in made.glob("*.nii"))


def volume(path):
    """Shape, affine, type of voxels, scale and their digest."""
    image = nibabel.load(path)
    voxels = np.ascontiguousarray(image.dataobj.get_unscaled())
    affine = tuple(np.round(image.affine, 3).ravel().tolist())
    scale = (float(image.dataobj.slope), float(image.dataobj.inter))
    return image.shape, affine, str(voxels.dtype), scale, hashlib.sha256(voxels.tobytes()).hexdigest()


def conversions(files, folder):
    """What dcm2niix makes of the files, sidecars and all: by file name, a dictionary of what can be compared."""
    source, made = folder / "in", folder / "out"
    for path in (source, made):
        path.mkdir(parents=True)
    for number, file in enumerate(files):
        shutil.copyfile(file, source / f"{number:06d}.dcm")
    command = [DCM2NIIX, "-b", "y", "-ba", "n", "-z", "n", "-f", "%s", "-o", made, source]
    done = subprocess.run(command, check=False, capture_output=True, timeout=120)
    if done.returncode not in {0, _COMPLAINED, _NOTHING_CONVERTED}:
        raise RuntimeError(f"dcm2niix: {done.returncode}")
    return {path.name: _READERS[path.suffix](path) for path in sorted(made.iterdir())}


def _image(path):
    """Voxels, affine, scale, times between volumes and slices: all of a NIfTI header but its free text."""
    image = nibabel.load(path)
    told = {key: str(np.asarray(image.header[key]).tolist()) for key in image.header if key not in _FREE_TEXT}
    told["scale"] = str((image.dataobj.slope, image.dataobj.inter))  # nibabel takes it out of the header
    return told | {"voxels": hashlib.sha256(np.ascontiguousarray(image.dataobj.get_unscaled()).tobytes()).hexdigest()}


_COMPLAINED, _NOTHING_CONVERTED = 1, 2
_FREE_TEXT = {"descrip", "aux_file", "db_name", "intent_name"}
_READERS = {
    ".nii": _image,
    ".json": lambda path: json.loads(path.read_text("utf-8", "replace")),
    ".bval": lambda path: {"b-values": path.read_text("ascii").split()},
    ".bvec": lambda path: {"b-vectors": path.read_text("ascii").split()},
}


def needles(files):
    """Every identifying value of the originals that is long enough not to occur by chance, as bytes."""
    found = set()
    for file in files:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        for element in dataset.iterall():
            values = element.value if isinstance(element.value, MultiValue) else [element.value]
            if element.keyword in IDENTIFYING or element.VR in DATES or element.VR == "UI":
                found |= {str(value).strip() for value in values if value is not None}
        # pydicom's small MR comes from an institution that is called as its maker, which is kept.
        found = {word for word in found if word not in str(dataset.get("Manufacturer"))}
    # Well-known UIDs are the standard's; the first of a month is what a date becomes; short words occur by chance.
    kept = {word for word in found if len(word) >= 6 and not word.startswith("1.2.840.10008.")}
    return {word.encode() for word in kept if not (len(word) == 8 and word.isdigit() and word.endswith("01"))}


def leaks(words, contents):
    """(word, place) of every needle found in the contents; numbers count only where no other digit touches them."""
    if not words:
        raise ValueError("nothing to look for proves nothing")
    ordered = sorted(words, key=len, reverse=True)
    found = re.compile(
        b"|".join(rb"(?<!\d)" + word + rb"(?!\d)" if word.isdigit() else re.escape(word) for word in ordered)
    )
    return [(match.group(), place) for place, raw in contents.items() for match in found.finditer(raw)]


def header(file):
    """The file's bytes up to the pixel data, where short identifiers cannot occur by chance."""
    raw = Path(file).read_bytes()
    at = raw.rfind(b"\xe0\x7f\x10\x00")
    return raw if at < 0 else raw[:at]
