"""Clean Graphics: of annotations stays what measures or outlines, never text and no stroke that could be writing."""

from functools import cache
from struct import pack

import pytest
from encoded import explicit, image, implicit, instance, items, ordered, sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from scp.dataset import DataSet, read
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.instance import Subject

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
ANNOTATIONS, OBJECTS, TEXTS, COMPOUND = 0x00700001, 0x00700009, 0x00700008, 0x00700209
NEEDLE, OLD_UID = "QWERTZNEEDLE", "1.2.3.4.77.88.99"
_META = 144  # where the length of the file meta information, (0002,0000), ends
Points = list[tuple[float, float]]
LINE: Points = [(1, 2), (3, 4)]
ANGLE: Points = [*LINE, (5, 6)]
OUTLINE: Points = [(0, 0), (0, 9), (9, 9), (9, 0), (0, 0)]
WRITING: Points = [(0, 0), (1, 5), (2, 0), (3, 5), (4, 0)]


@cache
def plan_of(names: str = "basic,clean-graphics") -> Plan:
    return compile_plan(load(names), Policy({}))


def drawn(kind: str, points: Points, data: bytes | None = None) -> bytes:
    """A graphic object (PS3.3 C.10.5)."""
    encoded = b"".join(pack("<ff", *point) for point in points) if data is None else data
    return ordered(
        explicit(0x00700005, "CS", "PIXEL"),
        explicit(0x00700020, "US", pack("<H", 2)),
        explicit(0x00700021, "US", pack("<H", len(points))),
        explicit(0x00700022, "FL", encoded),
        explicit(0x00700023, "CS", kind),
        explicit(0x00700024, "CS", "N"),
    )


def written() -> bytes:
    """A text object."""
    return ordered(
        explicit(0x00700004, "CS", "PIXEL"),
        explicit(0x00700006, "ST", NEEDLE),
        explicit(0x00700010, "FL", pack("<ff", 1, 2)),
        explicit(0x00700011, "FL", pack("<ff", 3, 4)),
    )


def annotation(*objects: bytes, more: tuple[bytes, ...] = ()) -> bytes:
    reference = explicit(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.4") + explicit(0x00081155, "UI", OLD_UID)
    found = [sequence(0x00081140, reference), explicit(0x00700002, "CS", "LAYER1"), sequence(TEXTS, written()), *more]
    return ordered(*found, *([sequence(OBJECTS, *objects)] if objects else []))


def left(*more: bytes, names: str = "basic,clean-graphics") -> DataSet:
    """The data set that leaves."""
    whole = b"".join(plan_of(names).apply(instance(image(*more)), SUBJECT).parts)
    return read(whole[_META + int.from_bytes(whole[_META - 4 : _META], "little") :], explicit=True)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("POINT", [(1, 2)]),
        ("CIRCLE", LINE),
        ("ELLIPSE", [*ANGLE, (7, 8)]),
        ("POLYLINE", LINE),
        ("POLYLINE", ANGLE),
        ("POLYLINE", OUTLINE),
        ("INTERPOLATED", OUTLINE),
    ],
)
def test_what_measures_or_outlines_stays_as_it_was_drawn(kind: str, points: Points) -> None:
    shape = drawn(kind, points)
    found = left(sequence(ANNOTATIONS, annotation(shape)))
    data = bytes(found.data)
    assert shape in data
    assert NEEDLE.encode() not in data
    assert OLD_UID.encode() not in data
    assert b"LAYER1" in data
    annotations = found.find(ANNOTATIONS)
    assert annotations is not None
    inside = found.nested[annotations.start].items[0].elements
    assert [element.tag for element in inside] == [0x00081140, 0x00700002, OBJECTS], "no text object, no box of one"


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("POLYLINE", WRITING),
        ("INTERPOLATED", WRITING),
        ("POINT", LINE),
        ("CIRCLE", WRITING),
        ("ELLIPSE", OUTLINE),
        ("SCRIBBLE", LINE),
        ("", LINE),
        ("POLYLINE", []),
    ],
)
def test_what_could_be_writing_goes(kind: str, points: Points) -> None:
    stroke, shape = drawn(kind, points), drawn("CIRCLE", LINE)
    data = bytes(left(sequence(ANNOTATIONS, annotation(stroke, shape))).data)
    assert stroke not in data
    assert shape in data
    assert left(sequence(ANNOTATIONS, annotation(stroke))).find(ANNOTATIONS) is None


