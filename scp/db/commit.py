"""Who commits what a process writes into the index: the process itself, the node's one index writer, or who is free."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from scp.db import channel
from scp.db.engine import Engine, Taken
from scp.db.writes import Row, Write, run
from scp.outcome import Failure, Outcome

PATIENCE_SECONDS: Final = 10.0  # for a writer that died to be back and to answer
CROWDED_SECONDS: Final = 0.1  # how long a worker that met another one at the lock lets the index writer write
_PAUSE_SECONDS: Final = 0.02


class Unanswered(Failure):
    """The write may or may not be committed, or may yet be: nothing is acknowledged, and its file has to stay."""


class Commit(Protocol):
    """Carries out one write; what it returns is committed. All members keep the same contract."""

    def __call__(self, write: Write) -> Row:
        """Raises Failure when the write was not done, and Unanswered when that is not known."""

    def close(self) -> None:
        """Give back what it holds beside the database."""


class OwnCommit:
    """For a process that writes alone or seldom: the steward, an operator's command, a test."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, write: Write) -> Row:
        """Commit in this process, behind whoever holds the write lock."""
        return _given(run(self._engine, [write])[0])

    def close(self) -> None:
        """The engine is closed by whoever made it."""


class WriterCommit:
    """For the workers: hands the write to the index writer, which commits it together with those of the others.

    Shared by all threads of a worker; each question has a connection to itself, and connections are used again.
    """

    def __init__(self, address: Path, patience: float = PATIENCE_SECONDS) -> None:
        self._address = address
        self._patience = patience
        self._idle: list[socket.socket] = []
        self._turn = threading.Lock()

    def __call__(self, write: Write) -> Row:
        """Ask until there is an answer, for every write knows itself again; give up when patience is at its end."""
        packet = channel.ask(write)
        deadline = time.monotonic() + self._patience
        sent = False
        while time.monotonic() < deadline:
            try:
                sock = self._connection(deadline)
            except OSError:
                time.sleep(_PAUSE_SECONDS)  # no listener, or too many wait at it
                continue
            try:
                sock.send(packet)
                sent = True
                found = sock.recv(channel.LARGEST)
            except OSError:
                found = b""
            if found:
                with self._turn:
                    self._idle.append(sock)
                return _given(channel.answered(found))
            sock.close()  # the writer died
        if sent:
            raise Unanswered(Outcome.OUT_OF_RESOURCES, "the index writer did not answer")
        raise Failure(Outcome.OUT_OF_RESOURCES, "the index writer is not there")

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._turn:
            while self._idle:
                self._idle.pop().close()

    def _connection(self, deadline: float) -> socket.socket:
        left = max(deadline - time.monotonic(), _PAUSE_SECONDS)
        with self._turn:
            sock = self._idle.pop() if self._idle else None
        if sock is None:
            return channel.connect(self._address, left)
        sock.settimeout(left)
        return sock


class FreeCommit:
    """For the workers: commits in this process while nobody else writes, and through the index writer when many do.

    There is one writer at a time, whoever it is, for both stand at the same lock. Who finds it taken does not wait
    there but hands its write over, as do the worker's others for a while: then the index writer has the lock to itself
    and commits for all of them together.
    """

    def __init__(self, engine: Engine, writer: Commit, told: Callable[[int], None] = lambda _rows: None) -> None:
        """`told` hears how many rows this process committed together, each time it did: one."""
        self._engine = engine
        self._writer = writer
        self._told = told
        self._crowded = 0.0

    def __call__(self, write: Write) -> Row:
        """Commit here if the lock is free, else there."""
        if time.monotonic() >= self._crowded:
            try:
                found = run(self._engine, [write], wait=False)[0]
            except Taken:
                self._crowded = time.monotonic() + CROWDED_SECONDS
            else:
                self._told(1)
                return _given(found)
        return self._writer(write)

    def close(self) -> None:
        """Close the connections to the index writer."""
        self._writer.close()


def _given(found: Row | Failure) -> Row:
    if isinstance(found, Failure):
        raise found
    return found
