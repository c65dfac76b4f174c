"""The residual guard: no value that identifies this very instance may be in the bytes that are about to leave.

It looks at the output, not at what the plan meant to do, so that it holds whatever the plan does: all that stands in
front of the pixel data and behind it. Pixel data itself is the pixel policy's.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress

from scp import dictionary
from scp.dataset import BOUNDS, HEADER, HEADER_SIZE, LONG_HEADER_SIZE, UNDEFINED, VRS, Reader, Span
from scp.deidentify import needles
from scp.deidentify.functions.original import Original
from scp.deidentify.needles import LONG, SEPARATORS, Kind, Needle, Recent
from scp.deidentify.sought import Sought, Text, arrange
from scp.deidentify.step import Action, Step
from scp.outcome import Failure, Outcome
from scp.table import Element, Shapes

_TEXTS = frozenset({"AE", "AS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
_CODES = "CS"
_DATES = frozenset({"DA", "DT"})
_DIGITS_AND_DOT = frozenset(b"0123456789.")
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")
_ALPHANUMERIC = _LETTERS | frozenset(b"0123456789")
_WITHIN_NUMBERS = b"\0 -/_"  # not what parts values, or makes fractions of them
_WITHIN_WORDS = bytes(one for one in SEPARATORS if chr(one).isprintable() or chr(one) in "\0\t\n\f\r")
_MANY = 1_024
"""So many different values to look for are no patient's any more; nearly all instances have less than a hundred."""
_MOST = 1 << 32
"""Bytes that are looked through for one after the other: some seconds."""
_IS_NONE = bytes(one not in SEPARATORS for one in range(0x100))


@dataclass(frozen=True, slots=True)
class Guard:
    """What a plan's output is held against; made once, shared by all threads.

    `kinds` are the attributes whose values may not come through; `constants` and `dates` those that the plan writes
    itself: a value of the recipe's own, or a date made coarser or moved.
    """

    kinds: Mapping[int, Kind]
    constants: frozenset[int]
    dates: frozenset[int]
    _recent: Recent = field(default_factory=Recent, init=False, repr=False, compare=False)

    def check(self, output: bytes, start: int, original: Original) -> None:
        """Raises Failure RESIDUAL, naming both attributes, where the original's own value is in an explicit data set.

        The data set begins at `start` of `output`; it is complete but for pixel data, which the guard does not see.
        """
        if output:
            self.hold(output, start, (arrange(needles.collect(self.kinds, original, self._recent)),))

    def sought(self, original: Original, sent: Iterable[tuple[int, bytes]]) -> Sought:
        """What `hold` has to look for where an original has these values, by tag, of the attributes in `kinds`."""
        return arrange(needles.spelled(self.kinds, original, sent))

    def hold(self, output: bytes, start: int, sought: Sequence[Sought]) -> None:
        """As `check`, against what was collected already. What is a date is none of the other things.

        Raises Failure NOT_DEIDENTIFIED where so much would have to be looked for that nobody else were served.
        """
        many = sum(len(roots) for each in sought for roots in each)
        if many > _MANY and many * len(output) > _MOST:
            raise Failure(Outcome.NOT_DEIDENTIFIED, "too many different values to be looked for in so much")
        text = Text(output)
        self._recent.shapes = self._recent.shapes.kept()
        table = _Table(output, start, self._recent.shapes)
        for each in sought:
            for spelling, needle in text.written(each):
                if needle.kind is Kind.DATE or not _is_date(spelling, sought):
                    self._verify(spelling, needle, text.lower, table, _places(spelling, text.lower))
            for spelling, needle in text.loose(each):
                if not _is_date(spelling, sought):
                    self._verify(spelling, needle, text.lower, table, table.loose(spelling, text))

    def _verify(
        self, spelling: bytes, needle: Needle, lower: bytes, table: "_Table", places: Iterator[tuple[int, int]]
    ) -> None:
        """Each place of the spelling: by the element it stands in, it is the value, or only the same bytes."""
        for at, stop in places:
            if _apart(spelling, needle.kind, lower, at, stop):
                element = table.element(at)
                if element is None or self._is_residual(spelling, needle.kind, element, lower):
                    where = dictionary.write(element.tag) if element else "the file meta information"
                    raise Failure(Outcome.RESIDUAL, f"the value of {dictionary.write(needle.tag)} stands in {where}")

    def _is_residual(self, spelling: bytes, kind: Kind, element: Element, lower: bytes) -> bool:
        if element.tag in self.constants or (kind is Kind.DATE and element.tag in self.dates):
            return False
        if len(spelling) >= LONG:
            return True
        if element.vr == _CODES:
            return lower[element.value : element.end].strip(b" \0") == spelling and not spelling.isalpha()
        return element.vr in _TEXTS


