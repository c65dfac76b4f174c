"""Items laid out alike: what is known of them at once is what a reader finds that looks at each element."""

from struct import pack

import pytest
from encoded import explicit, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from repeating import OWN, Branch, Leaf, one_by_one, repeated, values_from, written

from scp.bounds import Bounds
from scp.dataset import DataSet, read
from scp.outcome import Failure
from scp.table import Element, Item, Shapes, find

FRAME = (
    Leaf(0x00080018, 8),
    Branch(0x00209113, ((Leaf(0x00200032, 14),),), undefined=False, undefined_items=True),
    Branch(0x00409096, ((), (Leaf(0x00180050, 2),)), undefined=True, undefined_items=False),
)


def frames(count: int = 6, seed: int = 1) -> bytes:
    random = values_from(seed)
    return sequence(OWN, *(written(FRAME, random) for _ in range(count)))


def tree(dataset: DataSet) -> list[object]:
    """All that the table says, from the top down."""

    def level(elements: tuple[Element, ...]) -> list[object]:
        found: list[object] = []
        for element in elements:
            held = dataset.nested.get(element.start)
            inside = [(item.undefined, level(item.elements)) for item in held.items] if held else []
            found.append((*element, held and held.explicit, inside))
        return found

    return level(dataset.elements)


def shaped(dataset: DataSet) -> list[Item]:
    return [item for held in dataset.nested.values() for item in held.items if item.shape]


def test_items_are_known_by_their_layout_once_it_was_met_often_enough():
    dataset = read(frames(20), explicit=True)
    items = dataset.nested[0].items
    known = [item.shape is not None for item in items]
    assert known[: Shapes.OFTEN] == [False] * Shapes.OFTEN
    assert all(known[-5:])
    assert len({id(item.shape) for item in items[-5:]}) == 1
    assert [item.start for item in items[-5:]] == sorted({item.start for item in items[-5:]})


@settings(max_examples=400, deadline=None)
@given(repeated())
def test_what_is_known_is_what_is_found_one_by_one(data):
    dataset = read(data, explicit=True)
    with one_by_one():
        slowly = read(data, explicit=True)
    assert not shaped(slowly)
    assert sorted(dataset.everywhere()) == sorted(slowly.everywhere())
    assert tree(dataset) == tree(slowly)
    assert not shaped(dataset)  # all have been asked for
    assert sorted(dataset.everywhere()) == sorted(slowly.everywhere())
    assert dataset.nested == slowly.nested or dataset.nested.keys() == slowly.nested.keys()


@settings(max_examples=300, deadline=None)
@given(repeated(), st.integers(0, 4_000), st.integers(0, 255))
def test_one_byte_changed_is_read_as_it_would_be_one_by_one(data, at, byte):
    changed = bytearray(data)
    changed[at % len(data)] = byte
    assert outcome(changed) == slow_outcome(changed)


@settings(max_examples=200, deadline=None)
@given(repeated(), st.integers(0, 4_000))
def test_what_ends_short_is_refused_as_it_would_be_one_by_one(data, cut):
    short = data[: cut % len(data)]
    assert outcome(short) == slow_outcome(short)


@settings(max_examples=100, deadline=None)
@given(repeated(), st.integers(1, 80), st.integers(1, 3))
def test_limits_are_met_where_they_would_be_one_by_one(data, elements, depth):
    bounds = Bounds(depth=depth, elements=elements)
    assert outcome(data, bounds) == slow_outcome(data, bounds)


def test_an_item_deeper_down_is_none_of_those_above():
    inner = sequence(0x00081140, *(written((Leaf(0x00080018, 8),), values_from(n)) for n in range(4)))
    data = sequence(OWN, *[inner] * 4)
    assert outcome(data, Bounds(depth=1)) == slow_outcome(data, Bounds(depth=1)) != outcome(data)


def test_a_value_that_has_to_be_looked_at_is():
    values = [explicit(0x00180050, "DS", "1\\2\\3\\4 ")] * 2 + [explicit(0x00180050, "DS", "\\\\\\\\\\\\\\\\")] * 2
    data = sequence(OWN, *values)
    assert isinstance(outcome(data, Bounds(values=5)), tuple)
    assert outcome(data, Bounds(values=5)) == slow_outcome(data, Bounds(values=5))
    assert isinstance(outcome(data), list)


def test_items_too_long_are_not_learnt():
    data = sequence(OWN, *[explicit(0x00104000, "LT", b"A" * 40_000), explicit(0x00104010, "UT", b"A" * 40_000)] * 4)
    long = sequence(OWN, *[explicit(0x00104010, "UT", b"A" * 70_000)] * 6)
    assert shaped(read(data, explicit=True))
    assert not shaped(read(long, explicit=True))


def test_implicit_items_are_looked_at_one_by_one():
    item = pack("<HHI", 0x0018, 0x0050, 2) + b"1 "
    data = pack("<HHI", 0x5200, 0x9230, 5 * (8 + len(item))) + (pack("<HHI", 0xFFFE, 0xE000, len(item)) + item) * 5
    assert not shaped(read(data, explicit=False))


def test_what_was_learnt_of_explicit_items_says_nothing_of_implicit_ones():
    """The same bytes: a DS of four bytes, or an element whose length is that of the VR and more."""
    item = explicit(0x00180050, "DS", "12")
    alike = [sequence(tag, *[item] * 5, undefined=True, vr=vr) for tag, vr in ((0x00081140, "SQ"), (0x00091001, "UN"))]
    assert isinstance(outcome(alike[0]), list)
    assert outcome(b"".join(alike)) == slow_outcome(b"".join(alike))
    assert isinstance(outcome(b"".join(alike)), tuple)


def test_learning_stops_where_it_does_not_pay():
    random = values_from(7)
    sizes = list(range(2, 400, 2))
    contents = [written((Leaf(0x00080018, 8), Leaf(0x00104000, size)), random) for size in sizes for _ in range(3)]
    built = []

    class Counted(Shapes):
        def learn(self, *args):
            super().learn(*args)
            built.append(self._built)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scp.dataset.Shapes", Counted)
        read(sequence(OWN, *contents), explicit=True)
    assert built[-1] == Shapes.TRIES


def test_an_element_is_found_by_its_tag():
    dataset = read(explicit(0x00080018, "UI", "1.2") + explicit(0x00100010, "PN", "A"), explicit=True)
    assert find(dataset.elements, 0x00100010) is dataset.elements[1]
    assert find(dataset.elements, 0x00100011) is None
    assert find((), 0x00100010) is None


def outcome(data: bytes | bytearray, bounds: Bounds | None = None) -> object:
    try:
        return tree(read(data, explicit=True, bounds=bounds or Bounds()))
    except Failure as failure:
        return failure.outcome, failure.why


def slow_outcome(data: bytes | bytearray, bounds: Bounds | None = None) -> object:
    with one_by_one():
        return outcome(data, bounds)
