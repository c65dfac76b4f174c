"""P-DATA: fragments put together to command sets and data sets (PS3.8 9.3.5 and Annex E, PS3.7 6.3.1)."""

import struct
import time
from collections.abc import Collection, Iterator
from enum import IntFlag
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from scp.outcome import Failure, Outcome
from scp.receive import commands
from scp.receive.budget import Budget, Share
from scp.receive.wire import GRACE_SECONDS, PDU, Overdue, ProtocolError, Reason, Wire

if TYPE_CHECKING:
    from scp.config import Limits

_PDV_HEADER: Final = struct.Struct(">IBB")
_WHOLE: Final = struct.Struct(">BBIIBB")  # the headers of a PDU and of the one value in it
_FREE_FRAGMENTS: Final = 1000
_FREE_SECONDS: Final = 30.0  # of a message before its rate counts: latency and waiting are no slowness
_MIN_MEAN_FRAGMENT: Final = 64  # bytes, on average, once a message has more fragments than the free ones


class Control(IntFlag):
    """The two bits of a message control header (PS3.8 E.2); the others are not checked, as it says."""

    COMMAND = 1
    LAST = 2


_COMMAND: Final = int(Control.COMMAND)  # an operation on flags costs as much as a small read
_LAST: Final = int(Control.LAST)
_ALL: Final = _COMMAND | _LAST


class Fragment(NamedTuple):
    """One presentation data value; its data are good until the next one is asked for."""

    context_id: int
    control: int
    data: memoryview


class Finished(Exception):  # noqa: N818  an end, not an error
    """No message but the end: `kind` is A-RELEASE-RQ or A-ABORT."""

    def __init__(self, kind: int) -> None:
        super().__init__(PDU(kind).name)
        self.kind = PDU(kind)


class Messages:
    """What an established association says, message by message; raises what `Wire` raises, and Finished."""

    def __init__(self, wire: Wire, limits: "Limits", contexts: Collection[int], share: Share | None = None) -> None:
        self._wire = wire
        self._limits = limits
        self._share = share or Budget(limits).share()
        self._contexts = contexts
        self._caps: dict[int, int] = {PDU.DATA: limits.max_pdu_bytes, PDU.RELEASE_RQ: 4, PDU.ABORT: 4}
        self._rest = memoryview(b"")
        self._until = inf
        self._slowest = inf

    def command(self) -> tuple[int, commands.Command]:
        """The next message's presentation context id and command set."""
        self._until = inf
        first = self._fragment()
        self._until = time.monotonic() + self._limits.instance_seconds
        data = bytearray()
        for piece in self._pieces(first, _COMMAND, commands.MAX_BYTES):
            data += piece
        return first.context_id, commands.read(data)

    def pass_over(self, context_id: int) -> None:
        """Read the data set that follows a command on its context, and keep nothing of it."""
        for _ in self._data_set(context_id):
            pass

    def data_set(self, context_id: int) -> tuple[bytearray, Iterator[memoryview] | None]:
        """The data set that follows a command on its context; of a large one its beginning, and what pulls the rest.

        The beginning is a little more than `stream_bytes`. Each further piece is good until the next one is asked
        for, and all must be pulled before the next command. Raises Failure OUT_OF_RESOURCES, once the data set is read
        to its end, where there was no room to keep so much in memory.
        """
        pieces = self._data_set(context_id)
        data = bytearray()
        for piece in pieces:
            if not self._share.holds(len(data) + len(piece)):
                del data
                for _ in pieces:
                    pass
                raise Failure(Outcome.OUT_OF_RESOURCES, "as many bytes as may be are in flight already")
            data += piece
            if len(data) > self._limits.stream_bytes:
                return data, pieces
        return data, None

    def holds(self, size: int) -> bool:
        """Whether there is room for so many bytes of this data set in memory; waited for, and not asked for again."""
        return self._share.holds(size)

    def _data_set(self, context_id: int) -> Iterator[memoryview]:
        first = self._fragment()
        if first.context_id != context_id:
            raise ProtocolError(Reason.INVALID_PARAMETER, "a data set on another context than its command")
        return self._pieces(first, 0, self._limits.max_instance_bytes)

    def _pieces(self, fragment: Fragment, kind: int, most: int) -> Iterator[memoryview]:
        """The fragments of one message, to the last."""
        size, count, context_id = 0, 0, fragment.context_id
        start = time.monotonic() + _FREE_SECONDS
        while True:
            size, count = size + len(fragment.data), count + 1
            if fragment.control & _COMMAND != kind or fragment.context_id != context_id:
                raise ProtocolError(Reason.INVALID_PARAMETER, "a fragment of another message")
            if size > most:
                limit = "" if kind else "max_instance_bytes"
                raise ProtocolError(Reason.INVALID_PARAMETER, "a message larger than this node takes", limit)
            if count > _FREE_FRAGMENTS and size < count * _MIN_MEAN_FRAGMENT:
                raise ProtocolError(Reason.INVALID_PARAMETER, "a message in crumbs")
            self._slowest = start + size / self._limits.min_bytes_per_second
            yield fragment.data
            if fragment.control & _LAST:
                return
            fragment = self._fragment()

    def _fragment(self) -> Fragment:
        if not self._rest:
            self._rest = self._pdu()
        rest = self._rest
        if len(rest) < _PDV_HEADER.size:
            raise ProtocolError(Reason.INVALID_PARAMETER, "a presentation data value without its header")
        length, context_id, control = _PDV_HEADER.unpack_from(rest)
        end = 4 + length
        if end < _PDV_HEADER.size or end > len(rest):
            raise ProtocolError(
                Reason.INVALID_PARAMETER, "a presentation data value shorter than its header or longer than its PDU"
            )
        if context_id not in self._contexts:
            raise ProtocolError(Reason.INVALID_PARAMETER, "a presentation context that was not accepted")
        self._rest = rest[end:]
        return Fragment(context_id, control, rest[_PDV_HEADER.size : end])

    def _pdu(self) -> memoryview:
        within = self._until < inf
        idle = time.monotonic() + self._limits.idle_seconds
        grace = inf if within else GRACE_SECONDS
        until = min(self._until, self._slowest) if within else inf
        try:
            kind, body = self._wire.read_pdu(self._caps, idle=idle, until=until, grace=grace)
        except Overdue as late:
            if within and not late.limit:
                late.limit = "instance_seconds" if until == self._until else "min_bytes_per_second"
            raise
        if kind == PDU.ABORT or (kind == PDU.RELEASE_RQ and not within):
            raise Finished(kind)
        if kind != PDU.DATA:
            raise ProtocolError(Reason.UNEXPECTED_PDU, "a release within a message")
        return body


def encode(context_id: int, command_set: bytes, max_pdu_bytes: int) -> bytes:
    """A command set as the P-DATA-TF PDUs that a peer takes; `max_pdu_bytes` is what it advertised, 0 for no limit."""
    room = max_pdu_bytes - _PDV_HEADER.size if max_pdu_bytes else len(command_set)
    if len(command_set) <= room:
        return _WHOLE.pack(PDU.DATA, 0, 6 + len(command_set), 2 + len(command_set), context_id, _ALL) + command_set
    room = max(room & ~1, 1)  # an even number of bytes (PS3.8 E.1), but for a peer that has no room for two
    parts = []
    for start in range(0, len(command_set), room):
        part = command_set[start : start + room]
        last = _LAST if start + room >= len(command_set) else 0
        parts += [_WHOLE.pack(PDU.DATA, 0, 6 + len(part), 2 + len(part), context_id, _COMMAND | last), part]
    return b"".join(parts)
