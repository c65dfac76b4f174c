"""The one parent process: it binds once, forks, starts again what dies, and drains the node when told to stop.

It has one thread, opens no database, and takes signals one by one (sigtimedwait) instead of being interrupted by them.
"""

import ctypes
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NoReturn

from scp import log
from scp.receive.board import Board, State

BACKLOG: Final = 512
STOP_SECONDS: Final = 5.0  # what a child gets beyond its drain, and a child without associations gets at all
QUICK_SECONDS: Final = 5.0  # a child that dies sooner is started again with a delay that doubles
FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 10.0
_LOOKS: Final = 8  # at who hangs, in the time that makes one hung
_STARTING_SECONDS: Final = 0.05
_SLEEP_SECONDS: Final = 3600.0
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)
_STOP: Final = frozenset((signal.SIGTERM, signal.SIGINT))
_TAKEN: Final = _STOP | {signal.SIGCHLD, signal.SIGHUP}
_SI_KERNEL: Final = 0x80  # who sends the signal: its terminal is gone
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

_logger = log.get("supervisor")


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the node: `run` is called in it and returns when SIGTERM has told it to stop.

    Those that listen hold the listeners and are stopped first; the others go last. One that is watched shows on the
    board that it lives, and is killed and started again when it has not done so for too long. One that renews gets
    SIGHUP when there is something new to be read, and lets it in by `scp.stop.renewing`.
    """

    name: str
    run: Callable[[], None]
    listens: bool = False
    watched: bool = False
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """How long a watched child may be silent, and what is to be done (a count) when one was killed for it."""

    seconds: float = inf
    hung: Callable[[], None] = lambda: None


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, not blocking, for all workers; raises OSError when the address is unknown or in use."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(0)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def supervise(  # noqa: PLR0913  who decides on each is its caller
    listeners: Sequence[socket.socket],
    children: Sequence[Child],
    board: Board,
    *,
    drain_timeout: float,
    watch: Watch | None = None,
    renew: Callable[[], bool] = lambda: False,
) -> int:
    """Run the children until SIGTERM or SIGINT, drain, and return the exit code 0; to be called in the main thread.

    On SIGHUP `renew` is called, and where it returns True the children that renew are told. A SIGHUP that comes from
    the kernel, because the terminal is gone, stops the node as before.

    A child's place in `children` is its slot on the board. `drain_timeout` is the seconds associations get; without a
    `watch` nobody is taken for hung.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    try:
        supervisor = _Supervisor(listeners, children, board, watch or Watch(), renew)
        supervisor.run()
        supervisor.drain(drain_timeout)
    finally:
        while signal.sigtimedwait(_TAKEN, 0):
            pass  # told once more while it went: let in now, that would end it as one that was killed
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


@dataclass(slots=True)
class _Life:
    """One slot's present process: pid 0 while there is none, and then the time at which to start one."""

    slot: int
    child: Child
    pid: int = 0
    born: float = 0.0
    due: float = 0.0
    delay: float = 0.0


