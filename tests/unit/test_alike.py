"""Reading by what data sets have in common gives what reading them alone gives, and is used where it pays."""

import threading
from struct import pack

import pytest
from encoded import explicit, image, implicit, sequence
from hypothesis import given
from hypothesis import strategies as st

from scp import alike
from scp.alike import Alike, Neighbours
from scp.bounds import Bounds, Excess
from scp.dataset import DataSet, read
from scp.outcome import Failure, Outcome
from scp.table import Shapes

NUMBER, POSITION, COMMENTS, FRAMES = 0x00200013, 0x00200032, 0x00204000, 0x00280008
MORE = [explicit(0x00180000 | number, "LO", f"always {number}") for number in range(0x1000, 0x1030, 2)]


def one(number: int, *more: bytes, pixels: bytes | None = None) -> bytes:
    return image(*MORE, explicit(NUMBER, "IS", str(number)), *more, pixels=pixels)


def both(neighbours: Neighbours, data: bytes, **options) -> tuple[DataSet, DataSet]:
    return neighbours.read(data, explicit=True, **options), read(data, explicit=True, **options)


def same(found: DataSet, expected: DataSet) -> None:
    for tag in {element.tag for element in expected.elements} | {0x00081030, 0x00000000, 0xFFFFFFFF}:
        assert found.find(tag) == expected.find(tag)
        assert found.value(tag) == expected.value(tag)
    assert found.elements == expected.elements
    assert {start: held.explicit for start, held in found.nested.items()} == {
        start: held.explicit for start, held in expected.nested.items()
    }
    assert [*found.everywhere()] == [*expected.everywhere()]


def warm(*more: bytes) -> Neighbours:
    neighbours = Neighbours()
    for number in (1, 2):
        assert not isinstance(neighbours.read(one(number, *more), explicit=True), Alike)
    assert neighbours.layout is not None
    return neighbours


@pytest.mark.parametrize("number", [3, 12, 1234567])
def test_the_third_of_a_series_is_read_by_what_it_has_in_common(number: int) -> None:
    found, expected = both(warm(), one(number))
    assert isinstance(found, Alike)
    assert {element.tag for element in found.met.anew.elements} == {NUMBER, 0x7FE00010}
    same(found, expected)


def test_one_whose_values_have_grown_is_known_all_the_same() -> None:
    """What is compared is copied at once, as far as a header of this layout reaches; this one reaches further."""
    neighbours = warm(explicit(COMMENTS, "LT", "first"))
    for size in (3, 40):
        same(*both(neighbours, one(3, explicit(COMMENTS, "LT", "x" * size))))
    behind = explicit(0x00280030, "DS", "1\\1")
    neighbours = warm(explicit(NUMBER + 0x100, "DS", "1"), behind)
    for size in (2, 200, 4000, 2):
        found, expected = both(neighbours, one(5, explicit(NUMBER + 0x100, "DS", "1" * size), behind))
        same(found, expected)
    assert isinstance(found, Alike)
    broken = one(5, explicit(NUMBER + 0x100, "DS", "1" * 4000), behind).replace(behind, behind[:-2] + b"7 ")
    same(*both(neighbours, broken))


def test_what_changes_once_in_a_while_becomes_one_of_those_that_change() -> None:
    neighbours = warm(explicit(COMMENTS, "LT", "first"))
    for comment in ("second", "third one"):
        same(*both(neighbours, one(3, explicit(COMMENTS, "LT", comment))))
    found, expected = both(neighbours, one(4, explicit(COMMENTS, "LT", "")))
    assert isinstance(found, Alike)
    assert found.met.layout.changing == {NUMBER, COMMENTS}
    same(found, expected)


def test_another_series_is_learnt_anew() -> None:
    neighbours = warm()
    made = [explicit(0x00180000 | number, "LO", f"other {number}") for number in range(0x1000, 0x1030, 2)]
    others = [image(*made, explicit(NUMBER, "IS", str(number))) for number in (1, 2, 3)]
    kinds = [isinstance(neighbours.read(data, explicit=True), Alike) for data in others]
    assert kinds == [False, False, True]
    assert neighbours.layout is not None
    assert neighbours.layout.changing == {NUMBER}