def test_data_that_is_no_row_of_points_goes() -> None:
    assert left(sequence(ANNOTATIONS, annotation(drawn("POINT", [], data=b"NEEDLE")))).find(ANNOTATIONS) is None


def test_annotations_of_text_alone_go() -> None:
    found = left(sequence(ANNOTATIONS, annotation(), annotation(drawn("POLYLINE", LINE))))
    annotations = found.find(ANNOTATIONS)
    assert annotations is not None
    assert len(found.nested[annotations.start].items) == 1
    assert NEEDLE.encode() not in bytes(found.data)
    assert left(sequence(ANNOTATIONS, annotation())).find(ANNOTATIONS) is None


def test_compound_graphics_go() -> None:
    compound = sequence(COMPOUND, explicit(0x00700006, "ST", NEEDLE), explicit(0x00700294, "CS", "RULER"))
    found = left(sequence(ANNOTATIONS, annotation(drawn("CIRCLE", LINE), more=(compound,))))
    assert b"RULER" not in bytes(found.data)
    assert NEEDLE.encode() not in bytes(found.data)


def test_annotations_that_were_sent_as_un() -> None:
    circle = ordered(implicit(0x00700022, pack("<ffff", 1, 2, 3, 4)), implicit(0x00700023, "CIRCLE"))
    text = ordered(implicit(0x00700006, NEEDLE), implicit(0x00700014, pack("<ff", 1, 2)))
    inside = ordered(implicit(TEXTS, items([text])), implicit(OBJECTS, items([circle])))
    data = bytes(left(explicit(ANNOTATIONS, "UN", items([inside]))).data)
    assert NEEDLE.encode() not in data
    assert b"CIRCLE" in data


def test_overlays_and_curves_go_because_bits_cannot_be_cleaned() -> None:
    overlay = explicit(0x60003000, "OW", b"NEEDLE" * 4), explicit(0x60000010, "US", b"\2\0")
    curve = explicit(0x50003000, "OW", b"CURVED" * 4)
    found = left(*overlay, curve, sequence(ANNOTATIONS, annotation(drawn("CIRCLE", LINE))))
    assert not [element for element in found.elements if element.tag >> 24 in {0x50, 0x60}]


def test_the_code_is_claimed_with_the_option_only() -> None:
    shape = sequence(ANNOTATIONS, annotation(drawn("CIRCLE", LINE)))
    assert b"113103" in bytes(left(shape).data)
    for names in ("basic", "research-mri", "basic,clean-structured-content"):
        data = bytes(left(shape, names=names).data) if names != "research-mri" else b""
        assert b"113103" not in data
        assert b"CIRCLE" not in data, "a dummy stands for them"


@pytest.mark.parametrize("names", ["research-mri,clean-graphics", "basic,clean-structured-content,clean-graphics"])
def test_it_can_be_put_on_others(names: str) -> None:
    plan = plan_of(names)
    applied = plan.recipe.directives
    assert any("113103" in directive.words for directive in applied)
    assert plan.cleaning.graphics
    assert (plan.cleaning.contents is not None) == ("structured" in names)


SHAPES = st.sampled_from(["POINT", "CIRCLE", "ELLIPSE", "POLYLINE", "INTERPOLATED", "POLYGON"])
POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=7)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SHAPES, POINTS), max_size=5), st.booleans(), st.booleans())
def test_no_text_and_no_open_line_of_many_points_leaves(
    shapes: list[tuple[str, Points]],
    undefined: bool,  # noqa: FBT001
    undefined_items: bool,  # noqa: FBT001
) -> None:
    objects = [drawn(kind, points) for kind, points in shapes]
    found = left(sequence(ANNOTATIONS, annotation(*objects), undefined=undefined, undefined_items=undefined_items))
    assert NEEDLE.encode() not in bytes(found.data)
    assert bytes(found.data).count(b"\x70\x00\x23\x00CS") == sum(map(stays, shapes))
    annotations = found.find(ANNOTATIONS)
    assert (annotations is not None) == any(map(stays, shapes))
    if annotations:
        assert (annotations.end != annotations.stop) == undefined, "lengths stay as they were sent"


def stays(shape: tuple[str, Points]) -> bool:
    """The same in other words."""
    kind, points = shape
    if kind in {"POINT", "CIRCLE", "ELLIPSE"}:
        return len(points) == {"POINT": 1, "CIRCLE": 2, "ELLIPSE": 4}[kind]
    return kind != "POLYGON" and bool(points) and (len(points) < 4 or points[0] == points[-1])
