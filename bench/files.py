"""Files as input beside the front door: the same instances, pushed to one node and imported beside another."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench import senders
from bench.receivers import CLOAKROOM, ROOT, BenchError, Running, running

COUNT = 5_000
_SECONDS = 3_600.0  # longer than any push of that many


class Rates(NamedTuple):
    """Instances a second, each from the word go to the last one durable and answered."""

    imported: float
    pushed: float


def run(workload: Path, folder: Path, *, first: str) -> Rates:
    """Both ways into nodes of their own, `first` ("imported" or "pushed") before the other; raises BenchError.

    The push is the raw sender's on one association, which waits for each answer as an import does. The import's time
    has its start and its end in it.
    """
    folder.mkdir()
    ways = {"imported": _imported, "pushed": _pushed}
    found = {}
    for way in sorted(ways, key=lambda name: name != first):
        with running(CLOAKROOM, folder / way) as here:
            found[way] = ways[way](here, workload, folder / way)
    return Rates(**found)


def _pushed(here: Running, workload: Path, _folder: Path) -> float:
    pushed = senders.raw(here.port, workload, 1, _SECONDS)
    return pushed.count / pushed.seconds


def _imported(_here: Running, workload: Path, folder: Path) -> float:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLOAKROOM_")}
    environ |= {"CLOAKROOM_STATE": str(folder / "state"), "CLOAKROOM_EXPORT": str(folder / "export")}
    command = [sys.executable, "-m", "scp.cli", "import", str(workload / "files"), "--json"]
    begun = time.monotonic()
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    taken = time.monotonic() - begun
    if done.returncode:
        raise BenchError("not every file was imported")
    return int(json.loads(done.stdout)["results"]["stored"]) / taken
