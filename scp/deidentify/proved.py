"""What the guard has found of one instance of a series, so that of the next ones only what changes is searched again.

A value that all of them were sent with does not stand in the bytes that all of them leave with: that was found once.
For the next one it is looked for in the bytes that differ, and this one's own values in all of them. That says only
that nothing is there; where anything is, the guard goes through all of it, and it alone decides.

No text goes over the border of two elements: an element begins with its group number, of which one byte is zero. Where
that is not so, or another element leaves than did before, nothing is proved. UTF-16 has zeros of its own: where there
was none of it, all but ten bytes of a text have to stand in what changes.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from scp.deidentify.guard import Guard
from scp.deidentify.needles import SEPARATORS
from scp.deidentify.sought import WIDE, Sought, has, is_wide
from scp.outcome import Failure

Regions = Sequence[tuple[int, int]]
"""Where what changes begins and ends, in the data set; what is between is the same in all instances."""
_GROUP = 2
_FEW = 100  # of which each is held against each; whoever sends more values shall not make that dear
_FIRST = b"\x08\x00"  # of a data set: no text goes on into it from what stands before


class Proved:
    """What is known of one series, for one thread."""

    def __init__(self, always: Iterable[bytes], sought: Sought) -> None:
        """`always` is what stands between the regions, in order; `sought` is what it was sent with."""
        self.sought = sought
        self._roots = _roots(sought)
        self._edges: Sequence[bytes] | None = None
        self._hopeless = not all(_is_border(piece[:_GROUP]) for piece in always) or _has_zeros(sought)

    def is_free(self, guard: Guard, output: bytes, start: int, regions: Regions, changing: Sought) -> bool:
        """Whether nothing that is looked for is in an explicit data set, which begins at `start`.

        False where that is not known. The first time it takes as long as the guard does.
        """
        if self._hopeless:
            return False
        edges = [output[start + begin : start + min(begin + _GROUP, end)] for begin, end in regions]
        edges.append(output[start : start + _GROUP])
        if self._edges is None:
            self._edges, self._hopeless = edges, not self._proves(guard, output, start, edges)
            return False
        if edges != self._edges:
            return False
        around = [output[start + begin - WIDE : start + end + WIDE] for begin, end in regions]
        bare = b"".join((output[:start], *around)).lower().translate(None, SEPARATORS)
        for root in self._roots:
            if root in bare:
                return False
        return not has(output, changing)

    def _proves(self, guard: Guard, output: bytes, start: int, edges: Sequence[bytes]) -> bool:
        """Whether none of what never changes is in any of it, whatever else the instance was sent with."""
        if edges[-1] != _FIRST or not all(map(_is_border, edges)) or is_wide(output.lower()):
            return False
        try:
            guard.hold(output, start, (self.sought,))
        except Failure:
            return False
        return True


def _roots(sought: Sought) -> Sequence[bytes]:
    """What has to be there for any of it to be there, where separators are left out: while they are few, none twice."""
    bare = {root.translate(None, SEPARATORS) for root in chain.from_iterable(sought)}
    if len(bare) > _FEW:
        return list(bare)
    return [one for one in bare if not any(other in one for other in bare if other != one)]


def _is_border(group: bytes) -> bool:
    """Whether text ends there; where nothing stands, what is before goes on into what is behind, as it always does."""
    return not group or 0 in group


def _has_zeros(sought: Sought) -> bool:
    """Whether there is something that could go over a border."""
    return any(b"\0" in one for one, _ in chain.from_iterable(chain(sought.written.values(), sought.loose.values())))
