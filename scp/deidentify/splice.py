"""Executes a plan on one data set: what is kept is cut out of the bytes as sent, what is new is put between.

One pass over the table of elements at each level. Runs of neighbouring kept elements are one slice; pixel data is
part of such a slice, so it is neither decoded nor copied.
"""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scp import dictionary
from scp.dataset import UNDEFINED, DataSet
from scp.deidentify.functions.original import Original, Rewrite
from scp.deidentify.repeated import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    Cut,
    Filled,
    New,
    PrivateSteps,
    Program,
    Writer,
    Written,
    header,
)
from scp.deidentify.step import Action, Step
from scp.deidentify.unknown import read_unknown
from scp.instance import Part
from scp.outcome import Failure, Outcome
from scp.table import Element, Item, Shape, find

_PIXEL_REPRESENTATION = 0x00280103
_PIXELS: Mapping[int, str] = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OW"}
_FIRST_PIXELS, _LAST_PIXELS = min(_PIXELS), max(_PIXELS)
_ZERO_PADDED = frozenset({"UI", "OB", "UN"})
_REMEMBERED = 4
_LONG = 256
"""Bytes of a private value from which on it is cheaper to remember than to take apart again."""


class Rewritten(threading.local):
    """What a thread has last made of private values that are taken apart: an instance's neighbours have the same."""

    def __init__(self) -> None:
        self.values: dict[tuple[Rewrite, bytes], bytes] = {}

    def by(self, rewrite: Rewrite, sent: bytes) -> bytes:
        """What is written in place of `sent`."""
        if len(sent) < _LONG:
            return rewrite(sent)
        key = rewrite, sent
        value = self.values.get(key)
        if value is None:
            value = rewrite(sent)
            if len(self.values) >= _REMEMBERED:
                self.values.clear()
            self.values[key] = value
        return value


@dataclass(frozen=True, slots=True)
class Tables:
    """A plan's decisions in the form they are executed in: only what stays is in `public`."""

    public: Mapping[int, Step]
    private: PrivateSteps
    added: Mapping[int, Step]
    excluded: frozenset[str]
    rewritten: Rewritten = field(default_factory=Rewritten, repr=False, compare=False)
    mark: object = field(default_factory=object, init=False, repr=False, compare=False)
    """These and no others, also where they were made from others: what layouts of items remember programs by."""


class Parts(NamedTuple):
    """A new data set in order: what stands in front of the pixel data, the pixel data elements, what stands behind."""

    front: list[Part]
    pixels: list[Part]
    behind: list[Part]


