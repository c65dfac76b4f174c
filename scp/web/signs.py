"""What the node shows of itself besides what its processes count: asked when somebody looks, of whoever knows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from scp.outcome import Failure


class Health(NamedTuple):
    """Whether the node takes associations, and if not, why: each reason a fixed sentence."""

    ready: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signs:
    """The questions; one that raises Failure or OSError is left out of the page and the others are shown."""

    version: str
    recipe: str
    health: Callable[[], Health]
    visits: Callable[[], Mapping[str, int]]  # by state
    quarantined: Callable[[], Mapping[str, int]]  # instances by outcome
    quarantine_bytes: Callable[[], int]
    free_bytes: Callable[[], Mapping[str, int]]  # by volume
    restarts: Callable[[], int]


class SignsCollector(Collector):
    """The signs as Prometheus reads them; asked anew at each scrape."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs

    def collect(self) -> Iterator[Metric]:
        """Every family whose question is answered."""
        yield InfoMetricFamily(
            "cloakroom_build",
            "Version and recipe of the node.",
            {"version": self._signs.version, "recipe": self._signs.recipe},
        )
        for family in (self._ready, self._visits, self._quarantined, self._bytes, self._free, self._restarts):
            try:
                yield family()
            except (Failure, OSError):
                continue

    def _ready(self) -> Metric:
        return GaugeMetricFamily("cloakroom_ready", "1 when /readyz says so, else 0.", int(self._signs.health().ready))

    def _visits(self) -> Metric:
        return _by("cloakroom_visits", "Deliveries of visits, by state.", "state", self._signs.visits())

    def _quarantined(self) -> Metric:
        name = "cloakroom_quarantine_instances"
        return _by(name, "Sealed originals kept, by outcome.", "outcome", self._signs.quarantined())

    def _bytes(self) -> Metric:
        return GaugeMetricFamily(
            "cloakroom_quarantine_bytes", "Bytes of sealed originals kept.", self._signs.quarantine_bytes()
        )

    def _free(self) -> Metric:
        name = "cloakroom_disk_free_bytes"
        return _by(name, "Room left for an ordinary user, by volume.", "volume", self._signs.free_bytes())

    def _restarts(self) -> Metric:
        return CounterMetricFamily(
            "cloakroom_worker_restarts", "Processes of the node started again after they died.", self._signs.restarts()
        )


def _by(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in sorted(values.items()):
        family.add_metric([value], number)
    return family
