"""Tables of elements, and items laid out alike: a long enhanced image repeats one item hundreds of times."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple

LARGEST: Final = 1 << 16  # bytes of an item whose layout is remembered
_MOST: Final = 2_000  # values in it


class Element(NamedTuple):
    """One element's place: `start` of its header, `value` to `end` of its value, `stop` where the next one starts.

    `vr` is the one sent (explicit) or the dictionary's (implicit; "UN" where it has none). For undefined length,
    `end` is where the delimiter starts and `stop` is behind it; otherwise they are equal.
    """

    tag: int
    vr: str
    start: int
    value: int
    end: int
    stop: int


class Item:
    """One item of a sequence: the table of its elements, and whether it was sent with undefined length.

    Of one that is laid out as one before it only its `shape` and `start` are known, until its elements are asked for.
    """

    __slots__ = ("_elements", "_table", "shape", "start", "undefined")

    def __init__(self, elements: tuple[Element, ...], *, undefined: bool) -> None:
        self.undefined = undefined
        self.shape: Shape | None = None
        self.start = 0
        self._elements = elements
        self._table: dict[int, Nested] = {}

    @property
    def elements(self) -> tuple[Element, ...]:
        """In ascending order of tag; sequences among them stand in the data set's `nested` from now on."""
        if self.shape is not None:
            self._elements = self.shape.elements(self.start, self._table)
            self.shape = None
        return self._elements


class Nested(NamedTuple):
    """What a sequence holds, and whether its items are explicit (those of a sequence sent as UN never are)."""

    explicit: bool
    items: tuple[Item, ...]


Table = dict[int, Nested]
"""What each sequence at any depth holds, by the `start` of its element."""


class Shape:
    """How an item is laid out: all of its bytes but the values of its elements, so that one like it is known at once.

    What a reader makes of an item follows from these bytes alone. `inside` and `nested` are of the item that it was
    learnt from, counted from that item's start; `count` is how many elements and items a reader finds in it.
    """

    __slots__ = (
        "_headers", "_unpack", "count", "everywhere", "inside", "nested", "origin", "size", "undefined", "written"
    )  # fmt: skip

    def __init__(self, data: memoryview, place: range, item: Item, table: Table, count: int) -> None:
        """Raises ValueError where it is too large to be worth it."""
        self.origin, self.size, self.count = place.start, len(place), count
        self.undefined = item.undefined
        self.written: dict[object, object] = {}
        """What readers of the layout make of it, by whose that is."""
        self.nested: Table = {}
        self.inside = self._learn(item.elements, table)
        self.everywhere = (
            *self.inside, *(one for held in self.nested.values() for inner in held.items for one in inner.elements)
        )  # fmt: skip
        form = self._form()
        self._unpack: Callable[[memoryview, int], tuple[bytes, ...]] = Struct(form).unpack_from
        self._headers = self._unpack(data, place.start)

    def fits(self, data: memoryview, at: int) -> bool:
        """Whether an item that starts here is laid out so; `size` bytes have to be there."""
        return self._unpack(data, at) == self._headers

    def item(self, at: int, table: Table) -> Item:
        """The item that starts there and fits."""
        item = Item((), undefined=self.undefined)
        item.shape, item.start, item._table = self, at, table  # noqa: SLF001  its own kind of item
        return item

    def elements(self, at: int, table: Table) -> tuple[Element, ...]:
        """The elements of the item that starts there; the sequences among them are put into the table."""
        for start, held in self.nested.items():
            items = tuple(Item(_moved(one.elements, at), undefined=one.undefined) for one in held.items)
            table[at + start] = Nested(held.explicit, items)
        return _moved(self.inside, at)

    def _learn(self, elements: tuple[Element, ...], table: Table) -> tuple[Element, ...]:
        for element in elements:
            if held := table.get(element.start):
                items = tuple(Item(self._learn(one.elements, table), undefined=one.undefined) for one in held.items)
                self.nested[element.start - self.origin] = Nested(held.explicit, items)
        return _moved(elements, -self.origin)

    def _form(self) -> str:
        """The layout as `struct` writes it: what has to be the same as strings, values as padding."""
        values = sorted(
            (one.value, one.end) for one in self.everywhere if one.end == one.stop and one.start not in self.nested
        )
        if len(values) > _MOST or self.size > LARGEST:
            raise ValueError("an item so large is dearer to learn than to read")
        form, at = [], 0
        for start, end in values:
            form.append(f"{start - at}s{end - start}x")
            at = end
        return f"<{''.join(form)}{self.size - at}s"


