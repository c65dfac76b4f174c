"""Content items that refer to others by position: what is left means what it meant, nothing refers to what is gone."""

from dataclasses import dataclass, field
from struct import iter_unpack, pack

import pytest
from encoded import explicit, implicit, items, ordered, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from test_structured import CONTENT, CONTEXT, KEPT, NEEDLE, content, left, named, plan_of

from scp.dataset import DataSet
from scp.deidentify.prune import Level
from scp.outcome import Failure, Outcome

POSITION = 0x0040DB73
PLAN = "basic,clean-structured-content"


@dataclass(eq=False)
class Node:
    """A content item: one of a number, one that has to go, or one that refers to another."""

    number: int = 0
    goes: bool = False
    refers: bool = False
    target: "Node | None" = None
    children: list["Node"] = field(default_factory=list)

    def every(self) -> "list[Node]":
        return [self, *(inner for child in self.children for inner in child.every())]


def paths(root: Node) -> dict[Node, tuple[int, ...]]:
    """Each item's position, as PS3.3 C.17.3.2.5 counts."""
    found = {root: (1,)}
    for node in root.every():
        for number, child in enumerate(node.children, 1):
            found[child] = (*found[node], number)
    return found


def sent(root: Node, *, undefined: bool = False) -> bytes:
    where = paths(root)

    def written(node: Node) -> bytes:
        if node.goes:
            inner = [sequence(CONTENT, *map(written, node.children), undefined=undefined)] if node.children else []
            return content("121106", "DCM", "TEXT", *inner)
        parts = [explicit(0x0040A040, "CS", "NUM"), named("112031", "DCM"), measured(node.number)]
        if node.target:
            parts.append(explicit(POSITION, "UL", pack(f"<{len(where[node.target])}L", *where[node.target])))
        if node.children:
            parts.append(sequence(CONTENT, *map(written, node.children), undefined=undefined))
        return ordered(*parts)

    return sequence(CONTENT, *map(written, root.children), undefined=undefined)


def measured(number: int) -> bytes:
    return sequence(0x0040A300, explicit(0x0040A30A, "DS", str(number)))


def pruned(root: Node) -> Node:
    """What should be left: without what has to go, and without what refers to anything that is not there."""

    def copied(node: Node, lost: set[Node]) -> Node:
        kept = [copied(child, lost) for child in node.children if not child.goes and child not in lost]
        copy = Node(node.number, target=node.target, children=kept)
        originals[copy] = node
        return copy

    lost: set[Node] = set()
    while True:
        originals: dict[Node, Node] = {}
        made = copied(root, lost)
        there = {originals[one] for one in made.every()}
        more = {originals[one] for one in made.every() if one.target and one.target not in there}
        if not more:
            break
        lost |= more
    back = {original: copy for copy, original in originals.items()}
    for one in made.every():
        one.target = back[one.target] if one.target else None
    return made


def shape(node: Node) -> list[object]:
    """Its items by their numbers, each with the number of the item that it refers to (0 is the root's)."""
    return [(child.number, child.target.number if child.target else None, shape(child)) for child in node.children]


def read_back(found: DataSet) -> list[object]:
    """The same of what left: references are followed from the root, as a reader does."""
    root = Level(found.data, found.elements, found.nested, found.explicit)

    def number(level: Level) -> int:
        values = [one.value(0x0040A30A) for one in level.items(0x0040A300)]
        return int(values[0]) if values else 0

    def followed(value: bytes) -> int | None:
        if not value:
            return None
        first, *rest = (one for (one,) in iter_unpack("<L", value))
        assert first == 1
        level = root
        for position in rest:
            level = level.items(CONTENT)[position - 1]
        return number(level)

    def shown(level: Level) -> list[object]:
        return [(number(one), followed(one.value(POSITION)), shown(one)) for one in level.items(CONTENT)]

    return shown(root)


@st.composite
def trees(draw: st.DrawFn) -> Node:
    """Trees in which items go anywhere, and references lead anywhere, also to each other and to what goes."""
    count = 0

    def grown(depth: int) -> list[Node]:
        nonlocal count
        made = []
        for kind in draw(st.lists(st.sampled_from(["item", "item", "gone", "reference"]), max_size=4)):
            count += 1
            inner = grown(depth - 1) if depth and kind != "reference" else []
            made.append(Node(count, kind == "gone", kind == "reference", children=inner))
        return made

    root = Node(children=grown(3))
    every = root.every()
    for node in every:
        if node.refers:
            node.target = draw(st.sampled_from(every))
    return root


