"""A large instance on its way from the wire to its temporary file: only its header is ever in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import cycle
from typing import Protocol

from scp.bounds import Bounds
from scp.instance import DeidentifiedHead, DeidentifiedInstance, Instance, Part
from scp.outcome import Failure
from scp.pixels import behind, too_long
from scp.store.direct import Growing
from scp.store.files import answerable

_ROOM_STEP = 64 << 20  # bytes between two looks at the room that is left
_PART = 1 << 20


class Hash(Protocol):
    """What hashlib and hmac make."""

    def update(self, data: Part, /) -> None:
        """Put bytes behind those before."""

    def digest(self) -> bytes:
        """Of all so far."""


class Passed(Iterator[Part]):
    """Pieces that are looked at while they pass by: their bytes are counted in `size`, and hashed."""

    def __init__(self, pieces: Iterable[Part], seen: Hash) -> None:
        self._pieces = iter(pieces)
        self._seen = seen
        self.size = 0

    def __next__(self) -> Part:
        piece = next(self._pieces)
        self.size += len(piece)
        self._seen.update(piece)
        return piece

    def digest(self) -> bytes:
        """Of all that passed."""
        return self._seen.digest()


class Arriving:
    """One instance whose pixels are still coming.

    Of what is pulled from the wire, pixel data goes into the temporary, which may hold nothing else of the original;
    the elements behind it gather in memory, within `bounds` with the header. `seen` is updated with all that came.
    `original` gives it all back, for the quarantine.
    """

    def __init__(self, instance: Instance, head: DeidentifiedHead, file: Growing, seen: Hash, bounds: Bounds) -> None:
        self._data = instance.arrival.data
        self._dataset = instance.dataset
        self._head = head
        self._file = file
        self._seen = seen
        self._most = bounds.header_bytes - len(instance.dataset.data)
        self._rest = instance.arrival.rest
        self._parts = _parts(self._rest or ())
        self._written = hashlib.sha256()
        self._behind = bytearray()
        self._pulled: tuple[int, int] | None = None  # where what is pulled begins: in the file, in _behind
        self._start = self._end = 0  # of the pixel data, in the file

    def receive(self, look: Callable[[], None]) -> DeidentifiedInstance:
        """Write the file while it comes, to its last byte but not yet durably.

        `look` is called every 64 MiB and raises when there is no room. Raises Failure, and Broken when the association
        ends. What comes next is pulled while what came before is hashed, and what came before that is written.
        """
        self._write(*self._head.parts)
        self._start = self._end = self._file.size
        self._seen.update(self._data)
        self._take(memoryview(self._data)[len(self._dataset.data) :])
        self._pulled = self._file.size, len(self._behind)
        with ThreadPoolExecutor(1, "arriving") as writer:
            self._pass(writer, look)
        self._head.pixels.finish()
        followers = behind(self._behind, self._head.pixels, explicit=self._dataset.explicit)
        self._write(*self._head.behind(followers))
        with answerable("the instance's file"):
            self._file.settle()
        return self._head.finish(self._written.digest(), self._file.size)

    def original(self) -> Iterator[Part]:
        """The data set as it came: from memory, back from the temporary, and what is still on the wire."""
        yield self._data
        if self._pulled:
            start, known = self._pulled
            yield from self._file.read(start, self._end)
            yield self._behind[known:]
        yield from self._parts

    def _pass(self, writer: Executor, look: Callable[[], None]) -> None:
        looked = 0
        before: Future[None] | None = None
        for part in self._parts:
            try:
                if before:
                    before.result()
                if self._file.size - looked > _ROOM_STEP:
                    looked = self._file.size
                    look()
            except Failure:
                self._behind += part  # nothing that was pulled is lost to the quarantine
                raise
            before = writer.submit(self._come, part)
        if before:
            before.result()

    def _come(self, part: memoryview) -> None:
        self._seen.update(part)
        self._take(part)

    def _take(self, part: memoryview) -> None:
        try:
            taken = self._head.pixels.take(part)
        except Failure:
            self._behind += part
            raise
        if taken:
            blank = self._head.blank
            self._write(blank(part[:taken], self._end - self._start) if blank else part[:taken])
            self._end = self._file.size
        if taken < len(part):
            self._behind += part[taken:]
            if len(self._behind) > self._most:
                raise too_long()
            if self._rest:
                self._rest.keep(len(self._data) + len(self._behind))

    def _write(self, *parts: Part) -> None:
        with answerable("the instance's file"):
            self._file.write(*parts)
        for part in parts:
            self._written.update(part)


def _parts(pieces: Iterable[memoryview]) -> Iterator[memoryview]:
    """The same bytes 1 MiB at a time; each part is good until the next but one is asked for."""
    buffers = cycle((bytearray(_PART), bytearray(_PART)))
    buffer, size = next(buffers), 0
    for piece in pieces:
        at = 0
        while at < len(piece):
            step = min(len(piece) - at, _PART - size)
            buffer[size : size + step] = piece[at : at + step]
            at, size = at + step, size + step
            if size == _PART:
                yield memoryview(buffer)
                buffer, size = next(buffers), 0
    if size:
        yield memoryview(buffer)[:size]