class Splice:
    """The work on one instance: on all of it, or on the part in front of or behind its pixel data."""

    __slots__ = ("_data", "_dataset", "_made", "_tables", "_writer", "original")

    def __init__(self, tables: Tables, original: Original, dataset: DataSet | None = None) -> None:
        self._tables = tables
        self.original = original
        self._dataset = dataset or original.dataset
        self._data = self._dataset.data
        self._made: dict[tuple[int, bytes], bytes] = {}
        self._writer = Writer(tables.public, tables.private, self._data)

    def behind(self, dataset: DataSet) -> "Splice":
        """The same work on what stands behind the pixel data."""
        return Splice(self._tables, self.original, dataset)

    def parts(self, tags: range = range(1 << 32)) -> Parts:
        """The new data set, explicit VR little endian; `tags` are those it may add.

        Raises Failure NOT_DEIDENTIFIED where a rule cannot hold.
        """
        elements = self._dataset.elements
        for tag, vr in _PIXELS.items():
            if vr in self._tables.excluded and self._dataset.find(tag):
                raise _no_pixels()
        first, last = bisect_left(elements, (_FIRST_PIXELS,)), bisect_left(elements, (_LAST_PIXELS + 1,))
        return Parts(
            self._run(elements[:first], range(tags.start, min(tags.stop, _FIRST_PIXELS))),
            self._level(elements[first:last], self._dataset),
            self._run(elements[last:], range(max(tags.start, _LAST_PIXELS + 1), tags.stop)),
        )

    def _run(self, elements: tuple[Element, ...], tags: range) -> list[Part]:
        """What stays of top-level elements, with what is added between them."""
        out: list[Part] = []
        begin = 0
        for tag, step in self._tables.added.items():
            if tag not in tags:
                continue
            at = bisect_left(elements, (tag,))
            if at > begin:
                out += self._level(elements[begin:at], self._dataset)
            out += self.added(tag, step)
            begin = at + (at < len(elements) and elements[at].tag == tag)
        return out + self._level(elements[begin:], self._dataset)

    def _level(self, elements: tuple[Element, ...], within: DataSet) -> list[Part]:
        """What stays of the elements of one level of nesting, in order."""
        out: list[Part] = []
        data, explicit, public = self._data, within.explicit, self._tables.public
        private = self._tables.private.steps(elements, data)
        start = stop = 0
        for element in elements:
            tag, vr, at, _, _, end = element
            step = public.get(tag)
            if step is None and (not private or (step := private.get(tag)) is None):
                continue
            if explicit and vr in step.untouched:
                if at != stop:
                    if stop:
                        out.append(data[start:stop])
                    start = at
                stop = end
                continue
            if stop:
                out.append(data[start:stop])
                start = stop = 0
            out += self.written(element, step, elements, within)
        if stop:
            out.append(data[start:stop])
        return out

    def added(self, tag: int, step: Step) -> list[Part]:
        """A top-level element that is written whether it was sent or not; nothing where there is no value for it."""
        value = self._text(step, self._dataset.value(tag))
        return [header(tag, step.vrs[0], len(value)), value] if value else []

    def written(self, element: Element, step: Step, level: tuple[Element, ...], within: DataSet) -> list[Part]:
        """What is put in place of an element that cannot be copied as it is."""
        if step.action is Action.RECURSE:
            return self._sequence(element, within)
        if step.action is Action.KEEP:
            return self._kept(element, step, level, within)
        value = b""
        if step.action is Action.REPLACE:
            value = self._text(step, bytes(self._data[element.value : element.end]))
        return [header(element.tag, step.vrs[0], len(value)), value]

    def _again(self, step: Step, sent: bytes) -> bytes:
        """As `_text`, which of one instance makes the same of the same: frames say many things twice."""
        key = id(step), sent  # the tables keep the step as long as this work takes
        value = self._made.get(key)
        if value is None:
            value = self._made[key] = self._text(step, sent)
        return value

    def _text(self, step: Step, sent: bytes) -> bytes:
        value = b""
        if step.function:
            value = step.function(self.original.decode(sent), self.original).encode("ascii")
        elif step.rewrite:
            value = self._tables.rewritten.by(step.rewrite, sent)
        if len(value) & 1:
            value += b"\0" if step.vrs[0] in _ZERO_PADDED else b" "
        return value

    def _kept(self, element: Element, step: Step, level: tuple[Element, ...], within: DataSet) -> list[Part]:
        """The value as sent under a new header: it was sent without VR, as UN, or with one that cannot stay."""
        tag, sent = element.tag, element.vr
        vr = self._resolved(step.vrs, level)
        if within.explicit and sent != "UN":
            if sent not in self._tables.excluded:
                return _contradicting(tag)
            vr = sent
        if vr in self._tables.excluded:
            if tag in _PIXELS:
                raise _no_pixels()
            return []
        if element.end != element.stop:
            return _contradicting(tag)
        return [header(tag, vr, element.end - element.value), self._data[element.value : element.end]]

    def _resolved(self, vrs: tuple[str, ...], level: tuple[Element, ...]) -> str:
        """The one VR of an attribute where the dictionary leaves a choice (PS3.5 A.1, PS3.3 C.7.6.3 and C.11.1)."""
        if len(vrs) == 1:
            return vrs[0]
        if "OW" in vrs:
            return "OW"  # native pixel data, overlays, waveforms and the data of look-up tables
        signed = find(level, _PIXEL_REPRESENTATION)
        sent = self._data[signed.value : signed.end] if signed else self.original.dataset.value(_PIXEL_REPRESENTATION)
        return "SS" if bytes(sent) == b"\1\0" else "US"

    def _sequence(self, element: Element, within: DataSet) -> list[Part]:
        """A sequence with what stays of its items; lengths stay defined or undefined as they were sent."""
        if element.end == element.stop and element.vr == "UN":
            found = _unknown(within, element)
            if found is None:
                return []
            within = found
        elif element.vr not in {"SQ", "UN"}:
            return _contradicting(element.tag)
        nested = within.nested[element.start]
        inside = DataSet(within.data, nested.explicit, (), within.nested)
        body = b"".join(part for item in nested.items for part in self._item(item, inside))
        if element.end != element.stop:
            return [header(element.tag, "SQ", UNDEFINED), body, SEQUENCE_END]
        return [header(element.tag, "SQ", len(body)), body]

    def _item(self, item: Item, inside: DataSet) -> list[Part]:
        if (shape := item.shape) is not None:
            written = self._known(shape, item.start)
            if written and written.fits(self._data, item.start):
                return self._repeated(written.program, item.start)
        parts = self._level(item.elements, inside)
        if item.undefined:
            return [ITEM.pack(0xFFFE, 0xE000, UNDEFINED), *parts, ITEM_END]
        return [ITEM.pack(0xFFFE, 0xE000, sum(map(len, parts))), *parts]

    def _known(self, shape: Shape, at: int) -> Written | None:
        """What becomes of items of this layout, of which one is at `at`."""
        mark = self._tables.mark
        if mark not in shape.written:
            if len(shape.written) >= _REMEMBERED:
                shape.written.clear()
            shape.written[mark] = self._writer.written(shape, at)
        known = shape.written[mark]
        return known if isinstance(known, Written) else None

    def _repeated(self, program: Program, at: int) -> list[Part]:
        """One more of items that are laid out alike; it starts at `at`."""
        out: list[Part] = []
        data = self._data
        for part in program:
            if isinstance(part, Cut):
                out.append(data[at + part.start : at + part.stop])
            elif isinstance(part, New):
                out.append(part.value)
            elif isinstance(part, Filled):
                element, step = part
                value = self._again(step, bytes(data[at + element.value : at + element.end]))
                out += (header(element.tag, step.vrs[0], len(value)), value)
            else:
                inside = self._repeated(part.inside, at)
                size = sum(map(len, inside))
                out.append(header(part.tag, "SQ", size) if part.tag else ITEM.pack(0xFFFE, 0xE000, size))
                out += inside
        return out


def _unknown(within: DataSet, element: Element) -> DataSet | None:
    """The data set with the items of a sequence that was sent as UN; what is no sequence cannot be looked through.

    None for a private one, which is left out; Failure for a public one.
    """
    try:
        return read_unknown(within, element)
    except Failure:
        if element.tag >> 16 & 1:
            return None
        raise Failure(
            Outcome.NOT_DEIDENTIFIED, f"{dictionary.write(element.tag)} was sent as UN and is no sequence inside"
        ) from None


def _no_pixels() -> Failure:
    return Failure(Outcome.NOT_DEIDENTIFIED, "the pixel data has a VR that the recipe lets no element have")


def _contradicting(tag: int) -> list[Part]:
    """Nothing of a private attribute: makers change their VRs between versions. Raises Failure for a public one."""
    if tag >> 16 & 1:
        return []
    raise Failure(
        Outcome.NOT_DEIDENTIFIED, f"{dictionary.write(tag)} was sent with a VR that contradicts the dictionary"
    )