@settings(max_examples=300, deadline=None)
@given(trees(), st.booleans())
def test_what_is_left_refers_to_what_it_referred_to(root: Node, undefined: bool) -> None:  # noqa: FBT001
    found = left(plan_of(PLAN), sent(root, undefined=undefined))
    assert read_back(found) == shape(pruned(root))
    assert NEEDLE.encode() not in bytes(found.data)


def test_positions_behind_what_goes_are_counted_anew() -> None:
    meant = Node(7, children=[Node(8, goes=True), Node(9)])
    root = Node(children=[Node(1, goes=True), Node(2), Node(3, goes=True), meant])
    root.children.append(Node(10, refers=True, target=meant.children[1]))
    found = left(plan_of(PLAN), sent(root))
    assert read_back(found) == [(2, None, []), (7, None, [(9, None, [])]), (10, 9, [])]
    assert pack("<3L", 1, 2, 1) in bytes(found.data)


def test_a_reference_to_what_goes_goes_with_it_and_so_does_one_to_that() -> None:
    gone, kept = Node(1, goes=True, children=[Node(2)]), Node(3)
    first = Node(4, refers=True, target=gone.children[0])
    second = Node(5, refers=True, target=first)
    third = Node(6, refers=True, target=kept)
    found = left(plan_of(PLAN), sent(Node(children=[gone, first, second, kept, third])))
    assert read_back(found) == [(3, None, []), (6, 3, [])]


def test_where_nothing_goes_references_stay_byte_for_byte() -> None:
    kept = Node(1)
    whole = sent(Node(children=[kept, Node(2, refers=True, target=kept)]))
    assert pack("<2L", 1, 1) in bytes(left(plan_of(PLAN), whole).data)
    wild = ordered(explicit(0x0040A010, "CS", "INFERRED FROM"), explicit(POSITION, "UL", pack("<2L", 1, 99)))
    assert pack("<2L", 1, 99) in bytes(left(plan_of(PLAN), sequence(CONTENT, wild)).data), "it is nobody's to judge"


@pytest.mark.parametrize(
    "value",
    [
        pack("<2L", 1, 9),
        pack("<2L", 2, 2),
        pack("<2L", 1, 0),
        pack("<3L", 1, 2, 1),
        b"",
        b"\1\0",
        pack("<2L", 1, 2) + b"\0\0",
    ],
)
def test_a_reference_that_leads_nowhere_goes_to_quarantine_where_something_goes(value: bytes) -> None:
    refers = ordered(explicit(0x0040A010, "CS", "INFERRED FROM"), explicit(POSITION, "UL", value))
    with pytest.raises(Failure) as caught:
        left(plan_of(PLAN), sequence(CONTENT, content("121106", "DCM", "TEXT"), KEPT, refers))
    assert caught.value.outcome is Outcome.NOT_DEIDENTIFIED
    assert NEEDLE not in str(caught.value)


def test_a_reference_outside_of_the_tree_goes_to_quarantine_where_something_goes() -> None:
    """Positions are those of the data set's own tree; what else they could mean there, nobody says."""
    refers = ordered(named("112031", "DCM"), explicit(POSITION, "UL", pack("<2L", 1, 1)))
    elsewhere = sequence(CONTEXT, refers)
    assert left(plan_of(PLAN), elsewhere, sequence(CONTENT, KEPT)).find(CONTENT)
    with pytest.raises(Failure) as caught:
        left(plan_of(PLAN), elsewhere, sequence(CONTENT, content("121106", "DCM", "TEXT"), KEPT))
    assert caught.value.outcome is Outcome.NOT_DEIDENTIFIED


def test_what_goes_outside_of_the_tree_changes_no_position() -> None:
    kept = Node(1)
    tree = sent(Node(children=[kept, Node(2, refers=True, target=kept)]))
    found = left(plan_of(PLAN), sequence(CONTEXT, content("121106", "DCM", "TEXT"), KEPT), tree)
    assert read_back(found) == [(1, None, []), (2, 1, [])]


def test_in_a_content_sequence_sent_as_un_too() -> None:
    code = implicit(0x00080100, "121106") + implicit(0x00080102, "DCM ")
    removed = ordered(implicit(0x0040A043, items([code])), implicit(0x0040A160, NEEDLE), implicit(0x0040A040, "TEXT"))
    kept = ordered(implicit(0x0040A040, "TEXT"), implicit(0x0040A160, "axial "))
    refers = ordered(implicit(0x0040A010, "INFERRED FROM "), implicit(POSITION, pack("<2L", 1, 2)))
    found = bytes(left(plan_of(PLAN), explicit(CONTENT, "UN", items([removed, kept, refers]))).data)
    assert pack("<2L", 1, 1) in found
    assert pack("<2L", 1, 2) not in found
    assert NEEDLE.encode() not in found