@pytest.mark.parametrize(
    "other",
    [
        one(3, explicit(COMMENTS, "LT", "more")),
        one(3).replace(MORE[4], b""),
        one(3).replace(explicit(NUMBER, "IS", "3"), explicit(NUMBER, "LO", "3")),
        one(3).replace(explicit(NUMBER, "IS", "3"), explicit(0x00200014, "IS", "3")),
        one(3).replace(explicit(NUMBER, "IS", "3"), b""),
        one(3) + explicit(0xFFFCFFFC, "OB", bytes(4)),
        b"",
    ],
    ids=["one more", "one less", "other VR", "other tag", "changing one gone", "something behind", "nothing"],
)
def test_what_fits_no_layout_is_read_whole(other: bytes) -> None:
    same(*both(warm(), other))


@pytest.mark.parametrize(
    "broken",
    [
        one(3)[:-1],
        one(3)[:40],
        one(3).replace(explicit(NUMBER, "IS", "3"), explicit(NUMBER, "IS", "3", 3)),
        one(3).replace(explicit(NUMBER, "IS", "3"), explicit(NUMBER, "IS", "3", 0xFFFE)),
        one(3).replace(explicit(NUMBER, "IS", "3"), explicit(NUMBER, "IS", "3")[:6]),
        one(3, pixels=explicit(0x7FE00010, "OW", bytes(6))),
        one(3) + explicit(0x00080018, "UI", "1.2.3"),
    ],
    ids=["short", "cut", "odd", "beyond the end", "header cut", "pixels missing", "out of order"],
)
def test_what_is_broken_is_refused_as_ever(broken: bytes) -> None:
    with pytest.raises(Failure) as alone:
        read(broken, explicit=True)
    neighbours = warm()
    with pytest.raises(Failure) as beside:
        neighbours.read(broken, explicit=True)
    assert (beside.value.outcome, beside.value.why) == (alone.value.outcome, alone.value.why)
    assert isinstance(neighbours.read(one(4), explicit=True), Alike), "and the layout is what it was"


def test_a_sequence_that_changes_is_read_and_the_others_are_known() -> None:
    always = sequence(0x00081140, explicit(0x00081155, "UI", "1.2.3"), undefined=True)

    def data(number: int) -> bytes:
        item = explicit(0x00081155, "UI", f"1.2.3.{number}")
        return one(number, always, sequence(0x00082112, item, sequence(0x0040A170, item)))

    neighbours = Neighbours()
    for number in (1, 2):
        neighbours.read(data(number), explicit=True)
    found, expected = both(neighbours, data(333))
    assert isinstance(found, Alike)
    assert set(found.met.anew.nested) < set(expected.nested)
    same(found, expected)


def test_from_a_changing_sequence_of_undefined_length_on_all_is_read() -> None:
    def data(number: int) -> bytes:
        item = explicit(0x00081155, "UI", f"1.2.3.{number}")
        return one(number, sequence(0x00189004 + 0x10000, item, undefined=True), explicit(COMMENTS, "LT", str(number)))

    neighbours = Neighbours()
    for number in (1, 2):
        neighbours.read(data(number), explicit=True)
    found, expected = both(neighbours, data(77777))
    assert isinstance(found, Alike)
    assert found.met.layout.last < 0x00199004
    assert found.met.tail[0].tag == 0x00199004
    same(found, expected)


def test_the_items_of_one_are_laid_out_as_those_of_the_one_before() -> None:
    def data(number: int) -> bytes:
        frames = [sequence(0x00209111, explicit(0x00209156, "US", pack("<H", n + number))) for n in range(6)]
        return one(number, sequence(0x52009230, *frames))

    neighbours = Neighbours()
    for number in (1, 2):
        neighbours.read(data(number), explicit=True)
    found, expected = both(neighbours, data(40))
    assert isinstance(found, Alike)
    (held,) = [held for held in found.met.anew.nested.values() if len(held.items) == 6]
    assert all(item.shape is not None for item in held.items), "the first one's too, which alone is read to be learnt"
    same(found, expected)


def test_layouts_of_items_are_given_up_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes, "MOST", 8)
    neighbours = Neighbours()
    for number in range(40):
        item = explicit(0x00081155 + 0x10000 * number, "UI", "1.2.3")
        neighbours.read(image(sequence(0x00082112, item)), explicit=True)
        assert len(neighbours._shapes.met) <= 9
    monkeypatch.setattr(Shapes, "HEAVIEST", -1)
    before = neighbours._shapes
    neighbours.read(image(), explicit=True)
    assert neighbours._shapes is not before