def guard(decisions: Mapping[int, Step], added: Mapping[int, Step], unguarded: AbstractSet[int]) -> Guard:
    """The guard of a plan with these decisions, which lets values of the `unguarded` attributes through."""
    written = {tag: step for tag, step in decisions.items() if step.action is Action.REPLACE} | dict(added)
    constants = {tag for tag, step in written.items() if step.rule and step.rule.value and not step.rule.value.telling}
    dates = {tag for tag, step in written.items() if step.vrs[0] in _DATES}
    kinds = {tag: kind for tag, kind in needles.identifying(decisions).items() if tag not in unguarded}
    return Guard(kinds, frozenset(constants), frozenset(dates))


def _is_date(spelling: bytes, sought: Sequence[Sought]) -> bool:
    return any(spelling == one for each in sought for dates in each.dates.values() for one, _ in dates)


def _places(spelling: bytes, lower: bytes) -> Iterator[tuple[int, int]]:
    at = lower.find(spelling)
    while at >= 0:
        yield at, at + len(spelling)
        at = lower.find(spelling, at + 1)


def _apart(spelling: bytes, kind: Kind, lower: bytes, at: int, stop: int) -> bool:
    """Whether it ends where the value does: a number is none within a longer one, a name none within a word."""
    before = lower[at - 1] if at else 0
    behind = lower[stop] if stop < len(lower) else 0
    if kind is Kind.DATE:
        return before not in _DIGITS_AND_DOT  # a time may follow
    if kind is Kind.UID or spelling.isdigit():
        return before not in _DIGITS_AND_DOT and behind not in _DIGITS_AND_DOT
    if len(spelling) < LONG:
        return before not in _ALPHANUMERIC and behind not in _ALPHANUMERIC
    if kind is Kind.NAME:
        return before not in _LETTERS and behind not in _LETTERS
    return True


class _Table:
    """Tells which element of an output holds a place; reads the output where that is asked, which is seldom."""

    def __init__(self, output: bytes, start: int, shapes: Shapes) -> None:
        self._output = output
        self._shapes = shapes
        self._start = start

    @cached_property
    def _read(self) -> tuple[Reader, tuple[Element, ...]]:
        reader = Reader(memoryview(self._output), BOUNDS, self._shapes)
        span = Span(len(self._output), 0, explicit=True, delimited=False)
        return reader, reader.table(self._start, span)[0]

    @cached_property
    def _kept(self) -> "array[int]":
        """Where each byte stands that is no separator."""
        return array("Q", compress(range(len(self._output)), self._output.translate(_IS_NONE)))

    def loose(self, spelling: bytes, text: Text) -> Iterator[tuple[int, int]]:
        """Where it stands in one value, whatever a writer may put between letters, or (less) between digits."""
        for first, behind in _places(spelling, text.bare):
            at, stop = self._kept[first], self._kept[behind - 1] + 1
            within = _WITHIN_NUMBERS if spelling.isdigit() else _WITHIN_WORDS
            if text.lower[at:stop].translate(None, within) != spelling:
                continue
            element = self.element(at)
            if element is None or element.value <= at < stop <= element.end:
                yield at, stop

    def element(self, at: int) -> Element | None:
        """The innermost one; None in front of the data set."""
        if plain := self._plain(at):
            return plain
        reader, elements = self._read
        found = _holding(elements, at)
        while found and (nested := reader.nested.get(found.start)):
            inner = next((one for item in nested.items if (one := _holding(item.elements, at))), None)
            if inner is None:
                break
            found = inner
        return found

    def _plain(self, at: int) -> Element | None:
        """The one at the top level, if no items are in it and none of undefined length stands before it."""
        begin, output = self._start, self._output
        while begin <= at and begin + LONG_HEADER_SIZE <= len(output):
            group, number, code, length = HEADER.unpack_from(output, begin)
            vr, offset = VRS.get(code, ("", 0))
            if offset == LONG_HEADER_SIZE:
                length = int.from_bytes(output[begin + HEADER_SIZE : begin + LONG_HEADER_SIZE], "little")
            value = begin + offset
            stop = value + length
            if not vr or length == UNDEFINED:
                break
            if at < stop:
                return None if vr in {"SQ", "UN"} else Element(group << 16 | number, vr, begin, value, stop, stop)
            begin = stop
        return None


def _holding(elements: Sequence[Element], at: int) -> Element | None:
    return next((element for element in elements if element.start <= at < element.stop), None)
