"""dcm2niix, which most of neuroimaging begins with, makes a volume of every series; it is run, not guessed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from scp.outcome import Failure, Outcome
from scp.steward.gates.finding import Candidate, Said
from scp.store.files import answerable

SECONDS = 600.0
ROOM = 2
"""Times the visit's size that there has to be: of a conversion that ran out of room nothing follows for the visit."""
PROGRAM = "dcm2niix"


def program() -> str | None:
    """Where dcm2niix is: in its package, as PyPI and the image have it, or on the path; None where it is not."""
    package = find_spec(PROGRAM)
    beside = str(Path(package.origin).parent) if package and package.origin else ""
    return shutil.which(PROGRAM, path=beside) or shutil.which(PROGRAM)


def converts(visit: Candidate) -> Iterator[Said]:
    """That it is missing, fails, takes longer than ten minutes, or makes fewer volumes than there are series.

    Raises Failure where it cannot be asked now, for want of room: the steward asks again.
    """
    found = program()
    if found is None:
        yield Said("dcm2niix is not installed", ())
        return
    with answerable("a conversion"), tempfile.TemporaryDirectory(prefix="cloakroom-") as folder:
        if shutil.disk_usage(folder).free < ROOM * sum(file.stat().st_size for file in visit.folder.iterdir()):
            raise Failure(Outcome.OUT_OF_RESOURCES, "no room for a conversion, where TMPDIR is")
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
