"""The way between the workers and the index writer: a Unix socket in the state folder, one JSON message a packet."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scp.db.writes import WRITES, Row, Write
from scp.outcome import Failure, Outcome

LARGEST: Final = 65_536  # bytes of a message
BACKLOG: Final = 1024
_BYTES: Final = frozenset({"source_uid", "source_digest", "digest", "fingerprint"})


class MessageError(ValueError):
    """What came is no message of this channel."""


def listen(path: Path) -> socket.socket:
    """The writer's listening socket, not blocking; made before the forks, so that it outlives every writer.

    Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _short(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.settimeout(0)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path, seconds: float) -> socket.socket:
    """A connection to whoever accepts at the listener, now or later; `seconds` hold for each of its calls.

    Raises OSError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.settimeout(seconds)
        with _short(path) as address:
            sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def ask(write: Write) -> bytes:
    """A write as the writer reads it; raises Failure FAILED when no message may be so long."""
    packet = json.dumps([write.kind, _plain(write.row)]).encode()
    if len(packet) > LARGEST:
        raise Failure(Outcome.FAILED, "a row is too long for the index")
    return packet


def asked(packet: bytes) -> Write:
    """The write of a message; raises MessageError."""
    kind, row = _opened(packet)
    if kind not in WRITES:
        raise MessageError("no such kind of write")
    return Write(kind, row)


def answer(found: Row | Failure) -> bytes:
    """What became of a write, as the worker reads it."""
    if isinstance(found, Failure):
        return json.dumps(["failure", {"outcome": found.outcome.name, "why": found.why}]).encode()
    return json.dumps(["done", _plain(found)]).encode()


def answered(packet: bytes) -> Row | Failure:
    """What became of a write; raises MessageError."""
    kind, row = _opened(packet)
    if kind == "done":
        return row
    if kind != "failure" or row.get("outcome") not in Outcome.__members__:
        raise MessageError("no such kind of answer")
    return Failure(Outcome[str(row["outcome"])], str(row.get("why")))


def _opened(packet: bytes) -> tuple[str, Row]:
    try:
        kind, row = json.loads(packet)
        if isinstance(kind, str) and isinstance(row, dict):
            return kind, _typed(row)
    except (ValueError, TypeError) as error:
        raise MessageError("not a message") from error
    raise MessageError("not a message")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Its address by way of an open folder, because an address has at most 107 bytes (unix(7))."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _plain(row: Row) -> dict[str, str | int | float | None]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


def _typed(row: dict[str, str | int | float | None]) -> Row:
    return {
        name: bytes.fromhex(value) if name in _BYTES and isinstance(value, str) else value
        for name, value in row.items()
    }
