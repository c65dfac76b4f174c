"""A large instance on its way from the wire to its temporary file: only its header is ever in memory."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from scp.instance import DeidentifiedHead, DeidentifiedInstance, Instance, Part
from scp.outcome import Failure
from scp.pixels import behind, too_long
from scp.store.files import Temporary, answerable

_ROOM_STEP = 64 << 20  # bytes between two looks at the room that is left


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
    the elements behind it gather in memory. `original` gives it all back, for the quarantine.
    """

    def __init__(self, instance: Instance, head: DeidentifiedHead, file: Temporary) -> None:
        self._arrival = instance.arrival
        self._dataset = instance.dataset
        self._head = head
        self._file = file
        self._written = hashlib.sha256()
        self._behind = bytearray()
        self._pulled: tuple[int, int] | None = None  # where what is pulled begins: in the file, in _behind
        self._end = 0

    def receive(self, most: int, seen: Hash, look: Callable[[], None]) -> DeidentifiedInstance:
        """Write the file while it comes, to its last byte but not yet durably.

        `most` bytes may stand outside the pixel data; `seen` is updated with all that came; `look` is called every
        64 MiB and raises when there is no room. Raises Failure, and Broken when the association ends.
        """
        header, data = len(self._dataset.data), self._arrival.data
        self._write(*self._head.parts)
        seen.update(data)
        self._take(memoryview(data)[header:], most - header)
        self._pulled = self._file.size, len(self._behind)
        step = _ROOM_STEP
        for piece in self._arrival.rest or ():
            seen.update(piece)
            self._take(piece, most - header)
            if self._file.size > step:
                step += _ROOM_STEP
                look()
        return self._finish()

    def original(self) -> Iterator[Part]:
        """The data set as it came: from memory, back from the temporary, and what is still on the wire."""
        yield self._arrival.data
        if self._pulled:
            start, known = self._pulled
            yield from self._file.read(start, self._end)
            yield self._behind[known:]
        yield from self._arrival.rest or ()

    def _take(self, piece: memoryview, most: int) -> None:
        try:
            taken = self._head.pixels.take(piece)
        except Failure:
            self._behind += piece  # for the quarantine, whatever it is
            raise
        if taken:
            self._write(piece[:taken])
            self._end = self._file.size
        if taken < len(piece):
            self._behind += piece[taken:]
            if len(self._behind) > most:
                raise too_long()

    def _finish(self) -> DeidentifiedInstance:
        """Nothing more comes: what follows the pixel data is de-identified, and the instance is whole."""
        self._head.pixels.finish()
        followers = behind(self._behind, self._head.pixels, explicit=self._dataset.explicit)
        self._write(*self._head.behind(followers))
        return self._head.finish(self._written.digest(), self._file.size)

    def _write(self, *parts: Part) -> None:
        with answerable("the instance's file"):
            self._file.write(*parts)
        for part in parts:
            self._written.update(part)
