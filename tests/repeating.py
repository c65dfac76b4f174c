"""Sequences whose items repeat a few layouts with other values, as enhanced images do: for property tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import NamedTuple
from unittest.mock import patch

from encoded import explicit, sequence
from hypothesis import strategies as st

from scp.table import Shapes

TAGS = (0x00080018, 0x0008002A, 0x00080060, 0x00089092, 0x00100010, 0x00104000, 0x00180050, 0x00200032, 0x00209056)
SEQUENCES = (0x00081140, 0x00209111, 0x00209113, 0x00409096)
OWN = 0x52009230  # PerFrameFunctionalGroupsSequence
_VRS = {
    0x00080018: "UI", 0x0008002A: "DT", 0x00080060: "CS", 0x00089092: "SQ", 0x00100010: "PN", 0x00104000: "LT",
    0x00180050: "DS", 0x00200032: "DS", 0x00209056: "SH",
}  # fmt: skip
_CHARACTERS = {"UI": b"0123456789", "DS": b"0123456789", "DT": b"0123456789"}


class Leaf(NamedTuple):
    """An element of this many bytes."""

    tag: int
    size: int


class Branch(NamedTuple):
    """A sequence of items."""

    tag: int
    items: "tuple[tuple[Leaf | Branch, ...], ...]"
    undefined: bool
    undefined_items: bool


Layout = tuple[Leaf | Branch, ...]


def leaves() -> st.SearchStrategy[Leaf]:
    plain = [tag for tag in TAGS if _VRS[tag] != "SQ"]
    return st.builds(Leaf, st.sampled_from(plain), st.sampled_from((0, 2, 8, 14)))


def layouts(depth: int = 2) -> st.SearchStrategy[Layout]:
    one: st.SearchStrategy[Leaf | Branch] = leaves()
    if depth:
        inner = st.lists(layouts(depth - 1), max_size=3).map(tuple)
        one = one | st.builds(Branch, st.sampled_from(SEQUENCES), inner, st.booleans(), st.booleans())
    return st.lists(one, max_size=4, unique_by=lambda each: each.tag).map(
        lambda found: tuple(sorted(found, key=lambda each: each.tag))
    )


@st.composite
def repeated(draw: st.DrawFn) -> bytes:
    """A sequence of up to 20 items of up to three layouts."""
    known = draw(st.lists(layouts(), min_size=1, max_size=3))
    chosen = draw(st.lists(st.sampled_from(known), max_size=20))
    random = values_from(draw(st.integers(0, 2**16)))
    contents = [written(layout, random) for layout in chosen]
    return sequence(OWN, *contents, undefined=draw(st.booleans()), undefined_items=draw(st.booleans()))


def values_from(seed: int) -> Random:
    """Where values come from."""
    return Random(seed)  # noqa: S311  made-up values


def written(layout: Layout, random: Random) -> bytes:
    """One item's content, its values by chance."""
    parts = []
    for one in layout:
        if isinstance(one, Leaf):
            vr = _VRS[one.tag]
            characters: Sequence[int] = _CHARACTERS.get(vr, b"ABCDEFGHIJ")
            parts.append(explicit(one.tag, vr, bytes(random.choices(characters, k=one.size))))
        else:
            inner = [written(each, random) for each in one.items]
            parts.append(sequence(one.tag, *inner, undefined=one.undefined, undefined_items=one.undefined_items))
    return b"".join(parts)


@contextmanager
def one_by_one() -> Iterator[None]:
    """No layout is learnt meanwhile: the reader looks at each element."""
    with patch.object(Shapes, "TRIES", 0):
        yield