def _moved(elements: tuple[Element, ...], by: int) -> tuple[Element, ...]:
    new = tuple.__new__
    return tuple(
        new(Element, (tag, vr, start + by, value + by, end + by, stop + by))
        for tag, vr, start, value, end, stop in elements
    )


def find(elements: tuple[Element, ...], tag: int) -> Element | None:
    """The element with this tag in a table, if there is one."""
    at = bisect_left(elements, (tag,))
    if at < len(elements) and elements[at][0] == tag:
        return elements[at]
    return None


def everywhere(elements: tuple[Element, ...], table: Table) -> Iterator[Element]:
    """All elements of a data set, at all depths."""
    yield from elements
    for held in list(table.values()):
        for item in held.items:
            if item.shape is None:
                yield from item.elements
            else:
                yield from _moved(item.shape.everywhere, item.start)


class Met:
    """An item's beginning that a reader has met, how often it was no layout that it knew, and the layouts it knows."""

    __slots__ = ("shapes", "times")

    def __init__(self) -> None:
        self.times = 1
        self.shapes: list[Shape] = []


class Shapes:
    """The layouts of items that a reader has met; learning costs, so it is only done while it pays."""

    __slots__ = ("_built", "_hits", "longest", "met", "weight")

    KEY: Final = 16  # bytes of an item's beginning by which layouts are looked up: two headers
    OFTEN: Final = 3  # times that a beginning is met before a layout of it is learnt
    PAYS: Final = 4  # times that layouts have to be met again before one more is learnt
    CANDIDATES: Final = 4  # layouts remembered for one beginning
    TRIES: Final = 2  # layouts learnt before one of them has to be met again
    MOST: Final = 1_000  # beginnings of items that are remembered from one data set to the next
    HEAVIEST: Final = 20_000  # elements and items of the layouts that are

    def __init__(self, longest: int) -> None:
        """`longest` is the most bytes of a value that the reader need not look at."""
        self.met: dict[tuple[int, bool, bytes], Met] = {}
        """By depth, whether VRs are explicit, and an item's beginning."""
        self.longest = longest
        self.weight = 0
        """Elements and items of the layouts learnt."""
        self._built = self._hits = 0

    def kept(self) -> "Shapes":
        """These for the next data set, or none where they have become too many."""
        return self if len(self.met) <= self.MOST and self.weight <= self.HEAVIEST else Shapes(self.longest)

    def like(self, met: Met, data: memoryview, at: int, limit: int) -> Shape | None:
        """The layout known of such a beginning that the item has which starts here."""
        for shape in met.shapes:
            if at + shape.size <= limit and shape.fits(data, at):
                self._hits += 1
                return shape
        return None

    def learn(self, met: Met, data: memoryview, place: range, item: Item, table: Table, count: int) -> None:  # noqa: PLR0913, PLR0917  what an item is
        """Remember the layout of an item that begins as some before it did."""
        met.times += 1
        if met.times < self.OFTEN or len(place) > self.longest:
            return
        if len(met.shapes) < self.CANDIDATES and self._built < self.TRIES + self._hits // self.PAYS:
            self._built += 1
            self.weight += count
            try:
                met.shapes.append(Shape(data, place, item, table, count))
            except ValueError:
                self._built += self.TRIES
