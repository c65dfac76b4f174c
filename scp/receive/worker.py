"""One worker process: it accepts from the listeners it shares with its siblings, one thread for each association."""

import errno
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from scp import log
from scp.receive.association import Association
from scp.receive.budget import Budget
from scp.receive.drain import Drain
from scp.receive.guests import Guests
from scp.receive.negotiation import quieten
from scp.receive.patience import Patience
from scp.receive.supervisor import BACKLOG
from scp.receive.threads import Threads
from scp.receive.wire import Wire
from scp.stop import renewing

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from scp.receive.board import Board
    from scp.receive.door import FrontDoor
    from scp.receive.watched import Watched

BEAT_SECONDS: Final = 1.0
YIELD_SECONDS: Final = 0.001  # that a newcomer is left to a sibling who has fewer; who hangs does not take it
REST_SECONDS: Final = 0.01  # after who was turned away: whoever floods is met in batches, everybody else waits so long
PATIENCE_SECONDS: Final = 3.0  # beyond the drain's deadline, for last answers and closing
TELL_SECONDS: Final = 1.0  # between two lines about refused connections from one address
# A thread that computes keeps the interpreter for so long before one that an answer came for may have it; of the usual
# 5 ms those who talk to the network and the disk get less than half of what they got alone.
SWITCH_SECONDS: Final = 0.0005
_TOLD: Final = 1024  # addresses remembered for that
_AT_ONCE: Final = struct.pack("ii", 1, 0)  # reset, which is one segment and leaves nothing behind
_MAPPED: Final = "::ffff:"  # an IPv4 address as an IPv6 listener sees it

_logger = log.get("receive")


class Entrance(NamedTuple):
    """A listening socket, and for TLS the context of its sessions."""

    listener: socket.socket
    contexts: "Watched[ssl.SSLContext] | None" = None


def run_worker(
    entrances: Sequence[Entrance],
    door: "FrontDoor",
    board: "Board",
    slot: int,
    renew: "Callable[[FrontDoor], FrontDoor]" = lambda door: door,
) -> None:
    """Serve associations until SIGTERM, or until a disk fails; returns when all have ended or their time is over.

    To be called in a process of its own, in its main thread; `board` and `slot` are where it shows that it lives. On
    SIGHUP associations that begin from then on go through the door that `renew` gives; the others end as they began.
    """
    worker = Worker(entrances, door, board, slot)
    signal.signal(signal.SIGTERM, lambda _number, _frame: worker.leave())
    renewing(lambda: worker.renew(renew))
    quieten()
    sys.setswitchinterval(SWITCH_SECONDS)
    worker.serve()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it has been told, and would write into a closed pipe
    worker.close()


