"""Every metric of the node, declared once; the processes of a node add theirs up through files."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector

from scp.outcome import Outcome

RESULTS = ("accepted", "rejected", "released", "aborted", "failed")
OUTCOMES = tuple(outcome.label for outcome in Outcome)
LIMITS = (
    "max_pdu_bytes", "max_instance_bytes", "max_bytes_in_flight", "max_associations", "max_associations_per_title",
    "max_unassociated", "max_unassociated_per_address", "max_fruitless_per_second", "tls_handshake_seconds",
    "artim_seconds", "header_seconds", "body_seconds", "idle_seconds", "instance_seconds", "min_bytes_per_second",
    "max_depth", "max_elements", "max_values", "max_header_bytes", "hung_seconds",
)  # fmt: skip
HANDSHAKES = ("done", "failed")
RELOADS = ("loaded", "refused")
COMMANDS = ("c_store", "c_echo", "other")
STEPS = ("receive", "examine", "admission", "linkage", "deidentify", "store", "index", "respond")
GATES = ("mandatory", "primary", "consistent", "t1", "resolution", "slices", "gaps", "protocol", "dcm2niix")
EXPORTS = ("bids", "catalog", "nifti")
ENDS = ("done", "failed")
EXPIRED = ("published", "staged", "quarantine", "report", "manifest")
VERDICTS = ("warn", "hold", "quarantine")
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

_SLOT = re.compile(r"[a-z0-9-]+")


@dataclass
class _Slot:
    """Which of the node's processes this one is: a restarted worker goes on in its predecessor's file."""

    name: str = "supervisor"


class Timed:
    """Tells how many seconds its block took; for one block, and quicker than a generator would be."""

    __slots__ = ("_observe", "_start")

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        self._observe(time.perf_counter() - self._start)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics by name; label values are closed sets, all there from the start with 0."""

    instances: Counter
    received_bytes: Counter
    stored_bytes: Counter
    associations: Counter
    associations_open: Gauge
    limits: Counter
    tls_handshakes: Counter
    dimse: Counter
    recipe_reloads: Counter
    step_seconds: Histogram
    commit_rows: Histogram
    published_visits: Counter
    published_instances: Counter
    lost: Gauge
    gate_findings: Counter
    exports: Counter
    expired: Counter
    registry: CollectorRegistry
    _slot: _Slot = field(default_factory=_Slot, repr=False)

    def identify(self, slot: str) -> None:
        """Say, in a child just forked, which one it is ([a-z0-9-]+, one living process each); else ValueError."""
        if not _SLOT.fullmatch(slot):
            raise ValueError(f"{slot!r} is not a slot's name")
        self._slot.name = slot
        self.associations_open.set(0)  # what a predecessor held open is closed; and all values go into the slot's file

    def step(self, step: str) -> "Timed":
        """Observes as one of STEPS how long the block takes that it is entered for, also where that raises."""
        return Timed(self.step_seconds.labels(step).observe)


def declare(registry: CollectorRegistry | None = None) -> Metrics:
    """The metrics of one process on its own, as tests and short commands want them."""
    return _declare(registry or CollectorRegistry(), values.MutexValue, _Slot())


def declare_node(folder: Path) -> Metrics:
    """The metrics of a node, declared before it forks, starting at 0; `registry` adds up what its processes wrote.

    `folder` is the one given to `config.prepare_process`.
    """
    for stale in folder.glob("*.db"):
        stale.unlink()
    slot = _Slot()
    metrics = _declare(CollectorRegistry(), _values_of(slot), slot)
    metrics.registry.register(MultiProcessCollector(None, path=str(folder)))  # type: ignore[no-untyped-call]
    return metrics


def _values_of(slot: _Slot) -> Any:  # noqa: ANN401  untyped upstream
    """The library's values in a file of the slot, without its look at each count whether there was a fork.

    `identify` sets one, which is when the library does look; between two of them the slot is the same.
    """
    known = values.MultiProcessValue(lambda: slot.name)  # type: ignore[no-untyped-call]
    lock = threading.Lock()

    class Value(known):  # type: ignore[misc,valid-type]
        def inc(self, amount: float) -> None:
            with lock:
                self._value += amount
                self._file.write_value(self._key, self._value, 0.0)

    return Value


