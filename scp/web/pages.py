"""What each address of the status port answers; the paths are the whole of the interface, queries are ignored."""

import json
import struct
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

from scp.outcome import Failure
from scp.web.signs import Health, Signs, SignsCollector

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text exposition format


class Answer(NamedTuple):
    """One response."""

    status: int
    content_type: str
    body: bytes


class Pages:
    """Answers by path; made of the registry that adds up the processes' metrics, and of the signs."""

    def __init__(self, registry: CollectorRegistry, signs: Signs) -> None:
        self._registry = registry
        self._signs = signs
        self._asked = CollectorRegistry()
        self._asked.register(SignsCollector(signs))
        self._pages = {"/": self._start, "/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}

    def answer(self, path: str) -> Answer:
        """The answer to GET; 404 for what is no page."""
        page = self._pages.get(path.partition("?")[0])
        return page() if page else Answer(404, _TEXT, b"not found\n")

    def _start(self) -> Answer:
        state = "ready" if self._health().ready else "not ready"
        lines = [f"Cloakroom {self._signs.version}: {state}", *sorted(self._pages)[1:], ""]
        return Answer(200, _TEXT, "\n".join(lines).encode())

    def _metrics(self) -> Answer:
        try:
            body = generate_latest(self._registry) + generate_latest(self._asked)
        except (OSError, RuntimeError, ValueError, struct.error):
            return Answer(503, _TEXT, b"a process is just making its file; try again\n")
        return Answer(200, _METRICS, body)

    def _healthz(self) -> Answer:
        return Answer(200, _JSON, b'{"alive": true}\n')

    def _readyz(self) -> Answer:
        health = self._health()
        body = json.dumps({"ready": health.ready, "reasons": health.reasons}) + "\n"
        return Answer(200 if health.ready else 503, _JSON, body.encode())

    def _health(self) -> Health:
        """A node that cannot say how it is, is not ready."""
        try:
            return self._signs.health()
        except (Failure, OSError):
            return Health(ready=False, reasons=("a database or disk does not answer",))
