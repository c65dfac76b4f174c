"""A file that grows past the page cache: its bytes go from buffers of our own to the disk while more of them gather."""

import errno
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fcntl import F_GETFL, F_SETFL, fcntl
from itertools import cycle

from scp.instance import Part
from scp.store.files import BEHIND, Temporary, answerable

_PIECE = 1 << 20
_BLOCK = 1 << 16  # a multiple of any disk's own, as O_DIRECT wants it of address, offset and length
_BUFFERS = 3  # one that is filled, one that is written, one that waits


class Growing(Temporary):
    """A temporary that one thread of its own writes, piece by piece; `size` are the bytes it was given.

    What failed to be written is raised by a later call, `settle` at the latest, and nothing is written behind it. Where
    the file system knows no O_DIRECT (open(2)), and for the last bytes, the page cache is used. Raises OSError.
    """

    def __init__(self, folder: int) -> None:
        own = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        buffers = [memoryview(mmap.mmap(-1, _PIECE, own)) for _ in range(_BUFFERS)]  # each begins with a page
        super().__init__(folder)
        self._buffers = cycle(buffers)
        self._buffer, self._filled = next(self._buffers), 0
        self._writer = ThreadPoolExecutor(1, "writing")
        self._writing: deque[Future[None]] = deque()
        self._written = self._failed = 0
        self._direct = False
        with suppress(OSError):  # EINVAL: the page cache then
            self._past_the_cache(on=True)

    def write(self, *parts: Part) -> None:
        """Put these behind what there is; waits while all buffers are full."""
        self._check()
        for part in parts:
            at, size = 0, len(part)
            view = memoryview(part)
            while at < size:
                step = min(size - at, _PIECE - self._filled)
                self._buffer[self._filled : self._filled + step] = view[at : at + step]
                at, self._filled = at + step, self._filled + step
                if self._filled == _PIECE:
                    self._hand_over()
            self.size += size

    def settle(self) -> None:
        """Return when all that was given is written; raises what failed of it."""
        while self._writing:
            self._writing.popleft().result()
        whole = self._filled - self._filled % _BLOCK
        self._put(self._buffer[:whole])
        self._past_the_cache(on=False)
        self._put(self._buffer[whole : self._filled])
        self._filled = 0

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """As a temporary's, of what was given until now."""
        self.settle()
        yield from super().read(start, end)

    def place(self, folder: int, name: str, digest: bytes, sync: Callable[[int], None] | None = None) -> bool:
        """As a temporary's: what is written past the page cache is no more durable than what lies in it."""
        self.settle()
        return super().place(folder, name, digest, sync)

    def close(self) -> None:
        """Let go of it, and of the thread, once the piece that is being written is; those that wait never are."""
        try:
            self._writer.shutdown(cancel_futures=True)
        finally:
            super().close()

    def _hand_over(self) -> None:
        """Go on in the next buffer, once what it held is written."""
        self._writing.append(self._writer.submit(self._put, self._buffer))
        if len(self._writing) == _BUFFERS:
            self._writing.popleft().result()
        self._buffer, self._filled = next(self._buffers), 0

    def _check(self) -> None:
        if self._failed:
            raise OSError(self._failed, os.strerror(self._failed))

    def _put(self, piece: memoryview) -> None:
        """Write all of it, unless something before it failed; where the thread has nothing to do, for others too."""
        self._check()
        try:
            while piece:
                written = self._put_some(piece)
                self._written += written
                piece = piece[written:]
            if self._direct:
                self._begun = self._written
            elif self._written - self._begun > BEHIND:
                self._begin_writing(self._written)
        except OSError as error:
            self._failed = error.errno or errno.EIO
            raise

    def _put_some(self, piece: memoryview) -> int:
        try:
            written = os.writev(self._descriptor, [piece])
        except OSError as error:
            if not self._direct or self._written or error.errno != errno.EINVAL:
                raise
            written = 0  # the flag was taken and the first write was not begun: so some file systems say no
        if written < len(piece):
            self._past_the_cache(on=False)  # what follows has no block's beginning
        return written

    def _past_the_cache(self, *, on: bool) -> None:
        if on == self._direct:
            return
        flags = fcntl(self._descriptor, F_GETFL) & ~os.O_DIRECT
        fcntl(self._descriptor, F_SETFL, flags | os.O_DIRECT * on)
        self._direct = on


@contextmanager
def growing(folder: int) -> Iterator[Growing]:
    """A file that grows in the open folder while it is written, as `files.temporary`; raises as that does."""
    with answerable("the instance's file"):
        file = Growing(folder)
    try:
        yield file
    finally:
        with answerable("the instance's file"):
            file.close()
