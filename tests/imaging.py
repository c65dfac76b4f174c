"""What a neuroimager compares: the volumes that dcm2niix makes of a folder of DICOM files."""

import hashlib
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
    return sorted(_volume(path) for path in made.glob("*.nii"))


def _volume(path):
    image = nibabel.load(path)
    voxels = np.ascontiguousarray(image.dataobj.get_unscaled())
    affine = tuple(np.round(image.affine, 3).ravel().tolist())
    scale = (float(image.dataobj.slope), float(image.dataobj.inter))
    return image.shape, affine, str(voxels.dtype), scale, hashlib.sha256(voxels.tobytes()).hexdigest()


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