def test_how_long_an_image_is_is_asked_again_where_that_changes() -> None:
    neighbours = Neighbours()
    for frames in (1, 2, 3):
        neighbours.read(one(frames, explicit(FRAMES, "IS", str(frames)), pixels=pixels(frames)), explicit=True)
    assert neighbours.layout is not None
    assert FRAMES in neighbours.layout.changing
    with pytest.raises(Failure) as short:
        neighbours.read(one(5, explicit(FRAMES, "IS", "5"), pixels=pixels(4)), explicit=True)
    assert short.value.outcome is Outcome.INCOMPLETE
    assert isinstance(neighbours.read(one(5, explicit(FRAMES, "IS", "5"), pixels=pixels(5)), explicit=True), Alike)


def test_pixels_that_are_shorter_than_the_ones_before_are_refused_each_time() -> None:
    neighbours = warm()
    for _ in range(3):
        assert isinstance(neighbours.read(one(3), explicit=True), Alike)
        with pytest.raises(Failure) as short:
            neighbours.read(one(4, pixels=explicit(0x7FE00010, "OW", bytes(6))), explicit=True)
        assert short.value.outcome is Outcome.INCOMPLETE


def pixels(frames: int) -> bytes:
    return explicit(0x7FE00010, "OW", bytes(8 * frames))


def test_bounds_hold_for_what_is_known_too() -> None:
    bounds = Bounds(elements=38)
    neighbours = Neighbours()
    for number in (1, 2, 3):
        found = neighbours.read(one(number), explicit=True, bounds=bounds)
    assert isinstance(found, Alike)
    items = sequence(0x7FE10010, *[b""] * 3)
    with pytest.raises(Excess):
        read(one(4) + items, explicit=True, bounds=bounds)
    with pytest.raises(Excess):
        neighbours.read(one(4) + items, explicit=True, bounds=bounds)
    other = Bounds(elements=10)
    with pytest.raises(Excess):
        neighbours.read(one(4), explicit=True, bounds=other)


def test_what_is_implicit_few_or_large_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    neighbours = Neighbours()
    for _ in range(4):
        found = neighbours.read(
            b"".join(implicit(0x00190000 | n, "x") for n in range(0x1000, 0x1040, 2)), explicit=False
        )
        assert not isinstance(found, Alike)
    for number in range(4):
        few = explicit(0x00080018, "UI", "1.2.3") + explicit(NUMBER, "IS", str(number))
        assert not isinstance(neighbours.read(few, explicit=True), Alike)
    monkeypatch.setattr(alike, "_LARGEST", 100)
    for number in range(4):
        assert not isinstance(neighbours.read(one(number), explicit=True), Alike)


def test_a_thread_whose_data_sets_have_little_in_common_stops_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_PAUSE", 5)
    neighbours = Neighbours()
    learnt = 0
    kinds = [[explicit(0x00180000 | n, "LO", f"{kind} {n}") for n in range(0x1000, 0x1040, 2)] for kind in range(2)]
    for number in range(200):
        before = neighbours.layout
        neighbours.read(image(*kinds[number // 2 % 2], explicit(NUMBER, "IS", str(number))), explicit=True)
        learnt += neighbours.layout is not None and neighbours.layout is not before
    assert 7 <= learnt <= 100


def test_a_thread_knows_nothing_of_another_ones() -> None:
    neighbours = warm()
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(neighbours.layout))
    thread.start()
    thread.join()
    assert seen == [None]


VALUES = st.one_of(st.integers(0, 10**6).map(str), st.sampled_from(["", "a\\b", "long " * 30]))


@given(st.lists(st.tuples(VALUES, VALUES, st.booleans(), st.integers(0, 9)), min_size=3, max_size=12))
def test_any_row_of_data_sets_is_read_as_each_alone(row: list[tuple[str, str, bool, int]]) -> None:
    neighbours = Neighbours()
    for number, comment, has_frames, items in row:
        more = [explicit(COMMENTS, "LT", comment), explicit(0x00100010, "PN", "A^B")]
        more += [explicit(FRAMES, "IS", "1")] * has_frames
        more += [sequence(0x00081140, *[explicit(0x00081155, "UI", f"1.2.{n}") for n in range(items)])]
        same(*both(neighbours, image(*MORE, explicit(NUMBER, "IS", number), *more)))
