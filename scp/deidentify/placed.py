"""Executes a plan on one data set where lines name single places inside of sequences.

What stands beside a place, and below one that is kept, goes the way of all other elements: each stretch of them is a
`Splice` of its own. A recipe without such lines never comes here.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from scp.dataset import UNDEFINED, DataSet
from scp.deidentify import blocks
from scp.deidentify.fields import EVERY
from scp.deidentify.functions.original import Original
from scp.deidentify.places import Place, Places, by_tag
from scp.deidentify.prune import Where
from scp.deidentify.repeated import CREATOR, ITEM, ITEM_END, SEQUENCE_END, PrivateSteps, header
from scp.deidentify.splice import Parts, Splice, Tables
from scp.deidentify.step import Action, Step
from scp.deidentify.unknown import read_unknown
from scp.instance import Part
from scp.outcome import Failure
from scp.pixels import PIXELS
from scp.table import Element, Item, Nested, find

_PIXEL_REPRESENTATION = 0x00280103
_FIRST_PIXELS = min(PIXELS)

Lines = Mapping[int, Sequence[Place]]
"""The lines that lead to a level, by the tag that each names there."""


class Placed:
    """The work on one instance as a `Splice` does it, with what lines say of single places."""

    __slots__ = ("_dataset", "_gone", "_lines", "_tables", "original")

    def __init__(
        self, lines: Places, tables: Tables, original: Original, dataset: DataSet, gone: AbstractSet[Where]
    ) -> None:
        """`gone` are items that are no longer in the data set: the others keep the numbers they were sent with."""
        self._lines = lines
        self._tables = tables
        self.original = original
        self._dataset = dataset
        self._gone = gone

    def behind(self, dataset: DataSet) -> "Placed":
        """The same work on what stands behind the pixel data."""
        return Placed(self._lines, self._tables, self.original, dataset, self._gone)

    def parts(self, tags: range = range(1 << 32)) -> Parts:
        """The new data set; as `Splice.parts`."""
        out = Parts([], [], [])
        elements, begin, low = self._dataset.elements, 0, tags.start
        named = by_tag(self._lines.lines, 0, elements, self._dataset.data)
        for here in _stretches(named):
            at = bisect_left(elements, (here.start,))
            stop = bisect_left(elements, (here.stop,), at)
            if at < stop and here.start not in self._tables.added:
                self._run(out, elements[begin:at], range(low, here.start))
                made = self._stretch(here, named, elements[at:stop], self._dataset, ())
                (out.front if here.start < _FIRST_PIXELS else out.behind).extend(made)
                begin, low = stop, here.stop
        self._run(out, elements[begin:], range(low, tags.stop))
        return out

    def _run(self, out: Parts, elements: tuple[Element, ...], tags: range) -> None:
        """Top-level elements that no line speaks of, with what is added between them."""
        made = Splice(self._tables, self.original, _some(self._dataset, elements)).parts(tags)
        for parts, more in zip(out, made, strict=True):
            parts.extend(more)

    def _level(self, lines: Sequence[Place], level: DataSet, way: Where) -> list[Part]:
        """One item in which something is decided by these lines."""
        out: list[Part] = []
        begin, elements = 0, level.elements
        named = by_tag(lines, len(way), elements, level.data)
        for here in _stretches(named):
            at = bisect_left(elements, (here.start,))
            stop = bisect_left(elements, (here.stop,), at)
            out += self._plain(elements[begin:at], level)
            out += self._stretch(here, named, elements[at:stop], level, way)
            begin = stop
        return out + self._plain(elements[begin:], level)

    def _stretch(
        self, here: range, named: Lines, elements: Sequence[Element], level: DataSet, way: Where
    ) -> list[Part]:
        """One attribute that lines name at this level or that holds what they name, or the private group it is in."""
        if lines := named.get(here.start):
            tag = here.start
            step = _ending(lines, way) or self._tables.public.get(tag)
            return self._decided(step, (tag, elements[0] if elements else None), lines, level, way)
        out: list[Part] = []
        steps = self._private(elements, named, level, way)
        for element in elements:
            tag = element.tag
            out += self._decided(steps.get(tag), (tag, element), named.get(tag, ()), level, way)
        return out

    def _private(self, elements: Sequence[Element], named: Lines, level: DataSet, way: Where) -> dict[int, Step]:
        """What stays of a private group: creators with the elements that need them (PS3.5 7.8.1)."""
        steps = self._tables.private.steps(tuple(elements), level.data)
        owners = blocks.owners(elements, level.data)
        of = {tag for tag, _ in owners.values()}
        decided = {one.tag: _ending(named.get(one.tag, ()), way) or steps.get(one.tag) for one in elements}
        stays = {
            tag: step for tag, step in decided.items() if step and step.action is not Action.REMOVE and tag not in of
        }
        needed = {blocks.block(tag) for tag in stays}
        return stays | {tag: CREATOR for at, (tag, _) in owners.items() if at in needed}

    def _decided(
        self, step: Step | None, sent: tuple[int, Element | None], lines: Sequence[Place], level: DataSet, way: Where
    ) -> list[Part]:
        """What a step makes of an attribute that these lines name here, or that holds what they name."""
        tag, element = sent
        if step is None or step.action is Action.REMOVE or (element is None and step.action is not Action.ADD):
            return []
        if element and step.action is Action.RECURSE and (held := _held(element, level)):
            deeper = [one for one in lines if len(one.where.tags) > len(way) + 1]
            return self._sequence(element, held, deeper, way)
        return self._stepped(tag, step, level)

    def _sequence(
        self, element: Element, held: tuple[Nested, DataSet], lines: Sequence[Place], way: Where
    ) -> list[Part]:
        """A sequence that stays, with what becomes of its items; lengths stay defined or undefined."""
        body: list[Part] = []
        number = -1
        for item in held[0].items:
            number += 1
            while (*way, (element.tag, number)) in self._gone:
                number += 1
            body += self._item(item, held[1], lines, (*way, (element.tag, number)))
        if element.end != element.stop:
            return [header(element.tag, "SQ", UNDEFINED), *body, SEQUENCE_END]
        return [header(element.tag, "SQ", sum(map(len, body))), *body]

    def _item(self, item: Item, within: DataSet, lines: Sequence[Place], way: Where) -> list[Part]:
        level = _some(within, item.elements)
        here = [one for one in lines if one.where.items[len(way) - 1] in {EVERY, way[-1][1]}]
        parts = self._level(here, level, way) if here else self._plain(item.elements, level)
        if item.undefined:
            return [ITEM.pack(0xFFFE, 0xE000, UNDEFINED), *parts, ITEM_END]
        return [ITEM.pack(0xFFFE, 0xE000, sum(map(len, parts))), *parts]

    def _plain(self, elements: tuple[Element, ...], level: DataSet) -> list[Part]:
        """Elements of an item that no line speaks of."""
        if not elements:
            return []
        front, pixels, behind = Splice(self._tables, self.original, _some(level, elements)).parts(range(0))
        return [*front, *pixels, *behind]

    def _stepped(self, tag: int, step: Step, level: DataSet) -> list[Part]:
        """One attribute by this step, whatever is decided on it elsewhere."""
        here = {tag: step}
        added = step.action is Action.ADD
        tables = replace(
            self._tables,
            public={} if added else here,
            private=PrivateSteps({}),
            added=here if added else {},
        )
        asked = tuple(filter(None, (find(level.elements, one) for one in sorted({tag, _PIXEL_REPRESENTATION}))))
        front, pixels, behind = Splice(tables, self.original, _some(level, asked)).parts(range(tag, tag + 1))
        return [*front, *pixels, *behind]


def _stretches(named: Iterable[int]) -> list[range]:
    """Of these tags the public ones each, and of the private ones their groups: creators stand beside what they own."""
    if len(one := tuple(named)) == 1 and not one[0] >> 16 & 1:
        return [range(one[0], one[0] + 1)]
    found = {range(tag >> 16 << 16, (tag >> 16) + 1 << 16) if tag >> 16 & 1 else range(tag, tag + 1) for tag in named}
    return sorted(found, key=lambda one: one.start)


def _ending(lines: Sequence[Place], way: Where) -> Step | None:
    """What the strongest of the lines that end at this level says."""
    return next((one.step for one in reversed(lines) if len(one.where.items) == len(way)), None)


def _some(level: DataSet, elements: tuple[Element, ...]) -> DataSet:
    return DataSet(level.data, level.explicit, elements, level.nested)


def _held(element: Element, level: DataSet) -> tuple[Nested, DataSet] | None:
    """What a sequence holds, also one that was sent as UN; None for what is none, which a splice refuses."""
    if element.vr == "UN" and element.end == element.stop:
        try:
            level = read_unknown(level, element)
        except Failure:
            return None
    elif element.vr not in {"SQ", "UN"}:
        return None
    nested = level.nested[element.start]
    return nested, DataSet(level.data, nested.explicit, (), level.nested)
