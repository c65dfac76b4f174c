"""What each process of the node says of itself, in one page of memory that all of them share."""

import mmap
import struct
import time
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from scp.receive.register import Register

_STATE: Final = struct.Struct("q")
_SLOT: Final = struct.Struct("qqdqq")  # pid, restarts, heartbeat, open associations, unused
_NUMBER: Final = struct.Struct("q")
_SECONDS: Final = struct.Struct("d")
ASSOCIATIONS: Final = 1024
_PID, _RESTARTS, _HEARTBEAT, _ASSOCIATIONS = (offset * 8 for offset in range(4))


class State(IntEnum):
    """Whether the node takes associations; the web server tells it as /readyz."""

    STARTING = 0
    READY = 1
    DRAINING = 2


class Status(NamedTuple):
    """One child as the board shows it: pid 0 while there is none; heartbeat in monotonic seconds, 0 before any."""

    name: str
    pid: int
    restarts: int
    heartbeat: float
    associations: int


class Board:
    """Made before the forks and readable in every process.

    Each number has one writer, the supervisor or the child itself, and is aligned, so that no lock is needed;
    `register` has a lock of its own. `associations` is the most that the node will have open.
    """

    def __init__(self, names: Sequence[str], associations: int = ASSOCIATIONS) -> None:
        self._names = tuple(names)
        self.register = Register(len(self._names), associations)
        self._page = mmap.mmap(-1, _STATE.size + _SLOT.size * len(self._names))

    @property
    def state(self) -> State:
        """The node's state, which the supervisor sets."""
        return State(_STATE.unpack_from(self._page)[0])

    @state.setter
    def state(self, state: State) -> None:
        _STATE.pack_into(self._page, 0, state)

    def started(self, slot: int, pid: int) -> None:
        """The supervisor's entry: who lives in the slot now (0: nobody), not yet heard of."""
        at = self._at(slot)
        self.register.clear(slot)
        _SECONDS.pack_into(self._page, at + _HEARTBEAT, 0.0)
        _NUMBER.pack_into(self._page, at + _ASSOCIATIONS, 0)
        _NUMBER.pack_into(self._page, at + _PID, pid)

    def restarted(self, slot: int) -> None:
        """The supervisor's entry: the child had to be started once more."""
        at = self._at(slot) + _RESTARTS
        _NUMBER.pack_into(self._page, at, _NUMBER.unpack_from(self._page, at)[0] + 1)

    def beat(self, slot: int) -> None:
        """The child's entry: alive and serving now."""
        _SECONDS.pack_into(self._page, self._at(slot) + _HEARTBEAT, time.monotonic())

    def associations(self, slot: int, count: int) -> None:
        """The child's entry: how many associations it serves."""
        _NUMBER.pack_into(self._page, self._at(slot) + _ASSOCIATIONS, count)

    def children(self) -> tuple[Status, ...]:
        """Every child's entries."""
        return tuple(
            Status(name, *_SLOT.unpack_from(self._page, self._at(slot))[:4]) for slot, name in enumerate(self._names)
        )

    def _at(self, slot: int) -> int:
        if not 0 <= slot < len(self._names):
            raise IndexError("no such slot on the board")
        return _STATE.size + _SLOT.size * slot
