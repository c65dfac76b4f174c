"""Clean Structured Content: each row of PS3.15 Table E.3.4-1 gets its coded outcome, wherever the item stands."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from encoded import IMPLICIT, explicit, image, implicit, instance, items, ordered, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.sr import _snomed_dict

from scp.dataset import BOUNDS, PIXEL_DATA, DataSet, read
from scp.deidentify import profile
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.concepts import Fate, concepts_of
from scp.deidentify.plan import Plan
from scp.deidentify.profile import FOLDER, OPTIONS, Concept, concepts, retired_concepts
from scp.deidentify.recipe import RecipeError, load
from scp.instance import Instance, Subject
from scp.pixels import Header, begin

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
CONTENT, CONTEXT, SPECIMEN, STEPS = 0x0040A730, 0x00400555, 0x00400610, 0x00400612
NEEDLE, OLD_UID, OLD_DATE, OLD_TIME = "QWERTZNEEDLE", "1.2.3.4.77.88.99", "19630417", "031557"
FINDING = ("121071", "DCM")
TABLE = concepts()
_META = 144  # where the length of the file meta information, (0002,0000), ends


@cache
def plan_of(names: str) -> Plan:
    return compile_plan(load(names), Policy({}))


def named(code: str, scheme: str) -> bytes:
    name = [explicit(0x00080100, "SH", code), explicit(0x00080102, "SH", scheme), explicit(0x00080104, "LO", "x")]
    return explicit(0x0040A043, "SQ", items([b"".join(name)]))


def reference() -> bytes:
    sop = explicit(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.4") + explicit(0x00081155, "UI", OLD_UID)
    return sequence(0x00081199, sop)


def value_of(kind: str) -> bytes:
    """A value that may not leave, as an item of this type holds it."""
    coded = explicit(0x00080100, "SH", "M") + explicit(0x00080102, "SH", "DCM") + explicit(0x00080104, "LO", NEEDLE)
    return {
        "TEXT": explicit(0x0040A160, "UT", NEEDLE),
        "DATE": explicit(0x0040A121, "DA", OLD_DATE),
        "TIME": explicit(0x0040A122, "TM", OLD_TIME),
        "DATETIME": explicit(0x0040A120, "DT", OLD_DATE + OLD_TIME),
        "PNAME": explicit(0x0040A123, "PN", NEEDLE),
        "UIDREF": explicit(0x0040A124, "UI", OLD_UID),
        "NUM": sequence(0x0040A300, explicit(0x0040A30A, "DS", "77345123")),
        "CODE": sequence(0x0040A168, coded),
        "CONTAINER": sequence(CONTENT, explicit(0x0040A160, "UT", NEEDLE)),
    }.get(kind, reference())


def content(code: str, scheme: str, kind: str, *more: bytes) -> bytes:
    """A content item with this concept name, and a value that may not leave."""
    typed = explicit(0x0040A040, "CS", kind) if kind else b""
    return ordered(
        explicit(0x0040A010, "CS", "CONTAINS"), typed or reference(), named(code, scheme), value_of(kind), *more
    )


KEPT = ordered(
    explicit(0x0040A040, "CS", "NUM"),
    named("112031", "DCM"),
    sequence(0x0040A300, explicit(0x0040A30A, "DS", "42")),
)
"""An item that no table names: a measurement."""


def report(*more: bytes) -> bytes:
    return ordered(
        explicit(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.33"),
        explicit(0x00080018, "UI", "1.2.3.4.5"),
        explicit(0x00100020, "LO", "PATIENT-77"),
        explicit(0x0020000D, "UI", "1.2.3.1"),
        explicit(0x0020000E, "UI", "1.2.3.2"),
        explicit(0x0040A040, "CS", "CONTAINER"),
        *more,
    )


def left(plan: Plan, *more: bytes) -> DataSet:
    """The data set that leaves."""
    made = plan.apply(instance(report(*more)), SUBJECT)
    whole = b"".join(made.parts)
    assert made.size == len(whole)
    return read(whole[_META + int.from_bytes(whole[_META - 4 : _META], "little") :], explicit=True)


def coded(concept: Concept) -> bytes:
    """The element that holds its code: what is left of its item."""
    return explicit(0x00080100, "SH", concept.code)


def gone(concept: Concept, found: DataSet) -> None:
    """The value that may not leave is nowhere."""
    data = bytes(found.data)
    for needle in (NEEDLE, OLD_UID, OLD_DATE, "77345123"):
        assert needle.encode() not in data, concept


def place(where: str, item: bytes) -> bytes:
    return {
        "at the top": sequence(CONTENT, item, KEPT),
        "nested": sequence(CONTENT, ordered(explicit(0x0040A040, "CS", "CONTAINER"), sequence(CONTENT, item, KEPT))),
        "of undefined length": sequence(CONTENT, item, KEPT, undefined=True, undefined_items=True),
        "acquisition context": sequence(CONTEXT, item, KEPT),
        "specimen preparation": sequence(SPECIMEN, sequence(STEPS, item, KEPT)),
    }[where]


WHERE = ("at the top", "nested", "of undefined length", "acquisition context", "specimen preparation")


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("concept", TABLE, ids=lambda one: f"{one.code} {one.scheme} {one.value_type}")
def test_every_row_under_the_basic_profile(concept: Concept, where: str) -> None:
    found = left(
        plan_of("basic,clean-structured-content"),
        place(where, content(concept.code, concept.scheme, concept.value_type)),
    )
    gone(concept, found)
    assert b"42" in bytes(found.data), "the measurement beside it stays"
    assert (coded(concept) in bytes(found.data)) == (concept.basic != "X"), "X goes with its item, D keeps it"


@pytest.mark.parametrize("option", [option.name for option in OPTIONS])
def test_what_an_option_says_of_every_row(option: str) -> None:
    plan = plan_of(f"basic,clean-structured-content,{option}")
    for concept in TABLE:
        code = concept.options.get(option, "")
        found = bytes(left(plan, place("at the top", content(concept.code, concept.scheme, concept.value_type))).data)
        assert (coded(concept) in found) == (bool(code) or concept.basic != "X"), concept
        if code == "K" and concept.value_type in {"TEXT", "NUM", "CODE"}:
            assert NEEDLE.encode() in found or b"77345123" in found, concept
        elif code == "K" and concept.value_type in {"DATE", "DATETIME"}:
            assert OLD_DATE.encode() in found, concept
        elif concept.value_type not in {"IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF", "TIME"}:
            gone(concept, read(found, explicit=True))


@pytest.mark.parametrize("value_type", ["TEXT", "PNAME", "DATE", "DATETIME", "UIDREF", "IMAGE"])
def test_what_no_table_names_is_cleaned_and_stays(value_type: str) -> None:
    found = left(plan_of("basic,clean-structured-content"), sequence(CONTENT, content("L-1", "99SITE", value_type)))
    gone(TABLE[0], found)
    assert b"99SITE" in bytes(found.data)


def test_protocol_words_of_a_text_stay_and_a_dummy_has_none() -> None:
    text = explicit(0x0040A160, "UT", f"axial T1 of {NEEDLE}")
    unnamed = content("L-1", "99SITE", "TEXT", text)
    dummied = content("121071", "DCM", "TEXT", text)  # X/D
    found = bytes(left(plan_of("basic,clean-structured-content"), sequence(CONTENT, unnamed, dummied)).data)
    assert found.count(b"axial T1") == 1
    assert b"UNLISTED" in found
    cleaned = plan_of("basic,clean-structured-content,clean-descriptors")
    assert bytes(left(cleaned, sequence(CONTENT, unnamed, dummied)).data).count(b"axial T1") == 2


@pytest.mark.parametrize("scheme", ["SRT", "SNM3", "99SDM"])
@pytest.mark.parametrize("current", retired_concepts())
def test_retired_codes_are_known_still(current: tuple[str, str], scheme: str) -> None:
    old = retired_concepts()[current]
    assert _snomed_dict.mapping["SCT"][current[0]] == old, "as pydicom has Annex O of PS3.16"
    fates = concepts_of(["113100", "113104"])
    kinds = [one.value_type for one in TABLE if (one.code, one.scheme) == current]
    assert kinds
    assert all(fates.fate(old, scheme, kind) == fates.fate(*current, kind) for kind in kinds)


def test_every_snomed_concept_has_its_retired_code() -> None:
    assert {(one.code, one.scheme) for one in TABLE if one.scheme == "SCT"} == set(retired_concepts())


def test_an_item_that_says_no_type_is_of_the_worst() -> None:
    fates = concepts_of(["113100", "113104"])
    assert fates.fate("121071 ", "DCM\0", " TEXT") is Fate.DUMMY
    assert fates.fate("371524004", "SCT", "") is Fate.REMOVED
    assert fates.fate("371524004", "DCM", "") is Fate.CLEANED
    found = bytes(
        left(plan_of("basic,clean-structured-content"), sequence(CONTENT, content("121106", "DCM", ""), KEPT)).data
    )
    assert b"121106" not in found


def test_a_code_under_another_scheme_is_another_concept() -> None:
    found = bytes(
        left(plan_of("basic,clean-structured-content"), sequence(CONTENT, content("121106", "99X", "TEXT"))).data
    )
    assert b"121106" in found


def test_a_sequence_without_items_goes_where_it_may() -> None:
    plan = plan_of("basic,clean-structured-content")
    removed = content("121106", "DCM", "TEXT")
    assert left(plan, sequence(CONTENT, removed)).find(CONTENT) is None
    context = left(plan, sequence(CONTEXT, removed)).find(CONTEXT)
    assert context is not None
    assert context.value == context.end, "of type 2: empty"


def test_a_removed_item_takes_with_it_what_hangs_on_it() -> None:
    child = sequence(CONTENT, content("L-1", "99SITE", "TEXT", explicit(0x0040A160, "UT", "axial")))
    found = left(
        plan_of("basic,clean-structured-content"), sequence(CONTENT, content("121106", "DCM", "TEXT", child), KEPT)
    )
    assert b"axial" not in bytes(found.data)
    assert b"42" in bytes(found.data)


def test_a_content_sequence_sent_as_un() -> None:
    code = implicit(0x00080100, "121106") + implicit(0x00080102, "DCM ")
    removed = ordered(implicit(0x0040A043, items([code])), implicit(0x0040A160, NEEDLE), implicit(0x0040A040, "TEXT"))
    kept = ordered(implicit(0x0040A040, "TEXT"), implicit(0x0040A160, "axial "))
    found = left(plan_of("basic,clean-structured-content"), explicit(CONTENT, "UN", items([removed, kept])))
    gone(TABLE[0], found)
    assert b"121106" not in bytes(found.data)
    assert b"axial" in bytes(found.data)


def test_an_implicit_report() -> None:
    code = implicit(0x00080100, "121106") + implicit(0x00080102, "DCM ")
    removed = ordered(implicit(0x0040A043, items([code])), implicit(0x0040A160, NEEDLE), implicit(0x0040A040, "TEXT"))
    head = implicit(0x00080016, "1.2.840.10008.5.1.4.1.1.88.33\0"), implicit(0x00080018, "1.2.3.4.5\0")
    sent = ordered(*head, implicit(CONTENT, items([removed, ordered(implicit(0x0040A160, "axial "))])))
    whole = b"".join(plan_of("basic,clean-structured-content").apply(instance(sent, IMPLICIT), SUBJECT).parts)
    assert NEEDLE.encode() not in whole
    assert b"axial" in whole


def test_items_laid_out_alike_are_judged_one_by_one() -> None:
    plan = plan_of("basic,clean-structured-content")
    codes = ["L-1111", "121106", "L-2222", "121106", "L-3333", "121106", "L-4444"]
    found = bytes(left(plan, sequence(CONTENT, *(content(code, "DCM", "TEXT") for code in codes))).data)
    assert b"121106" not in found
    assert all(code.encode() in found for code in codes if code != "121106")


def test_in_a_stream_the_header_is_cleaned_too() -> None:
    plan = plan_of("basic,clean-structured-content")
    whole = instance(image(sequence(CONTEXT, content("121106", "DCM", "TEXT"), KEPT)))
    element = whole.dataset.find(PIXEL_DATA)
    assert element
    sent = bytes(whole.dataset.data)
    header = Header(explicit=True, ends=frozenset({PIXEL_DATA}), bounds=BOUNDS)
    head = plan.deidentify(Instance(whole.arrival, *begin(bytearray(sent[: element.value]), iter(()), header)), SUBJECT)
    made = b"".join(plan.apply(whole, SUBJECT).parts)
    assert b"".join(head.parts) + sent[element.value :] == made
    assert NEEDLE.encode() not in made
    assert KEPT in made


def test_without_the_option_content_is_a_dummy_and_no_code_is_claimed() -> None:
    found = bytes(left(plan_of("basic"), sequence(CONTENT, KEPT)).data)
    assert b"113104" not in found
    assert b"112031" not in found
    assert b"113104" in bytes(left(plan_of("basic,clean-structured-content"), sequence(CONTENT, KEPT)).data)


def test_what_is_kept_is_kept_byte_for_byte() -> None:
    plan = plan_of("basic,clean-structured-content")
    assert KEPT in bytes(left(plan, sequence(CONTENT, KEPT, content("121106", "DCM", "TEXT"))).data)


def test_a_recipe_that_keeps_texts_cannot_say_that_content_is_clean(tmp_path: Path) -> None:
    site = tmp_path / "site.dicom"
    site.write_text(
        "FORMAT dicom\n%labels\nADD applies 113104\n%header\n# because: a test\nKEEP ContentSequence\nKEEP TextValue\n"
    )
    with pytest.raises(RecipeError, match=r"site.dicom:7: 113104 is applied and TextValue is kept"):
        compile_plan(load(f"basic,{site}"), Policy({}))


def test_the_table_is_refused_unless_it_is_the_known_one(tmp_path: Path) -> None:
    text = (FOLDER / "e.3.4-1.csv").read_text("utf-8")
    other = tmp_path / "other.csv"
    for wrong in (text.rsplit("\n", 2)[0] + "\n", text.replace(",X,", ",Q,", 1), text.replace("Value Type", "Type", 1)):
        other.write_text(wrong, "utf-8")
        with pytest.raises(ValueError, match=r"3\.4-1|PS3\.15"):
            profile.concepts(other)


PARTS: Sequence[tuple[str, str, str]] = [
    ("121106", "DCM", "TEXT"),
    ("121071", "DCM", "TEXT"),
    ("121016", "DCM", "TEXT"),
    ("121008", "DCM", "PNAME"),
    ("L-1", "99SITE", "TEXT"),
    ("L-2", "99SITE", "UIDREF"),
]
TREES = st.recursive(
    st.sampled_from(PARTS).map(lambda one: content(*one)),
    lambda inner: st.builds(
        lambda children, undefined, items_: ordered(
            explicit(0x0040A040, "CS", "CONTAINER"),
            named("L-9", "99SITE"),
            sequence(CONTENT, *children, undefined=undefined, undefined_items=items_),
        ),
        st.lists(inner, max_size=4),
        st.booleans(),
        st.booleans(),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TREES, min_size=1, max_size=4), st.booleans())
def test_any_tree_of_items_is_clean_and_well_formed(trees: list[bytes], undefined: bool) -> None:  # noqa: FBT001
    found = left(plan_of("basic,clean-structured-content"), sequence(CONTENT, *trees, undefined=undefined))
    gone(TABLE[0], found)
    data = bytes(found.data)
    assert b"121106" not in data
    tags = [element.tag for element in found.elements]
    assert all(first < second for first, second in pairwise(tags))
    sent = b"".join(trees)
    for code in (b"L-1", b"L-2", b"121071", b"121008"):
        assert data.count(code) == sent.count(code), "nothing else goes"
