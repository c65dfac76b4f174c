"""What the node shows of itself besides what its processes count: asked when somebody looks, of whoever knows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from scp.outcome import Failure


class Health(NamedTuple):
    """Whether the node takes associations, and if not, why: each reason a fixed sentence."""

    ready: bool
    reasons: tuple[str, ...] = ()


class Arrived(NamedTuple):
    """A visit to which something came lately, by its pseudonymous number."""

    scan_research_id: str
    state: str
    instances: int
    last_arrival: float  # seconds since the epoch


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
    size_bytes: Callable[[], Mapping[str, int]] = dict  # by volume
    last_stored: Callable[[], float] = float  # seconds since the epoch, 0 before the first
    workers: Callable[[], Mapping[str, int]] = dict  # by state
    certificates: Callable[[], Mapping[str, float]] = dict  # when it ends, by file
    keys_usable: Callable[[], bool] = lambda: True
    exports: Callable[[], Mapping[str, int]] = dict  # deliveries by export and state
    arrivals: Callable[[], Sequence[Arrived]] = tuple  # the latest first
    warnings: Callable[[], Sequence[str]] = tuple  # what should not stay so, a fixed sentence each
    about: Mapping[str, str] = field(default_factory=dict)  # what the node is, for the status page


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
        parts = (self._ready, self._visits, self._quarantined, self._bytes, self._free, self._size, self._stored)
        for family in (*parts, self._workers, self._certificates, self._keys, self._restarts):
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

    def _size(self) -> Metric:
        return _by("cloakroom_disk_size_bytes", "Size of the disk, by volume.", "volume", self._signs.size_bytes())

    def _stored(self) -> Metric:
        name = "cloakroom_last_stored_timestamp_seconds"
        return GaugeMetricFamily(
            name, "When the last instance was stored, 0 before the first.", self._signs.last_stored()
        )

    def _workers(self) -> Metric:
        return _by("cloakroom_workers", "Workers that are configured, by state.", "state", self._signs.workers())

    def _certificates(self) -> Metric:
        name = "cloakroom_certificate_expiry_timestamp_seconds"
        return _by(name, "When the certificate in a TLS file ends, by file.", "file", self._signs.certificates())

    def _keys(self) -> Metric:
        text = "1 when the key files are as a start would need them, else 0."
        return GaugeMetricFamily("cloakroom_keys_usable", text, int(self._signs.keys_usable()))

    def _restarts(self) -> Metric:
        return CounterMetricFamily(
            "cloakroom_worker_restarts", "Processes of the node started again after they died.", self._signs.restarts()
        )


def _by(name: str, text: str, label: str, values: Mapping[str, int] | Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in sorted(values.items()):
        family.add_metric([value], number)
    return family
