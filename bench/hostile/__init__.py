"""Hostile peers against a node that serves honest ones: is each ended within its limit, and what do the others lose?"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import processes, senders
from bench.hostile import secure
from bench.hostile.attack import LIMITS, Attack
from bench.hostile.attacks import ATTACKS
from bench.progress import Steps
from bench.receivers import CLOAKROOM, ROOT, BenchError, free_port, running

__all__ = ["ATTACKS", "Verdict", "run", "summary"]

SENDERS = 2
LOAD = 0.5  # of what they could do: a node that is used up has nothing that an attacker could leave alone
MEASURE = 2.0
SECONDS, QUICK_SECONDS = 6.0, 4.0  # how long one attack goes on
QUIET = 2.0  # seconds before and after the attack whose throughput it is compared with
PATIENCE = 1.0  # what a loaded machine may add to a limit
MOST_MIB = 512.0
LEAST_KEPT = 0.9


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one attack went: how it was ended and how late at the latest, and what the honest and the node felt."""

    name: str
    title: str
    ended: str
    seconds: float
    limit: float
    kept: float
    memory: float  # MiB
    in_time: bool

    @property
    def held(self) -> bool:
        """Whether it was ended as it must be, in time, at the cost of nobody else."""
        return self.in_time and self.kept >= LEAST_KEPT and self.memory <= MOST_MIB


def run(place: Path, workload: Path, attacks: Sequence[Attack], progress: Steps, *, quick: bool) -> Iterator[Verdict]:
    """Each attack against a node of its own, each verdict as it falls."""
    seconds = QUICK_SECONDS if quick else SECONDS
    pace = LOAD * _most(place / "hostile", workload) / SENDERS
    for attack in attacks:
        progress.step(attack.title)
        try:
            yield one(attack, place / f"hostile-{attack.name}", workload, seconds, pace)
        except BenchError as error:  # an honest sender was harmed
            ended = f"not measured: {error}"
            yield Verdict(attack.name, attack.title, ended, 0.0, attack.limit, 0.0, 0.0, in_time=False)


def one(attack: Attack, folder: Path, workload: Path, seconds: float, pace: float) -> Verdict:
    """One attack: honest senders at this pace all the time, the attacker in the middle."""
    limits = {f"limits__{key}": value for key, value in LIMITS.items()}
    port = free_port() if attack.secure else 0
    tls = secure.settings(folder.with_name(f"{folder.name}-tls"), port) if attack.secure else {}
    with running(CLOAKROOM, folder, 1, **limits, **tls) as here:
        whole = 1.0 + QUIET + seconds + QUIET + 1
        honest = [senders.start(here.port, workload, part, SENDERS, -whole, pace=pace) for part in range(SENDERS)]
        senders.go(honest)
        time.sleep(1.0 + QUIET)
        before, begun = processes.resident(here.pid), time.monotonic()
        endings, most = _attack(attack, port or here.port, here.pid, seconds)
        ended = time.monotonic()
        times = [at for process in honest for at in senders.said(process)["times"]]
    kept = _rate(times, begun, min(begun + seconds, ended)) / _mean_rate(times, begun, ended)
    return _verdict(attack, endings, kept, (most - before) / 2**20)


def _most(folder: Path, workload: Path) -> float:
    """Instances a second that the honest senders get through, at a node of their own, when nothing holds them back."""
    with running(CLOAKROOM, folder) as here:
        honest = [senders.start(here.port, workload, part, SENDERS, -MEASURE) for part in range(SENDERS)]
        senders.go(honest)
        times = [sorted(senders.said(process)["times"]) for process in honest]
    return sum(len(one) / (one[-1] - one[0]) for one in times if len(one) > 1)


def summary(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The worst of all, by measure."""
    if not verdicts:
        return {}
    refusal = max((one.seconds for one in verdicts if one.name == "huge-header"), default=0.0)
    ended = sum(one.in_time for one in verdicts) / len(verdicts)
    memory = max(one.memory for one in verdicts)
    return {"kept": min(one.kept for one in verdicts), "ended": ended, "refusal": refusal, "memory": memory}


def _attack(attack: Attack, port: int, pid: int, seconds: float) -> tuple[dict[str, tuple[float, int]], int]:
    """The attacker's endings and the most bytes that the node's processes had meanwhile."""
    command = [sys.executable, "-m", "bench.hostile.attacker", attack.name, str(port), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    most = 0
    while process.poll() is None:
        most = max(most, processes.resident(pid))
        time.sleep(0.1)
    assert process.stdout is not None
    said = process.stdout.read().splitlines()
    return {how: (taken[0], int(taken[1])) for how, taken in json.loads(said[-1]).items()}, most


def _verdict(attack: Attack, endings: dict[str, tuple[float, int]], kept: float, memory: float) -> Verdict:
    right = all(how.split(" ")[0] in (*attack.ends, "left") and how != "answer 0x0000" for how in endings)
    latest = max((taken for how, (taken, _) in endings.items() if how != "left"), default=0.0)
    patience = AT_ONCE_PATIENCE if attack.limit < PATIENCE else PATIENCE
    told = ", ".join(f"{how} ({count} times)" for how, (_, count) in sorted(endings.items()))
    in_time = right and bool(endings) and latest <= attack.limit + patience
    return Verdict(attack.name, attack.title, told, latest, attack.limit, kept, memory, in_time)


AT_ONCE_PATIENCE = 0.4  # an attacker of the lowest priority waits for its turn


def _rate(times: Sequence[float], begun: float, ended: float) -> float:
    return sum(begun <= at < ended for at in times) / max(ended - begun, 0.001)


def _mean_rate(times: Sequence[float], begun: float, ended: float) -> float:
    quiet = [_rate(times, begun - QUIET, begun)]
    if max(times) - ended > QUIET / 2:
        quiet.append(_rate(times, ended, min(ended + QUIET, max(times))))
    return max(sum(quiet) / len(quiet), 0.001)
