"""What each address of the status port answers; the paths are the whole of the interface, queries are ignored."""

import base64
import binascii
import hmac
import json
import struct
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest

from scp.outcome import Failure
from scp.web import page
from scp.web.signs import Health, Signs, SignsCollector

_TEXT = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_JSON = "application/json"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text exposition format


class Answer(NamedTuple):
    """One response."""

    status: int
    content_type: str
    body: bytes
    asks: bool = False  # for a token


OPEN: Final = frozenset({"/healthz", "/readyz"})  # what starts and stops a node has no token


class Pages:
    """Answers by path; made of the registry that adds up the processes' metrics, and of the signs.

    With a `token`, the status page and the metrics are for who shows it.
    """

    def __init__(self, registry: CollectorRegistry, signs: Signs, token: str = "") -> None:
        self._registry = registry
        self._token = token
        self.show(signs)
        self._pages = {"/": self._start, "/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}

    def show(self, signs: Signs) -> None:
        """Show these signs from now on."""
        asked = CollectorRegistry()
        asked.register(SignsCollector(signs))
        self._signs, self._asked = signs, asked

    @property
    def paths(self) -> tuple[str, ...]:
        """The whole interface."""
        return tuple(self._pages)

    def answer(self, path: str, authorization: str = "") -> Answer:
        """The answer to GET; 404 for what is no page, 401 where the token is asked for and not shown."""
        name = path.partition("?")[0]
        found = self._pages.get(name)
        if found is None:
            return Answer(404, _TEXT, b"not found\n")
        if self._token and name not in OPEN and not _shows(authorization, self._token):
            return Answer(401, _TEXT, b"a token is asked for\n", asks=True)
        return found()

    def _start(self) -> Answer:
        return Answer(200, _HTML, page.draw(self._signs, self._health()).encode())

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


def _shows(authorization: str, token: str) -> bool:
    """A bearer token (RFC 6750), or for a browser the token as the password of any user (RFC 7617)."""
    scheme, _, shown = authorization.partition(" ")
    given = shown.strip().encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given, token.encode())
