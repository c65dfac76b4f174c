"""The residual guard finds values however they are spelled anew, and those that stand only in what was sent as UN."""

from collections.abc import Callable

import pytest
from encoded import IMPLICIT, explicit, image, implicit, instance, items, ordered, sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from scp.bounds import Bounds, Excess
from scp.dataset import BOUNDS, read
from scp.deidentify import sent
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions.original import Original
from scp.deidentify.guard import Guard
from scp.deidentify.needles import Kind, Recent, collect
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.deidentify.recipe import read as read_recipe
from scp.deidentify.sent import values
from scp.instance import Subject
from scp.outcome import Failure, Outcome
from scp.table import Shapes

ORIGINAL = explicit(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M")
SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
NAME, PATIENT_ID, PHYSICIAN, COMMENTS, WINDOW = 0x00100010, 0x00100020, 0x00080090, 0x00204000, 0x00281050
LAX = """FORMAT dicom
%header
REMOVE ALL
# because: a test
KEEP SOPClassUID
REPLACE SOPInstanceUID func:uid
KEEP ImageComments
KEEP WindowCenter
KEEP SpecificCharacterSet
"""
GUARD = Guard({NAME: Kind.NAME, PATIENT_ID: Kind.TEXT, PHYSICIAN: Kind.NAME}, frozenset(), frozenset())


@pytest.fixture(scope="module")
def lax(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("lax") / "lax.dicom"
    path.write_text(LAX)
    return compile_plan(read_recipe(path), Policy({}))


def refused(plan: Plan, *elements: bytes, implicitly: bool = False) -> str:
    """Why the guard holds an image with these elements back; empty where it does not."""
    given_ = instance(ordered(*elements), IMPLICIT) if implicitly else instance(image(*elements))
    try:
        plan.apply(given_, SUBJECT)
    except Failure as failure:
        return failure.why if failure.outcome is Outcome.RESIDUAL else "refused for another reason"
    return ""


def comment(text: str | bytes) -> bytes:
    return explicit(COMMENTS, "LT", text)


@pytest.mark.parametrize(
    ("tag", "vr", "sent", "left"),
    [
        (NAME, "PN", "Muster^Hans", "MUSTER, Hans"),
        (NAME, "PN", "Muster^Hans", "Muster-Hans"),
        (NAME, "PN", "Muster^Hans", "hans_muster"),
        (NAME, "PN", "Li^Na", "LI, Na"),
        (NAME, "PN", "Li^Na", "seen by Na/Li."),
        (NAME, "PN", "Xu Yi^Li", "Xu-Yi, Li"),
        (NAME, "PN", "O'Doy^Jo", "ODOY JO"),
        (NAME, "PN", "Test^Jo", "Jo Test"),
        (NAME, "PN", "Qu^Ed", b"Q\0u\0,\0 \0E\0d\0"),
        (PATIENT_ID, "LO", "AB-12-34", "ab 12.34"),
        (PATIENT_ID, "LO", "AB1234", "AB/12/34"),
        (PATIENT_ID, "LO", "AB 12 34", "AB\r\n1234"),
        (PATIENT_ID, "LO", "77419605", "7741-9605"),
        (PATIENT_ID, "LO", "77419605", "77 41 96 05"),
        (PATIENT_ID, "LO", "7741.9605", "7741.9605"),
        (PATIENT_ID, "LO", "7741.9605", "77419605"),
        (PATIENT_ID, "LO", "Haus am See", "HAUS-AM-SEE"),
    ],
)
def test_separators_make_no_difference(lax: Plan, tag: int, vr: str, sent: str, left: str | bytes) -> None:
    assert refused(lax, explicit(tag, vr, sent), comment(left)).endswith("stands in (0020,4000) ImageComments")


@pytest.mark.parametrize(
    ("tag", "vr", "sent", "left"),
    [
        (NAME, "PN", "Li^Na", "line analysis"),
        (NAME, "PN", "Li^Na", "Carli Nagel"),
        (NAME, "PN", "1^2", "1 2"),
        (NAME, "PN", "Phantom^Test", "phantom-test"),
        (PATIENT_ID, "LO", "77419605", "774196-051"),
        (PATIENT_ID, "LO", "77419605", "7741\\9605"),
        (PATIENT_ID, "LO", "77419605", "0.77419605"),
        (PATIENT_ID, "LO", "General Electric", "General-Electric"),
        (PATIENT_ID, "LO", "P17", "P 17"),
    ],
)
def test_what_only_looks_alike_is_no_hit(lax: Plan, tag: int, vr: str, sent: str, left: str) -> None:
    assert refused(lax, explicit(tag, vr, sent), comment(left)) == ""


def test_fractions_and_lists_are_no_ids(lax: Plan) -> None:
    assert refused(lax, explicit(PATIENT_ID, "LO", "123456"), explicit(WINDOW, "DS", "1.23456\\12\\3456")) == ""


def test_a_value_ends_where_its_element_does() -> None:
    original = Original(instance(ordered(explicit(NAME, "PN", "Al^Bo"))).dataset, SUBJECT, {})
    two = explicit(0x00100030, "LO", "Al") + explicit(0x00202020, "LO", "Bo")
    GUARD.check(two, 0, original)
    with pytest.raises(Failure):
        GUARD.check(explicit(0x00100030, "LO", "Al  Bo"), 0, original)


@settings(max_examples=150, deadline=None)
@given(
    st.from_regex(r"[A-Z]{2,9}", fullmatch=True),
    st.from_regex(r"[A-Z]{2,9}", fullmatch=True),
    st.text(" ,;.-_^/+&()'\0\r\n\t", max_size=5),
    st.sampled_from([str, str.lower, str.title]),
    st.booleans(),
)
def test_family_and_given_name_in_any_order_with_anything_between(
    family: str,
    forename: str,
    between: str,
    case: Callable[[str], str],
    turned: bool,  # noqa: FBT001
) -> None:
    original = Original(instance(explicit(NAME, "PN", f"{family}^{forename}")).dataset, SUBJECT, {})
    if not any(needle.loose for needle in collect(GUARD.kinds, original, Recent()).values()):
        return  # both are protocol words
    pair = (forename, family) if turned else (family, forename)
    left = between.join(map(case, pair))
    with pytest.raises(Failure) as caught:
        GUARD.check(explicit(COMMENTS, "LT", f"; {left} ."), 0, original)
    assert caught.value.outcome is Outcome.RESIDUAL
    assert left not in caught.value.why


@pytest.mark.parametrize(
    ("charset", "encoding", "sent", "left"),
    [
        ("ISO_IR 100", "latin-1", "Jürg^Ö", "JÜRG, Ö"),
        ("ISO_IR 192", "utf-8", "Jürg^Ö", "jürg-ö"),
        ("GB18030", "gb18030", "王^小", "小 - 王"),
    ],
)
def test_in_other_character_sets(lax: Plan, charset: str, encoding: str, sent: str, left: str) -> None:
    head = explicit(0x00080005, "CS", charset), explicit(NAME, "PN", sent.encode(encoding))
    assert refused(lax, *head, comment(left.encode(encoding))) != ""
    assert refused(lax, *head, comment(left.encode())) != "", "as UTF-8"
    assert refused(lax, *head, comment("Jo")) == ""


INNER = implicit(PHYSICIAN, "ONLYINSIDE^EVE")
HIDDEN: dict[str, tuple[bytes, ...]] = {
    "a public sequence": (explicit(0x00400275, "UN", items([INNER])),),
    "its second item": (explicit(0x00400275, "UN", items([implicit(0x00080050, "1"), INNER])),),
    "a private sequence": (explicit(0x00290010, "LO", "MAKER"), explicit(0x00291001, "UN", items([INNER]))),
    "items of undefined length": (explicit(0x00400275, "UN", items([INNER], undefined_items=True)),),
    "explicit in spite of the standard": (
        explicit(0x00400275, "UN", items([explicit(PHYSICIAN, "PN", "ONLYINSIDE^EVE")])),
    ),
    "inside of a sequence": (sequence(0x00400275, explicit(0x00400008, "UN", items([INNER]))),),
    "UN within UN": (
        explicit(0x00291001, "UN", items([implicit(0x00291002, items([implicit(0x00291003, items([INNER]))]))])),
    ),
    "items laid out alike": (
        sequence(
            0x00400275, *(explicit(0x00291001, "UN", items([implicit(PHYSICIAN, f"ONLYINSIDE^{n}")])) for n in "ABCDEF")
        ),
    ),
}


@pytest.mark.parametrize("where", HIDDEN)
def test_what_stands_only_in_a_sequence_sent_as_un(lax: Plan, where: str) -> None:
    assert "ReferringPhysicianName" in refused(lax, *HIDDEN[where], comment("Dr. Onlyinside"))
    assert refused(lax, *HIDDEN[where], comment("fine")) == ""


def test_a_private_sequence_of_an_implicit_data_set(lax: Plan) -> None:
    head = implicit(0x00080016, "1.2.840.10008.5.1.4.1.1.4\0"), implicit(0x00080018, "1.2.3.4.5\0")
    hidden = implicit(0x00291001, items([INNER]))
    left = implicit(COMMENTS, "of onlyinside")
    assert "ReferringPhysicianName" in refused(lax, *head, hidden, left, implicitly=True)
    assert refused(lax, *head, left, implicitly=True) == ""


@pytest.mark.parametrize(
    "value", [b"\xfe\xff\x00\xe0", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x00\xe0" + b"ab" * 9]
)
def test_bytes_that_begin_as_an_item_does_are_only_bytes(lax: Plan, value: bytes) -> None:
    assert refused(lax, explicit(0x00291001, "UN", value), comment("fine")) == ""


def test_what_is_nested_deeper_than_sequences_may_be_is_refused() -> None:
    value = INNER
    for _ in range(BOUNDS.depth + 2):
        value = implicit(0x00291001, items([value]))
    with pytest.raises(Excess):
        list(values(read(value, explicit=False), {PHYSICIAN}))


def test_more_elements_than_a_data_set_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent, "BOUNDS", Bounds(elements=1_000))
    many = items([b""]) * 501
    data = explicit(0x00291001, "UN", many) + explicit(0x00291002, "UN", many)
    with pytest.raises(Excess):
        list(values(read(data, explicit=True), {PHYSICIAN}))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_in_un_end_in_values_or_in_the_limits(content: bytes, item: bool) -> None:  # noqa: FBT001
    value = items([content]) if item else b"\xfe\xff\x00\xe0" + content
    found = list(values(read(explicit(0x00291001, "UN", value), explicit=True), {PHYSICIAN, NAME}))
    assert all(tag in {PHYSICIAN, NAME} and one in value for tag, one in found)


def test_many_places_that_are_none_hold_nothing_up() -> None:
    original = Original(instance(explicit(PATIENT_ID, "LO", "12121212")).dataset, SUBJECT, {})
    GUARD.check(explicit(COMMENTS, "UT", "12" * 20_000), 0, original)  # numbers within a longer one
    with pytest.raises(Failure):
        GUARD.check(explicit(COMMENTS, "UT", "12" * 20_000 + " 1212-1212"), 0, original)


def test_an_id_that_is_the_date_of_the_scan_does_not_hold_up_the_date_that_is_written() -> None:
    plan = compile_plan(load("mip"), Policy({}))
    elements = explicit(0x00080020, "DA", "20240201"), explicit(0x00200010, "SH", "20240201")
    made = plan.apply(instance(image(explicit(0x00080060, "CS", "MR"), ORIGINAL, *elements)), SUBJECT)
    assert b"20240201" in b"".join(made.parts), "the first of the month"


def test_the_recipes_that_come_with_the_node_hold_what_they_wrote_themselves() -> None:
    plan = compile_plan(load("research-mri"), Policy({}))
    made = plan.apply(instance(image(explicit(NAME, "PN", "Muster^Hans"))), SUBJECT)
    assert b"Muster" not in b"".join(made.parts)


def test_a_layout_of_items_tells_each_who_asks_what_that_one_asks_for() -> None:
    """The same items, asked for other attributes: by two recipes, say, of which one was put in the other's place."""
    item = explicit(0x00080022, "DA", "20240517") + explicit(0x00081155, "UI", "1.2.3")
    shapes = Shapes(BOUNDS.values)
    data = image(sequence(0x00081140, *[item] * 4))
    dataset = read(data, explicit=True, shapes=shapes)
    dates, uids = frozenset({0x00080022}), frozenset({0x00081155})
    for tags, value in ((dates, b"20240517"), (uids, b"1.2.3 "), (dates, b"20240517")):
        assert [*values(dataset, tags)] == [(*tags, value)] * 4
