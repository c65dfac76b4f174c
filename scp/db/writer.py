"""The index writer: the one process of a node that commits the workers' rows, many in one transaction."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from scp import log
from scp.db import channel
from scp.db.engine import Engine
from scp.db.writes import Row, Write, run
from scp.outcome import Failure, Outcome

BEAT_SECONDS: Final = 1.0
SLOW_SECONDS: Final = 60.0  # how long a commit may take before it is no sign of life any more

_logger = log.get("index")

Waiting = list[tuple[socket.socket, Write]]


class Writer:
    """Commits what waits at its connections together, and answers when it is durable.

    While one transaction is committed, the next one gathers. Beyond that nobody waits for anybody, unless the last
    transaction was for several: then the next one is given up to `seconds` to have as many, at most `most`.
    """

    def __init__(self, listener: socket.socket, engine: Engine, *, most: int, seconds: float) -> None:
        self._listener = listener
        self._engine = engine
        self._most = most
        self._seconds = seconds
        self._together = 1
        self._connections: dict[int, socket.socket] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)
        self._poll.register(self._wake_read, select.EPOLLIN)
        self._told = False
        self._since = 0.0  # when the commit that is under way began
        self._over = threading.Event()

    def leave(self) -> None:
        """Let `serve` return when what it has taken is answered; for signal handlers and other threads."""
        with suppress(BlockingIOError):
            os.write(self._wake_write, b"!")

    def serve(self, beat: Callable[[], None], committed: Callable[[int], None]) -> None:
        """Write until told to leave, or until the disk fails; `committed` hears how many rows each transaction had.

        `beat` is called at least each BEAT_SECONDS, from a second thread where a disk or whoever holds the lock lets a
        commit wait, for at most SLOW_SECONDS.
        """
        pulse = threading.Thread(target=self._pulse, args=(beat,), name="pulse", daemon=True)
        pulse.start()
        try:
            while not self._told:
                beat()
                waiting = self._gather()
                if waiting:
                    if not self._commit(waiting):
                        return
                    committed(len(waiting))
        finally:
            self._over.set()
            pulse.join()
            self._close()

    def _pulse(self, beat: Callable[[], None]) -> None:
        while not self._over.wait(BEAT_SECONDS):
            since = self._since
            if since and time.monotonic() - since < SLOW_SECONDS:
                beat()

    def _gather(self) -> Waiting:
        """What is written next; empty when nothing came for BEAT_SECONDS."""
        waiting: Waiting = []
        until = 0.0
        left: float = BEAT_SECONDS
        while len(waiting) < self._most and (events := self._poll.poll(left, self._most - len(waiting))):
            for descriptor, _ in events:
                self._take(descriptor, waiting)
            left = 0
            if 0 < len(waiting) < min(self._together, len(self._connections)):
                now = time.monotonic()
                until = until or now + self._seconds
                left = max(until - now, 0)
        self._together = len(waiting) or self._together
        return waiting

    def _take(self, descriptor: int, waiting: Waiting) -> None:
        if descriptor == self._wake_read:
            self._told = True
            self._poll.unregister(descriptor)
        elif descriptor == self._listener.fileno():
            self._accept()
        else:
            self._read(self._connections[descriptor], waiting)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:  # it has left again, or there is no descriptor for it: it asks again
            _logger.warning("accept_failed", reason=type(error).__name__)
            return
        sock.settimeout(0)
        self._connections[sock.fileno()] = sock
        self._poll.register(sock, select.EPOLLIN)

    def _read(self, sock: socket.socket, waiting: Waiting) -> None:
        try:
            packet = sock.recv(channel.LARGEST)
            if packet:
                waiting.append((sock, channel.asked(packet)))
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # the worker died
        except channel.MessageError:
            _logger.error("message_refused", bytes=len(packet))
        self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        self._poll.unregister(sock)
        del self._connections[sock.fileno()]
        sock.close()

    def _commit(self, waiting: Waiting) -> bool:
        """Write, then answer all; False when the disk is not to be trusted any more."""
        found: Sequence[Row | Failure]
        self._since = time.monotonic()
        try:
            found = run(self._engine, [write for _, write in waiting])
        except Failure as failure:
            _logger.error("commit_failed", outcome=failure.outcome.label, why=failure.why, count=len(waiting))
            found = [failure] * len(waiting)
        finally:
            self._since = 0.0
        for (sock, _), one in zip(waiting, found, strict=True):
            with suppress(OSError):  # gone in the meantime: who asks again is told again
                sock.send(channel.answer(one))
        return not any(isinstance(one, Failure) and one.outcome is Outcome.STORAGE_FAULT for one in found)

    def _close(self) -> None:
        for sock in list(self._connections.values()):
            self._drop(sock)
        self._poll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._engine.close()


def run_writer(writer: Writer, beat: Callable[[], None], committed: Callable[[int], None]) -> None:
    """Serve until SIGTERM; to be called in a process of its own, in its main thread."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: writer.leave())
    writer.serve(beat, committed)