def _declare(registry: CollectorRegistry, value_class: Any, slot: _Slot) -> Metrics:  # noqa: ANN401  untyped upstream
    """In a node the metrics stay out of the registry: they come back out of the files, added up."""
    own = registry if value_class is values.MutexValue else None
    with _keeping_values_in(value_class):
        return Metrics(
            instances=_counter(
                "cloakroom_instances_total", "Instances answered, by outcome.", own, "outcome", OUTCOMES
            ),
            received_bytes=Counter("cloakroom_received_bytes_total", "Bytes of data sets received.", registry=own),
            stored_bytes=Counter("cloakroom_stored_bytes_total", "Bytes of files stored.", registry=own),
            associations=_counter(
                "cloakroom_associations_total", "Associations, by what became of them.", own, "result", RESULTS
            ),
            associations_open=Gauge(
                "cloakroom_associations_open", "Associations open now.", registry=own, multiprocess_mode="livesum"
            ),
            limits=_counter(
                "cloakroom_limits_total", "Times a limit was met, by its setting in [limits].", own, "limit", LIMITS
            ),
            tls_handshakes=_counter(
                "cloakroom_tls_handshakes_total", "TLS handshakes, by how they ended.", own, "handshake", HANDSHAKES
            ),
            dimse=_counter("cloakroom_dimse_total", "DIMSE requests, by command.", own, "command", COMMANDS),
            recipe_reloads=_counter(
                "cloakroom_recipe_reloads_total", "Times the recipe was read again, by result.", own, "reload", RELOADS
            ),
            step_seconds=_steps(own),
            commit_rows=Histogram(
                "cloakroom_commit_rows", "Rows committed together, by whoever did it.", registry=own, buckets=ROWS
            ),
            published_visits=Counter(
                "cloakroom_published_visits_total", "Visits published, late arrivals included.", registry=own
            ),
            published_instances=Counter(
                "cloakroom_published_instances_total", "Instances in published visits.", registry=own
            ),
            lost=_lost(own),
            gate_findings=_crossed(
                "cloakroom_gate_findings_total",
                "Findings of the gates, by gate and what it weighs.",
                own,
                {"gate": GATES, "verdict": VERDICTS},
            ),
            exports=_crossed(
                "cloakroom_exports_total",
                "Exports that were tried, by export and how that ended.",
                own,
                {"export": EXPORTS, "end": ENDS},
            ),
            expired=_counter(
                "cloakroom_expired_total",
                "Things taken away because their time was over, by kind.",
                own,
                "kind",
                EXPIRED,
            ),
            registry=registry,
            _slot=slot,
        )


def _counter(name: str, text: str, registry: CollectorRegistry | None, label: str, known: Iterable[str]) -> Counter:
    counter = Counter(name, text, [label], registry=registry)
    for value in known:
        counter.labels(value)
    _remember(counter)
    return counter


def _crossed(
    name: str, text: str, registry: CollectorRegistry | None, labels: Mapping[str, tuple[str, ...]]
) -> Counter:
    counter = Counter(name, text, list(labels), registry=registry)
    for known in product(*labels.values()):
        counter.labels(*known)
    return counter


def _steps(registry: CollectorRegistry | None) -> Histogram:
    histogram = Histogram(
        "cloakroom_step_seconds",
        "Time an instance takes in each step of its walk.",
        ["step"],
        registry=registry,
        buckets=BUCKETS,
    )
    for step in STEPS:
        histogram.labels(step)
    _remember(histogram)
    return histogram


def _remember(metric: Counter | Histogram) -> None:
    """Each child is looked up once: the library checks the labels each time, which costs as much as to count."""
    metric.labels = cache(metric.labels)  # type: ignore[method-assign,assignment]


def _lost(registry: CollectorRegistry | None) -> Gauge:
    return Gauge(
        "cloakroom_lost",
        "Rows whose file was not there when the node started: acknowledged and lost.",
        registry=registry,
        multiprocess_mode="livesum",
    )


@contextmanager
def _keeping_values_in(value_class: Any) -> Iterator[None]:  # noqa: ANN401  untyped upstream
    """prometheus_client takes the class from a module variable, chosen at import; here it is chosen at declaration."""
    before = values.ValueClass
    values.ValueClass = value_class
    try:
        yield
    finally:
        values.ValueClass = before
