"""What neighbours in a series have in common is de-identified once: of the next one only what differs is.

What a plan does to an element depends on the element's bytes, on the subject, and on those other attributes that its
function looks at. What was looked at is noted while a piece is made, so a piece is used again only where all of that is
the same. The residual guard holds everything that leaves against everything that was sent, as always.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scp.alike import Alike, Layout
from scp.dataset import DataSet
from scp.deidentify import encoding
from scp.deidentify.functions.original import Original
from scp.deidentify.guard import Guard
from scp.deidentify.needles import MAKE
from scp.deidentify.policy import SHOWING, PixelPolicy
from scp.deidentify.proved import Proved
from scp.deidentify.sent import values
from scp.deidentify.sought import Sought
from scp.deidentify.splice import Parts, Splice, Tables
from scp.deidentify.step import Action, Step
from scp.instance import Instance, Part, Subject
from scp.outcome import Failure
from scp.table import Element

_CHARACTER_SET = 0x00080005
_OVERLAYS = range(0x60000000, 0x61000000)
_LAST = 1 << 32
_STRUCTURED = frozenset({"SQ", "UN"})


@dataclass(frozen=True, slots=True)
class Work:
    """What a plan brings to it; no plan that searches for values or cleans item by item does."""

    tables: Tables
    decisions: Mapping[int, Step]
    policy: PixelPolicy
    guard: Guard
    protocols: Mapping[str, str]


class Piece(NamedTuple):
    """What stands for one attribute: `always` the same bytes, or made by `step`; the element as it came without one."""

    always: bytes
    tag: int = 0
    step: Step | None = None
    added: bool = False


class Met(NamedTuple):
    """What has to be the same of two instances; `tail` are tags and VRs of the elements behind the layout's."""

    layout: Layout
    subject: Subject
    transfer_syntax: str
    tail: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Common:
    """What a plan makes of all instances that are the same in this."""

    work: Work
    met: Met
    pieces: tuple[Piece, ...]
    looks: bool
    """Whether the pixel policy looks at what changes."""
    proved: Proved | None
    """What the guard looks for because of what does not change; None where it has to look through all of it."""
    uids: Mapping[str, str]
    """What UIDs have become."""


class Known:
    """One instance as others before it."""

    def __init__(self, common: Common, dataset: Alike) -> None:
        self._common = common
        self._dataset = dataset
        self._regions: list[tuple[int, int]] = []

    def original(self) -> Original:
        """What functions may look at."""
        common = self._common
        return Original(self._dataset, common.met.subject, common.work.protocols, dict(common.uids))

    def check(self) -> None:
        """What the ordinary way checks first. Raises what `encoding.check` and the pixel policy raise."""
        common, dataset = self._common, self._dataset
        encoding.check_pixels(dataset, common.met.transfer_syntax)
        encoding.check_texts(dataset, dataset.met.anew.elements, common.work.decisions)
        if common.looks:
            common.work.policy.look(dataset)

    def parts(self, original: Original) -> Parts:
        """The new data set, as `Splice.parts` makes it."""
        dataset, tables, changing = self._dataset, self._common.work.tables, self._common.met.layout.changing
        splice = Splice(tables, original)
        data, find, anew = dataset.data, dataset.find, dataset.met.anew
        out: list[Part] = []
        size, regions = 0, self._regions
        for always, tag, step, added in self._common.pieces:
            if always:
                out.append(always)
                size += len(always)
                continue
            made: list[Part] = []
            if added and step:
                made = splice.added(tag, step)
            elif element := find(tag):
                if step is None:
                    made = [data[element.start : element.stop]]
                else:
                    made = splice.written(element, step, (), anew if tag in changing else dataset)
            out += made
            begin, size = size, size + sum(map(len, made))
            regions.append((begin, size))
        if not (tail := dataset.met.tail):
            return Parts(out, [], [])
        rest = DataSet(data, explicit=True, elements=tail, nested=anew.nested)
        front, pixels, behind = Splice(tables, original, rest).parts(range(tail[0].tag, _LAST))
        regions.append((size, size + sum(map(len, front))))
        return Parts(out + front, pixels, behind)

    def hold(self, output: bytes, start: int, original: Original) -> None:
        """As `Guard.check`, and it raises the same."""
        guard, proved = self._common.work.guard, self._common.proved
        if proved is None:
            guard.check(output, start, original)
        elif output:
            changing = guard.sought(original, values(self._dataset.met.anew, guard.kinds))
            if not start or not proved.is_free(guard, output, start, self._regions, changing):
                guard.hold(output, start, (proved.sought, changing))


