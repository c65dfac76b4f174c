"""The senders, timed from the word go to the last acknowledgement."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.receivers import NODELAY, ROOT, BenchError
from bench.workloads import shares


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many instances were acknowledged with success, in how many seconds."""

    count: int
    seconds: float


def raw(port: int, workload: Path, associations: int, seconds: float, *, each: bool = False) -> Pushed:
    """The bench's own sender, a process for each association, for so many seconds at most."""
    processes = [start(port, workload, part, associations, seconds, each=each) for part in range(associations)]
    said = finish(processes)
    taken = max(one["ended"] for one in said) - min(one["begun"] for one in said)
    return Pushed(int(sum(one["stored"] for one in said)), taken)


def start(  # noqa: PLR0913  argv
    port: int, workload: Path, first: int, step: int, seconds: float, *, each: bool = False, pace: float = 0.0
) -> "subprocess.Popen[str]":
    """A sender that has mapped its workload and waits for `finish`."""
    command = [sys.executable, "-m", "bench.sender", str(port), str(workload), str(first), str(step)]
    process = subprocess.Popen(
        [*command, str(seconds), str(int(each)), str(pace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise BenchError("a sender did not start")
    return process


def finish(processes: list["subprocess.Popen[str]"]) -> list[dict[str, float]]:
    """Let all go at once, and what each says at its end."""
    go(processes)
    return [_said(process) for process in processes]


def go(processes: list["subprocess.Popen[str]"]) -> None:
    """Let all go at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def _said(process: "subprocess.Popen[str]") -> dict[str, float]:
    out, errors = process.communicate(timeout=600)
    if process.returncode:
        raise BenchError(f"a sender failed: {errors.strip().splitlines()[-1:]}")
    said: dict[str, float] = json.loads(out)
    if said["failed"]:
        raise BenchError(f"{said['failed']:.0f} instances were not stored")
    return said


def said(process: "subprocess.Popen[str]") -> dict[str, list[float]]:
    """What a sender that was let go says at its end, failed instances or not."""
    out, errors = process.communicate(timeout=600)
    if process.returncode:
        raise BenchError(f"a sender failed: {errors.strip().splitlines()[-1:]}")
    told: dict[str, list[float]] = json.loads(out)
    return told


def storescu(port: int, workload: Path, associations: int, count: int, *, nodelay: bool) -> Pushed:
    """DCMTK's storescu, one for each association, as installed or with Nagle's algorithm off; its start counts."""
    folders = shares(workload, count, associations)
    environ = os.environ | (NODELAY if nodelay else {})
    begun = time.monotonic()
    processes = [
        subprocess.Popen(
            ["storescu", "-aec", "CLOAKROOM", "-R", "+sd", "127.0.0.1", str(port), str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
        )
        for folder in folders
    ]
    codes = [process.wait(timeout=600) for process in processes]
    taken = time.monotonic() - begun
    if any(codes):
        raise BenchError("storescu was not served")
    return Pushed(count, taken)
