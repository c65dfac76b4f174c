"""What a Prometheus costs that scrapes a busy node: throughput with and without it by turns, and a scrape's CPU."""

import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import processes, senders
from bench.receivers import CLOAKROOM, free_port, running

SENDERS = 8
WINDOW = 1.5  # seconds; by turns without and with scrapes
PAIRS, QUICK_PAIRS = 20, 4
WARM = 2.0  # the first instances are slower
EVERY = 15.0  # seconds between two scrapes of the Prometheus that comes with the node (docker/prometheus.yaml)
IN_A_WINDOW = 2  # scrapes, so that what one costs can be told from chance
SCRAPES = 20  # whose CPU is counted, once nobody pushes


class Scraping(NamedTuple):
    """Throughput kept when scraped IN_A_WINDOW times a window, what EVERY so often costs of it, and CPU ms of one."""

    kept: float
    lost: float
    cpu: float


def run(workload: Path, folder: Path, *, pairs: int = PAIRS) -> Scraping:
    """One node under eight associations; raises BenchError, and OSError where its page of metrics is not to be had."""
    port = free_port()
    with running(CLOAKROOM, folder, SENDERS, http_port=port) as here:
        whole = WARM + 2 * pairs * WINDOW
        started = [senders.start(here.port, workload, part, SENDERS, -whole) for part in range(SENDERS)]
        senders.go(started)
        time.sleep(WARM)
        begun = time.monotonic()
        for pair in range(pairs):
            _sleep_until(begun + (2 * pair + 1) * WINDOW)
            _scrape(port)
            time.sleep(1.0)
            _scrape(port)
            _sleep_until(begun + (2 * pair + 2) * WINDOW)
        times = [at for process in started for at in senders.said(process)["times"]]
        before = processes.cpu_seconds(here.pid)
        for _ in range(SCRAPES):
            _scrape(port)
        cpu = (processes.cpu_seconds(here.pid) - before) * 1000 / SCRAPES
    left = kept(times, begun, pairs)
    return Scraping(left, lost(left), cpu)


def lost(left: float) -> float:
    """The share lost when scraped EVERY so many seconds, where so much was left when scraped far more often."""
    return (1 - left) * WINDOW / IN_A_WINDOW / EVERY


def kept(times: Sequence[float], begun: float, pairs: int) -> float:
    """What was acknowledged in the windows with scrapes, as a share of what was in those without."""
    counts = [0, 0]
    for at in times:
        window = (at - begun) // WINDOW
        if 0 <= window < 2 * pairs:
            counts[int(window) % 2] += 1
    return counts[1] / max(counts[0], 1)


def _scrape(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        page.read()


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0))