class Worker:
    """Accepts, counts and remembers its associations; `leave` may be called from any thread and signal handler."""

    def __init__(self, entrances: Sequence[Entrance], door: "FrontDoor", board: "Board", slot: int) -> None:
        self._entrances = {entrance.listener.fileno(): entrance for entrance in entrances}
        self.door = door
        self._changing = threading.Lock()
        self._renewals: deque[Callable[[FrontDoor], FrontDoor]] = deque()
        self._board = board
        self._slot = slot
        self.drain = Drain()
        self.guests = Guests(door.limits, board.register, slot)
        board.register.open(slot)
        self.budget = Budget(door.limits)
        self.patience = Patience()
        self._threads = Threads()
        self._told: dict[tuple[str, str], float] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def leave(self) -> None:
        """Stop accepting, let every association end, and return from `serve`."""
        with suppress(BlockingIOError):  # full: it has been told often enough
            os.write(self._wake_write, b"!")

    def renew(self, renew: "Callable[[FrontDoor], FrontDoor]") -> None:
        """Change the door for who comes next, within BEAT_SECONDS.

        The accepting thread sees to it: it may be starting a thread when a signal handler asks, and then the handler
        could start none.
        """
        self._renewals.append(renew)

    def serve(self) -> None:
        """Accept until told to leave, then wait for the associations to end as `Drain` tells them."""
        self._accept_all()
        for entrance in self._entrances.values():
            entrance.listener.close()
        self.drain.begin(self.door.limits.drain_seconds)
        _logger.info("worker_leaving", slot=self._slot, associations=self.guests.associated)
        last = self.drain.deadline + PATIENCE_SECONDS
        while not self.guests.gone(last, BEAT_SECONDS) and time.monotonic() < last:
            self._beat()
        self._beat()

    def close(self) -> None:
        """Give back what waking took, unless an association that would not end still looks at it."""
        self._threads.close()
        if self.guests.gone(0, 0):
            self.drain.close()
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _accept_all(self) -> None:
        patient = select.poll()
        patient.register(self._wake_read, select.POLLIN)
        eager = select.poll()
        for fd in (self._wake_read, *self._entrances):
            eager.register(fd, select.POLLIN)
        poll, rest = eager, 0.0
        while True:
            self._beat()
            self._see_to_renewals()
            ready = [fd for fd, _ in poll.poll((rest or BEAT_SECONDS) * 1000)]
            if self._wake_read in ready:
                return
            if ready and self.guests.are_more():
                time.sleep(YIELD_SECONDS)
            rest = max((self._accept(self._entrances[fd]) for fd in ready), default=0.0)
            poll = patient if rest else eager

    def _see_to_renewals(self) -> None:
        try:
            while self._renewals:
                renewal = (self._renewals[0],)
                threading.Thread(target=self._change, args=renewal, name="renew", daemon=True).start()
                self._renewals.popleft()
        except RuntimeError:  # no thread to be had just now: it is tried again, and nobody's association ends for it
            _logger.error("renew_failed", slot=self._slot, reason="threads")

    def _change(self, renew: "Callable[[FrontDoor], FrontDoor]") -> None:
        """Beside the accepting thread, which is not to wait for it."""
        with self._changing:
            self.door = renew(self.door)

    def _accept(self, entrance: Entrance) -> float:
        """Take one connection in, behind those that are turned away; the seconds to rest before the next.

        A sibling is to have the next one, so one is enough; those that are turned away are nobody's, and each alone
        would wake a process.
        """
        for count in range(BACKLOG):
            try:
                sock, source = entrance.listener.accept()
            except (BlockingIOError, ConnectionError):  # a sibling was quicker, or the peer has left again
                return REST_SECONDS if count else 0.0
            except OSError as error:  # no descriptors, no memory, or an error of the network that accept() passes on
                _logger.error("accept_failed", slot=self._slot, reason=errno.errorcode.get(error.errno or 0, ""))
                return BEAT_SECONDS  # a listener that stays readable while nothing can be accepted would spin
            address = str(source[0]).removeprefix(_MAPPED)
            limit = self.guests.come(address)
            if not limit:
                return 0.0 if self._begin(_Visit(self, sock, address, entrance)) else BEAT_SECONDS
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            sock.close()
            self.door.metrics.limits.labels(limit).inc()
            self._tell_refused(address, limit)
        return REST_SECONDS

    def _tell_refused(self, address: str, limit: str) -> None:
        """One line a second for each address and limit; the metric counts them all."""
        now = time.monotonic()
        if now - self._told.get((address, limit), -TELL_SECONDS) < TELL_SECONDS:
            return
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told[address, limit] = now
        _logger.warning("connection_refused", address=address, limit=limit)

    def _begin(self, visit: "_Visit") -> bool:
        try:
            self._threads.run(visit.run)
        except RuntimeError:
            visit.close()
            _logger.error("accept_failed", slot=self._slot, reason="threads")
            return False
        return True

    def _beat(self) -> None:
        self._board.beat(self._slot)
        self._board.associations(self._slot, self.guests.associated)


class _Visit:
    """One accepted socket in its thread: the worker as its association sees it."""

    def __init__(self, worker: Worker, sock: socket.socket, address: str, entrance: Entrance) -> None:
        self._worker = worker
        self._socket = sock
        self._address = address
        self._entrance = entrance
        self._title: str | None = None
        self.budget, self.patience = worker.budget, worker.patience

    def run(self) -> None:
        door, worker = self._worker.door, self._worker
        try:
            contexts = self._entrance.contexts
            context = contexts.get() if contexts is not None else None
            wire = Wire(self._socket, door.limits, worker.drain)
            Association(wire, self._address, door, self, context).serve()
        finally:
            self.close()

    def close(self) -> None:
        self._socket.close()
        if self._title is not None:
            self._worker.door.metrics.associations_open.dec()
        self._worker.guests.go(self._address, self._title)

    def is_leaving(self) -> bool:
        return self._worker.drain.is_on

    def associate(self, title: str) -> str:
        limit = self._worker.guests.associate(self._address, title)
        if not limit:
            self._title = title
            self._worker.door.metrics.associations_open.inc()
        return limit

    def leave(self) -> None:
        self._worker.leave()
