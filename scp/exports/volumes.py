"""dcm2niix, run on a folder: the one way in which exports make volumes."""

import gzip
import subprocess
from pathlib import Path
from typing import NamedTuple

from scp.exports.visit import ExportError
from scp.steward.gates.converted import program

SECONDS = 1800.0
NO_SIDECAR = "dcm2niix gives the volume no sidecar"
"""So it is where slices do not fit together: some of them twice, say. Its geometry would be wrong."""

_DIMENSIONS = slice(40, 42)  # of a NIfTI-1 header: how many axes there are


class Made(NamedTuple):
    """The volumes that dcm2niix made, in the order of their names, and how it ended."""

    volumes: tuple[Path, ...]
    code: int


def convert(source: Path, target: Path, name: str, *, zipped: bool, uids: bool = False) -> Made:
    """Convert a folder of DICOM files into another one, with a sidecar beside each volume; `name` as dcm2niix's -f.

    With `uids` a sidecar says of which series it is, and whatever else dcm2niix leaves out where it is to name nobody:
    it has to be written anew. Raises ExportError when dcm2niix is missing, is killed, or takes half an hour.
    """
    found = program()
    if found is None:
        raise ExportError("dcm2niix is not installed")
    # -g first: the defaults that the account may have written for itself could have voxels scaled
    options = ["-g", "i", "-b", "y", "-ba", "n" if uids else "y", "-z", "i" if zipped else "n"]
    command = [found, *options, "-f", name, "-o", str(target), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603  our own words
    except subprocess.TimeoutExpired:
        raise ExportError(f"dcm2niix took longer than {SECONDS:g} s") from None
    if done.returncode < 0:
        raise ExportError(f"dcm2niix was ended by signal {-done.returncode}")
    return Made(tuple(sorted(target.glob("*.nii.gz" if zipped else "*.nii"))), done.returncode)


def dimensions(volume: Path) -> int:
    """How many axes a `.nii.gz` has: 3, or 4 where volumes follow each other; ExportError for a file cut short."""
    try:
        with gzip.open(volume) as file:
            header = file.read(_DIMENSIONS.stop)
    except EOFError:
        header = b""
    if len(header) < _DIMENSIONS.stop:
        raise ExportError("dcm2niix made a volume that cannot be read")
    return int.from_bytes(header[_DIMENSIONS], "little")