class Series(threading.local):
    """What a thread's last instances had in common; one that comes alone costs nothing."""

    def __init__(self) -> None:
        self._common: Common | None = None
        self._met: Met | None = None
        self._hopeless: Layout | None = None

    def of(self, work: Work | None, instance: Instance, subject: Subject) -> Known | None:
        """The instance, if others were like it; None where it has to go the ordinary way."""
        dataset = instance.dataset
        if work is None or not isinstance(dataset, Alike) or (layout := dataset.met.layout) is self._hopeless:
            return None
        tail = tuple((one[0], one[1]) for one in dataset.met.tail)
        met = Met(layout, subject, instance.arrival.transfer_syntax, tail)
        common = self._common
        if common is not None and common.met == met:
            return Known(common, dataset)
        if self._met != met:
            self._met = met
            return None
        try:  # the second one: more are to come
            common = _Making(work, dataset, met).common()
        except Failure:
            common = None  # and the ordinary way says why
        self._common, self._hopeless = common, None if common else layout
        return Known(common, dataset) if common else None


class _Watched(DataSet):
    """A data set that notes what it is asked for."""

    __slots__ = ("_of", "asked")

    def __init__(self, dataset: DataSet) -> None:
        for name, value in (("data", dataset.data), ("explicit", True), ("_of", dataset), ("asked", set())):
            object.__setattr__(self, name, value)

    _of: DataSet
    asked: set[int]

    def find(self, tag: int) -> Element | None:
        self.asked.add(tag)
        return self._of.find(tag)


class _Making:
    """The work of finding out what instances have in common."""

    def __init__(self, work: Work, dataset: Alike, met: Met) -> None:
        self._work, self._dataset, self._met = work, dataset, met
        self._open = met.layout.changing | {tag for tag, _ in met.tail}
        self._watched = _Watched(dataset)

    def common(self) -> Common | None:
        """None where that is not to be had. Raises Failure where the instance cannot leave."""
        work, dataset, watched = self._work, self._dataset, self._watched
        encoding.check(dataset, self._met.transfer_syntax, work.decisions)
        if work.policy.look(watched) or any(map(self._decides, self._open)):
            return None
        looks = bool((watched.asked - SHOWING) & self._open) or self._asks_for_pixels()
        if looks and work.policy.blanks:
            return None  # the next one's pixels may have to be blanked
        original = Original(watched, self._met.subject, work.protocols)
        pieces = tuple(_merged(self._pieces(original)))
        sought = self._sought()
        proved = Proved((piece.always for piece in pieces if piece.always), sought) if sought else None
        return Common(work, self._met, pieces, looks, proved, original.uids)

    def _decides(self, tag: int) -> bool:
        """Whether what stands there decides what becomes of others, beyond what functions ask for."""
        if tag == _CHARACTER_SET or tag in _OVERLAYS:
            return True
        return tag in self._met.layout.changing and self._work.tables.private.is_creator(tag)

    def _asks_for_pixels(self) -> bool:
        terms = (term for one in self._work.policy.rulings for line in one.label.criteria for term in line.terms)
        return any(term.tag in SHOWING for term in terms)

    def _sought(self) -> Sought | None:
        """Nothing where the make changes: stations are called by it."""
        if not self._open.isdisjoint(MAKE):
            return None
        kinds, dataset = self._work.guard.kinds, self._dataset
        always = tuple(one for one in dataset.elements if one.tag not in self._open)
        nested = {start: held for start, held in dataset.nested.items() if start not in dataset.met.anew.nested}
        sent = values(DataSet(dataset.data, explicit=True, elements=always, nested=nested), kinds)
        return self._work.guard.sought(Original(dataset, self._met.subject), sent)

    def _pieces(self, original: Original) -> Iterator[Piece]:
        """One for each attribute in front of the tail that leaves, in order."""
        tables, dataset = self._work.tables, self._dataset
        last = self._met.tail[0][0] if self._met.tail else _LAST
        elements = dataset.elements[: bisect_left(dataset.elements, (last,))]
        private = tables.private.steps(elements, dataset.data)
        sent = {one.tag: one for one in elements}
        for tag in sorted(sent.keys() | {tag for tag in tables.added if tag < last}):
            step, added = tables.public.get(tag) or private.get(tag), tag in tables.added
            asked = self._watched.asked
            asked.clear()
            splice = Splice(tables, original, dataset)  # a new one: what it has made before it does not ask for again
            if added:
                step = tables.added[tag]
                asked.add(tag)
                made = splice.added(tag, step)
            elif step is None:
                continue
            elif sent[tag].vr in step.untouched:
                made, step = [dataset.data[sent[tag].start : sent[tag].stop]], None
                asked.add(tag)
            else:
                made = splice.written(sent[tag], step, (), dataset)  # what it asks of its level is noted, too
                if step.action is not Action.BLANK:
                    asked.add(tag)
            changes = not asked.isdisjoint(self._open)
            yield Piece(b"", tag, step, added) if changes else Piece(b"".join(made))


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Neighbours that are always the same as one."""
    always = b""
    for piece in pieces:
        if piece.always or not piece.tag:
            always += piece.always
            continue
        if always:
            yield Piece(always)
        always = b""
        yield piece
    if always:
        yield Piece(always)