class _Supervisor:
    def __init__(
        self,
        listeners: Sequence[socket.socket],
        children: Sequence[Child],
        board: Board,
        watch: Watch,
        renew: Callable[[], bool],
    ) -> None:
        self._listeners = listeners
        self._board = board
        self._watch = watch
        self._renew = renew
        self._looked = time.monotonic()
        self._excused = self._looked
        self._lives = [_Life(slot, child) for slot, child in enumerate(children)]

    def run(self) -> None:
        """Start and restart until a signal says stop."""
        while True:
            for life in self._lives:
                if not life.pid and life.due <= time.monotonic():
                    self._start(life)
            self._look_ready()
            told = signal.sigtimedwait(_TAKEN, self._pause())
            if told is not None and _says_stop(told):
                _logger.info("node_stopping", signal=signal.Signals(told.si_signo).name)
                return
            if told is not None and told.si_signo == signal.SIGHUP and self._renew():
                self._tell([life for life in self._lives if life.child.renews], signal.SIGHUP)
            self._kill_hung()
            for life, status in self._reap(self._lives):
                self._plan_restart(life, status)

    def drain(self, seconds: float) -> None:
        """Close the listener, let the workers finish, then stop the rest."""
        self._board.state = State.DRAINING
        for listener in self._listeners:
            listener.close()
        self._end([life for life in self._lives if life.child.listens], seconds + STOP_SECONDS)
        self._end(self._lives, STOP_SECONDS)
        _logger.info("node_stopped")

    def _start(self, life: _Life) -> None:
        life.born = time.monotonic()
        self._board.started(life.slot, 0)
        try:
            life.pid = _fork(life.child, self._listeners)
        except OSError as error:  # no process or no memory to be had just now: the others go on, and it is tried again
            _logger.error("child_not_started", name=life.child.name, reason=errno.errorcode.get(error.errno or 0, ""))
            self._put_off(life)
            return
        self._board.started(life.slot, life.pid)
        _logger.info("child_started", name=life.child.name, pid=life.pid)

    def _look_ready(self) -> None:
        if self._board.state is State.STARTING and all(
            status.heartbeat
            for life, status in zip(self._lives, self._board.children(), strict=True)
            if life.child.listens
        ):
            self._board.state = State.READY
            _logger.info("node_ready", children=len(self._lives))

    def _pause(self) -> float:
        due = min((life.due - time.monotonic() for life in self._lives if not life.pid), default=_SLEEP_SECONDS)
        if self._board.state is State.STARTING:
            due = min(due, _STARTING_SECONDS)
        return max(min(due, self._watch.seconds / _LOOKS), 0.0)

    def _kill_hung(self) -> None:
        """Kill the watched that are silent; where all of the node stood still, nobody is to blame for that time."""
        now = time.monotonic()
        if now - self._looked > self._watch.seconds / 2:
            self._excused = now
        self._looked = now
        for life, status in zip(self._lives, self._board.children(), strict=True):
            heard = max(status.heartbeat, life.born, self._excused)
            if life.pid and life.child.watched and now - heard > self._watch.seconds:
                _logger.error("child_hung", name=life.child.name, pid=life.pid, seconds=now - heard)
                os.kill(life.pid, signal.SIGKILL)
                self._watch.hung()
                life.born = now  # or it would be killed again before it is reaped

    def _plan_restart(self, life: _Life, status: int) -> None:
        self._put_off(life)
        self._board.restarted(life.slot)
        _logger.error("child_died", name=life.child.name, status=status, delay=life.delay)

    @staticmethod
    def _put_off(life: _Life) -> None:
        now = time.monotonic()
        quick = now - life.born < QUICK_SECONDS
        life.delay = min(max(life.delay * 2, FIRST_DELAY), LONGEST_DELAY) if quick else 0.0
        life.due = now + life.delay

    def _reap(self, lives: Iterable[_Life]) -> list[tuple[_Life, int]]:
        """Those that have ended, each with its exit code (negative: the signal that killed it)."""
        ended = []
        for life in lives:
            if life.pid:
                pid, status = os.waitpid(life.pid, os.WNOHANG)
                if pid:
                    life.pid = 0
                    self._board.started(life.slot, 0)
                    ended.append((life, os.waitstatus_to_exitcode(status)))
        return ended

    def _end(self, lives: Sequence[_Life], seconds: float) -> None:
        self._tell(lives, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        self._reap(lives)  # the signal that told of these may have been taken already
        while any(life.pid for life in lives):
            left = deadline - time.monotonic()
            if left <= 0:
                self._tell(lives, signal.SIGKILL)
                deadline = inf
                left = _SLEEP_SECONDS
            signal.sigtimedwait({signal.SIGCHLD}, min(left, _SLEEP_SECONDS))
            self._reap(lives)

    @staticmethod
    def _tell(lives: Iterable[_Life], number: signal.Signals) -> None:
        for life in lives:
            if life.pid:
                if number is signal.SIGKILL:
                    _logger.error("child_killed", name=life.child.name, pid=life.pid)
                os.kill(life.pid, number)


def _says_stop(told: signal.struct_siginfo) -> bool:
    return told.si_signo in _STOP or (told.si_signo == signal.SIGHUP and told.si_code == _SI_KERNEL)


def _fork(child: Child, listeners: Sequence[socket.socket]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        _live(child, listeners, parent)
    return pid


def _live(child: Child, listeners: Sequence[socket.socket], parent: int) -> NoReturn:
    """The forked child's whole life: nothing of the parent's is unwound in it, however it ends."""
    code = 1
    try:
        _become(child, parent)
        if not child.listens:
            for listener in listeners:
                listener.close()  # or the port would stay open while the node drains
        child.run()
        code = 0
    finally:
        try:
            error = sys.exception()
            if error is not None:
                _logger.error("child_failed", name=child.name, exc_info=error)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _become(child: Child, parent: int) -> None:
    """Die with the supervisor, leave a terminal's ^C to it, and take signals as a fresh process does.

    A SIGHUP that comes before one that renews can hear it waits until it can (`scp.stop.renewing`).
    """
    if _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died before the call
        raise SystemExit(1)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGHUP} if child.renews else ())
