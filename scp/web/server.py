"""A small HTTP server over a socket bound before the fork: few connections at a time, each with a deadline, no log."""

import socket
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import BaseServer, TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Timer
from typing import Any, Final

from scp import log
from scp.stop import Stopping
from scp.web.pages import Answer, Pages

CONNECTIONS: Final = 32
DEADLINE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 1.0

# A page of ours loads nothing, runs nothing and is shown in no other.
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)

_logger = log.get("web")


def run(listener: socket.socket, pages: Pages, stop: Stopping, alive: Callable[[], None] = lambda: None) -> None:
    """Serve until `stop` is set, calling `alive` about each second; for a process of its own.

    `listener` is bound and listening, and stays open.
    """
    server = _Server(listener, partial(_Request, pages))
    while not stop.is_set():
        alive()
        server.handle_request()


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    timeout = _PAUSE_SECONDS

    def __init__(self, listener: socket.socket, request: Callable[..., BaseHTTPRequestHandler]) -> None:
        BaseServer.__init__(self, listener.getsockname(), request)  # the socket is there already
        self.socket = listener
        listener.settimeout(None)  # else socketserver would take its 0 for the pause, and spin
        self._room = BoundedSemaphore(CONNECTIONS)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002  as socketserver has it
        """More connections than there is room for are closed at once."""
        return self._room.acquire(blocking=False)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        """Where no thread can be had, the room is given back."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as socketserver has it
        """One connection, given up when it takes too long."""
        deadline = Timer(DEADLINE_SECONDS, _hang_up, [request])
        deadline.daemon = True
        try:
            deadline.start()
            super().process_request_thread(request, client_address)
        except RuntimeError:  # no thread to be had for the deadline, and without one nobody is served
            self.shutdown_request(request)
        finally:
            deadline.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  as socketserver has it
        """A peer that went away is nobody's concern; anything else is said without its text."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            _logger.error("request_failed", exc_info=error)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # gone already


class _Request(BaseHTTPRequestHandler):
    server_version = "cloakroom"
    sys_version = ""
    timeout = DEADLINE_SECONDS

    def __init__(self, pages: Pages, *args: Any) -> None:  # noqa: ANN401  socketserver's three
        self._pages = pages
        super().__init__(*args)

    def do_GET(self) -> None:
        self._send(self._pages.answer(self.path, self.headers.get("Authorization", "")))

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Without http.server's page, which repeats what the peer sent."""
        self._send(Answer(code, "text/plain; charset=utf-8", f"{HTTPStatus(code).phrase}\n".encode()))

    def _send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in _HEADERS:
            self.send_header(name, value)
        if answer.asks:
            self.send_header("WWW-Authenticate", 'Basic realm="cloakroom"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  http.server's names
        """Nothing: scrapes and probes are no events."""
