"""One TCP connection: exact counts, absolute deadlines, and every length checked before its body is read."""

import math
import select
import socket
import ssl
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING, Final

from scp.stop import LONGEST_POLL

if TYPE_CHECKING:
    from scp.config import Limits
    from scp.receive.drain import Drain

HEADER_BYTES: Final = 6
AHEAD_BYTES: Final = 4096  # taken with a header at most: a command, a release or the end of a data set, not its body
BYTES_PER_SECOND: Final = 64 * 1024  # the slowest sender that is waited for
GRACE_SECONDS: Final = 1.0  # how long a leaving worker waits for an association's next message
LINGER_SECONDS: Final = 1.0
LINGER_BYTES: Final = 1024 * 1024
SCRAP_BYTES: Final = 8 * 1024
_HEADER: Final = struct.Struct(">BxI")
_WANT_READ: Final = (BlockingIOError, ssl.SSLWantReadError)
_WANT_WRITE: Final = (BlockingIOError, ssl.SSLWantWriteError)
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux


class PDU(IntEnum):
    """The PDU types of PS3.8 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class Reason(IntEnum):
    """Why the service provider aborts (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class ProtocolError(Exception):
    """The peer broke the protocol; `reason` is what the A-ABORT says, the text holds nothing it sent.

    `limit` names the setting that was met, if it was one.
    """

    def __init__(self, reason: Reason, why: str, limit: str = "") -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why
        self.limit = limit


class Overdue(TimeoutError):  # noqa: N818  a deadline that has passed, as Finished is an end
    """A deadline has passed; `limit` names its setting, empty for the caller's own and for the worker's leaving."""

    def __init__(self, limit: str = "") -> None:
        super().__init__("a deadline has passed")
        self.limit = limit


class Wire:
    """A connected socket that is read PDU by PDU; it belongs to one thread.

    Reading raises Overdue at a deadline (or when the worker leaves), OSError when the peer is gone and ProtocolError
    for a PDU that may not come here; deadlines are of the monotonic clock.
    """

    def __init__(self, sock: socket.socket, limits: "Limits", drain: "Drain") -> None:
        sock.settimeout(0)  # every wait is ours, in poll(), with a deadline
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._session: ssl.SSLSocket | None = None
        self._limits = limits
        self._drain = drain
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(drain, select.POLLIN)
        self._ahead = memoryview(bytearray(AHEAD_BYTES))
        self._at = self._end = 0  # of what has come ahead and was not asked for yet
        self._body = memoryview(b"")

    def read_pdu(
        self, caps: Mapping[int, int], *, idle: float, until: float = inf, grace: float = inf
    ) -> tuple[int, memoryview]:
        """The next PDU's type and body; `caps` are the types that may come and the bytes each may have.

        `idle` is the deadline of its first byte, `until` that of the whole; `grace` are the seconds that a leaving
        worker waits for the first byte. The view is good until the next call.
        """
        if self._end - self._at < HEADER_BYTES:
            self._read_header(idle, until, grace)
        kind, length = _HEADER.unpack_from(self._ahead, self._at)
        check(kind, length, caps)
        start = self._at + HEADER_BYTES
        self._at = start + length
        if self._at <= self._end:
            return kind, self._ahead[start : self._at]
        return kind, self._read_body(length, start, until)

    def _read_header(self, idle: float, until: float, grace: float) -> None:
        """Ask the socket for a header, and take what comes with it: small PDUs come several at once."""
        ahead, got = self._ahead, self._end - self._at
        if got:  # a part of it came with the one before
            ahead[:got] = bytes(ahead[self._at : self._end])
        self._at, self._end = 0, got
        if not got:
            self._end = self._read_some(ahead, *_sooner(idle, "idle_seconds", until), grace)
        if self._end < HEADER_BYTES:
            due = _sooner(time.monotonic() + self._limits.header_seconds, "header_seconds", until)
            while self._end < HEADER_BYTES:
                self._end += self._read_some(ahead[self._end :], *due)

    def _read_body(self, length: int, start: int, until: float) -> memoryview:
        """The body of a PDU of which not all has come with its header."""
        if length > len(self._body):
            self._body = memoryview(bytearray(length))
        body, there = self._body[:length], self._end - start
        body[:there] = self._ahead[start : self._end]
        self._at = self._end = 0
        due = time.monotonic() + self._limits.body_seconds + length / BYTES_PER_SECOND
        self._read(body[there:], *_sooner(due, "body_seconds", until))
        return body

    def secure(self, context: ssl.SSLContext) -> None:
        """Make it a TLS session, as its server; raises Overdue, ssl.SSLError, or OSError when the peer is gone."""
        deadline = time.monotonic() + self._limits.tls_handshake_seconds
        session = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = self._session = session
        while True:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                self._await(deadline, "tls_handshake_seconds", GRACE_SECONDS)
            except ssl.SSLWantWriteError:
                self._await_room(deadline, "tls_handshake_seconds")
            else:
                self._acknowledge()
                return

    @property
    def session(self) -> ssl.SSLSocket | None:
        """The TLS session, for what its certificate says; None without one."""
        return self._session

    def send(self, data: bytes) -> None:
        """Write all of an answer; raises Overdue when the peer does not take it, OSError when it left."""
        deadline = time.monotonic() + self._limits.body_seconds
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except _WANT_WRITE:
                self._await_room(deadline, "body_seconds")

    def close(self) -> None:
        """End the connection so that what was sent still arrives: closing with bytes unread would reset it."""
        with suppress(OSError, ValueError):
            if self._session is not None:
                self._session.unwrap()  # close_notify; what the peer still says to it is not waited for
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)  # which ends a TLS session too: what follows is read as it comes
            self._discard()
        self._socket.close()

    def _discard(self) -> None:
        left = LINGER_BYTES
        scrap = self._body if len(self._body) >= SCRAP_BYTES else memoryview(bytearray(SCRAP_BYTES))
        deadline = time.monotonic() + LINGER_SECONDS
        while left > 0:
            left -= self._read_some(scrap, deadline)

    def _read(self, view: memoryview, deadline: float, limit: str) -> None:
        while view:
            view = view[self._read_some(view, deadline, limit) :]

    def _read_some(self, view: memoryview, deadline: float, limit: str = "", grace: float = inf) -> int:
        """Ask the socket first and wait only for what it has not: a TLS session keeps bytes that poll does not see."""
        while True:
            try:
                got = self._socket.recv_into(view)
            except _WANT_READ:
                self._await(deadline, limit, grace)
                continue
            if not got:
                raise ConnectionResetError("the peer closed the connection")
            return got

    def _acknowledge(self) -> None:
        """Acknowledge now what was read, for nothing more is there: a sender with Nagle's algorithm on may wait for it.

        The option disarms itself. While there is more to read nobody waits, and each acknowledgement costs both sides.
        """
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _await(self, deadline: float, limit: str, grace: float) -> None:
        """Sleep until something can be read; once the worker leaves, no longer than it stays or `grace` allows."""
        self._acknowledge()
        since = time.monotonic()
        while True:
            until = min(deadline, self._drain.deadline)
            if self._drain.is_on:
                until = min(until, max(since, self._drain.begun) + grace)
            left = until - time.monotonic()
            if left <= 0:
                raise Overdue(limit if until == deadline else "")
            ready = [fd for fd, _ in self._poll.poll(_milliseconds(left))]
            if self._socket.fileno() in ready:
                return
            if ready:
                self._poll.unregister(self._drain)

    def _await_room(self, deadline: float, limit: str) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(_milliseconds(left)):
            raise Overdue(limit)  # the peer does not read its answers


def check(kind: int, length: int, caps: Mapping[int, int]) -> None:
    """Refuse a PDU by its header alone (PS3.8 9.3.1); raises ProtocolError."""
    if kind not in caps:
        known = PDU.ASSOCIATE_RQ <= kind <= PDU.ABORT
        reason = Reason.UNEXPECTED_PDU if known else Reason.UNRECOGNIZED_PDU
        raise ProtocolError(reason, "a PDU of a type that may not come here")
    fixed = kind not in (PDU.ASSOCIATE_RQ, PDU.DATA)
    if length > caps[kind] or (fixed and length != caps[kind]):
        limit = "" if fixed else "max_pdu_bytes"
        raise ProtocolError(Reason.INVALID_PARAMETER, "a PDU longer or shorter than it may be", limit)


def _sooner(due: float, limit: str, until: float) -> tuple[float, str]:
    """The deadline that comes first, and the setting it is; the caller's own has no name here."""
    return (due, limit) if due < until else (until, "")


def _milliseconds(seconds: float) -> int | None:
    """For poll(2), whose time is a C int: 24 days at most, after which whoever waits looks again."""
    return None if seconds == inf else min(math.ceil(seconds * 1000), LONGEST_POLL)
