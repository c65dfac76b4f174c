"""A thousand associations that say nothing: what they cost a node, and what those that speak lose by them."""

import socket
import time
from pathlib import Path
from typing import NamedTuple

from bench import processes, senders, wire
from bench.receivers import CLOAKROOM, running

ASSOCIATIONS = 1_000
SENDERS = 4


class Idle(NamedTuple):
    """Throughput kept, share of a core, MiB of all processes (a shared page counted once)."""

    kept: float
    core: float
    memory: float


def run(workload: Path, folder: Path, *, seconds: float = 3.0, count: int = ASSOCIATIONS) -> Idle:
    """One node: throughput without them, their cost in silence, throughput with them and without them again."""
    with running(
        CLOAKROOM, folder, limits__max_associations=2 * count, limits__max_associations_per_title=2 * count
    ) as here:
        _rate(here.port, workload, seconds / 2)  # the first ones are slower
        without = _rate(here.port, workload, seconds)
        held = [_associate(here.port) for _ in range(count)]
        try:
            time.sleep(1.0)
            cpu, begun = processes.cpu_seconds(here.pid), time.monotonic()
            time.sleep(seconds)
            core = (processes.cpu_seconds(here.pid) - cpu) / (time.monotonic() - begun)
            memory = processes.proportional(here.pid) / 2**20
            held_rate = _rate(here.port, workload, seconds)
        finally:
            for sock in held:
                sock.close()
        kept = held_rate / ((without + _rate(here.port, workload, seconds)) / 2)
    return Idle(kept, core, memory)


def _associate(port: int) -> socket.socket:
    return wire.connect(port, wire.VERIFICATION, wire.IMPLICIT)[0]


def _rate(port: int, workload: Path, seconds: float) -> float:
    started = [senders.start(port, workload, part, SENDERS, -seconds) for part in range(SENDERS)]
    senders.go(started)
    said = [senders.said(process) for process in started]
    return sum(len(one["times"]) for one in said) / seconds
