"""dcm2niix, which most of neuroimaging begins with, makes a volume of every series; it is run, not guessed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from scp.steward.gates.finding import Candidate, Said

SECONDS = 600.0
PROGRAM = "dcm2niix"


def program() -> str | None:
    """Where dcm2niix is: in its package, as PyPI and the image have it, or on the path; None where it is not."""
    package = find_spec(PROGRAM)
    beside = str(Path(package.origin).parent) if package and package.origin else ""
    return shutil.which(PROGRAM, path=beside) or shutil.which(PROGRAM)


def converts(visit: Candidate) -> Iterator[Said]:
    """That it is missing, fails, takes longer than ten minutes, or makes fewer volumes than there are series."""
    found = program()
    if found is None:
        yield Said("dcm2niix is not installed", ())
        return
    with tempfile.TemporaryDirectory(prefix="cloakroom-") as folder:
        command = [found, "-b", "n", "-z", "n", "-f", "%j_%s", "-o", folder, str(visit.folder)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603  our words
        except subprocess.TimeoutExpired:
            yield Said(f"dcm2niix took longer than {SECONDS:g} s", ())
            return
        volumes = len(list(Path(folder).glob("*.nii")))
    if done.returncode:
        yield Said(f"dcm2niix ended with {done.returncode}", ())
    if volumes < len(visit.series):
        yield Said(f"dcm2niix made {volumes} volumes of {len(visit.series)} series", ())
