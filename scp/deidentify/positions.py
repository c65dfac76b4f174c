"""References by position: a content item that says which other one of the tree it means (PS3.3 C.17.3.2.5).

Positions are counted, so that an item that goes would change what references mean. They are counted anew, so that what
is left means what it meant, and a reference to what is gone goes with it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from struct import iter_unpack, pack

from scp.dataset import DataSet
from scp.deidentify.prune import Cuts, Level, Where
from scp.outcome import Failure, Outcome

CONTENT_SEQUENCE, POSITION = 0x0040A730, 0x0040DB73
_UL = 4

Path = tuple[int, ...]
"""Ordinal positions below the root, from 1 on: a position without its first number, the root's, which is 1."""


def settled(dataset: DataSet, gone: Collection[Where], references: Mapping[Where, bytes]) -> dict[Where, Cuts]:
    """What becomes of the items that refer to others by `references`, where those in `gone` are taken out.

    Nothing where the tree stays as it is. Raises Failure NOT_DEIDENTIFIED where a reference leads nowhere, or does not
    stand in the tree that it counts, and so means nothing for sure.
    """
    removed = {path for where in gone if (path := _path(where)) is not None}
    if not removed:
        return {}
    tree = _Tree(dataset)
    left = {where: value for where, value in references.items() if _path(where) not in removed}
    targets = {where: tree.target(where, value) for where, value in left.items()}
    _follow(removed, {path: target for where, target in targets.items() if (path := _path(where)) is not None})
    count = _Count(removed)
    cuts = {}
    for where, target in targets.items():
        path = _path(where)
        if path in removed:
            cuts[where] = Cuts(whole=True)
        elif not _within(target, removed):
            value = pack(f"<{len(target) + 1}L", 1, *count.anew(target))
            cuts[where] = Cuts(replaced=((POSITION, value),))
    return cuts


class _Tree:
    """The content items as they were sent, each looked at once."""

    def __init__(self, dataset: DataSet) -> None:
        root = Level(dataset.data, dataset.elements, dataset.nested, dataset.explicit)
        self._children: dict[Path, list[Level]] = {(): root.items(CONTENT_SEQUENCE)}

    def target(self, where: Where, value: bytes) -> Path:
        """Whither a reference leads."""
        numbers = [number for (number,) in iter_unpack("<L", value)] if len(value) % _UL == 0 else []
        path = tuple(numbers[1:])
        if numbers[:1] != [1] or _path(where) is None or not self._holds(path):
            raise Failure(Outcome.NOT_DEIDENTIFIED, "a content item refers by position to what is not there")
        return path

    def _holds(self, path: Path) -> bool:
        for depth, number in enumerate(path):
            parent = path[:depth]
            if parent not in self._children:
                self._children[parent] = self._children[parent[:-1]][parent[-1] - 1].items(CONTENT_SEQUENCE)
            if not 1 <= number <= len(self._children[parent]):
                return False
        return True


class _Count:
    """Positions without those that are gone."""

    def __init__(self, removed: Collection[Path]) -> None:
        self._siblings = defaultdict[Path, list[int]](list)
        for *parent, number in sorted(removed):
            self._siblings[tuple(parent)].append(number)

    def anew(self, path: Path) -> Iterator[int]:
        """The same item's position."""
        for depth, number in enumerate(path):
            yield number - bisect_left(self._siblings.get(path[:depth], []), number)


def _follow(removed: set[Path], targets: Mapping[Path, Path]) -> None:
    """Add to what is gone what refers to it, and what refers to that."""
    referring = defaultdict[Path, list[Path]](list)
    for path, target in targets.items():
        for prefix in _prefixes(target):
            referring[prefix].append(path)
    left = list(removed)
    while left:
        for path in referring.get(left.pop(), ()):
            if not _within(path, removed):
                removed.add(path)
                left.append(path)


def _within(path: Path, removed: Collection[Path]) -> bool:
    return any(prefix in removed for prefix in _prefixes(path))


def _prefixes(path: Path) -> Iterator[Path]:
    return (path[:count] for count in range(1, len(path) + 1))


def _path(where: Where) -> Path | None:
    """None for an item that stands in no content tree of the data set's own."""
    if any(tag != CONTENT_SEQUENCE for tag, _ in where):
        return None
    return tuple(at + 1 for _, at in where)
