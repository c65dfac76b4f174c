"""Random data sets with a needle in every place a name can hide: none may survive."""

import string
from struct import pack

import factories
import pytest
from encoded import EXPLICIT, IMPLICIT, MR, UID, explicit, implicit, instance, items, sequence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scp import dictionary
from scp.dataset import UNDEFINED, read
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import find
from scp.deidentify.recipe import read as read_recipe
from scp.deidentify.step import Action
from scp.instance import Subject
from scp.outcome import Failure, Outcome

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
PLAN = compile_plan(read_recipe(find("mip")), Policy({}))
NEEDLE = "QZNEEDLE"
REMOVED_TEXT = [
    attribute
    for tag, attribute in dictionary.ATTRIBUTES.items()
    if attribute.vrs[0] in {"LO", "PN", "SH", "ST", "LT", "UT", "CS", "DA", "UI", "AE"}
    and len(attribute.vrs) == 1
    and tag not in PLAN.added
    and PLAN.decisions.get(tag) is not None
    and PLAN.decisions[tag].action in {Action.REMOVE, Action.REPLACE}
]
KEPT_SEQUENCES = [tag for tag, step in PLAN.decisions.items() if step.action is Action.RECURSE]
GONE_SEQUENCES = [0x00081140, 0x00400275, 0x00081110, 0x00101002]
PRIVATE_CREATORS = ["SIEMENS MR HEADER", "GEMS_PARM_01", "QZNEEDLE CREATOR", "Philips Imaging DD 001"]

Part = tuple[int, bytes]


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """A needle with something around it, sometimes longer than 64 KiB."""
    around = draw(st.text(string.ascii_letters + string.digits + " ^=.", max_size=8)).encode()
    padding = b"x" * draw(st.sampled_from([0, 0, 0, 0, 66_000]))
    return around + NEEDLE.encode() + around + padding


@st.composite
def texts(draw: st.DrawFn, *, vrs: bool) -> Part:
    """A public attribute that the recipe removes or rewrites."""
    attribute = draw(st.sampled_from(REMOVED_TEXT))
    value = draw(values())
    if not vrs:
        return attribute.tag, implicit(attribute.tag, value)
    vr = draw(st.sampled_from([attribute.vrs[0], "UN", "OB"]))
    return attribute.tag, explicit(attribute.tag, vr if len(value) < 65_000 else "UN", value)


@st.composite
def privates(draw: st.DrawFn, *, vrs: bool) -> Part:
    """A private block whose creator, text, bytes or nested items hold the needle."""
    group = draw(st.sampled_from([0x0009, 0x0019, 0x0029, 0x2001, 0x2005]))
    creator, number = draw(st.sampled_from(PRIVATE_CREATORS)), draw(st.sampled_from([0x1001, 0x100B, 0x1099]))
    value, undefined = draw(values()), draw(st.booleans())
    tag = group << 16 | number
    if not vrs:
        nested = items([implicit(0x00100010, value)], undefined=undefined)
        inside = implicit(tag, nested, UNDEFINED if undefined else None)
        return tag, implicit(group << 16 | 0x10, creator) + draw(st.sampled_from([implicit(tag, value), inside]))
    kind = draw(st.sampled_from(["UN", "OB", "UT", "SQ"]))
    if kind == "SQ":
        inside = sequence(tag, explicit(0x00400280, "UT", value), undefined=undefined)
    else:
        inside = explicit(tag, kind, value)
    return tag, explicit(group << 16 | 0x10, "LO", creator) + inside


@st.composite
def sequences(draw: st.DrawFn, content: st.SearchStrategy[bytes], *, vrs: bool) -> Part:
    """A sequence, kept or removed, defined or not, as SQ or as UN."""
    tag = draw(st.sampled_from(KEPT_SEQUENCES + GONE_SEQUENCES))
    undefined, undefined_items = draw(st.booleans()), draw(st.booleans())
    inside = draw(st.lists(content, max_size=2))
    if vrs:
        return tag, sequence(tag, *inside, undefined=undefined, undefined_items=undefined_items)
    value = items(inside, undefined=undefined, undefined_items=undefined_items)
    return tag, implicit(tag, value, UNDEFINED if undefined else None)


def level(*, vrs: bool, depth: int) -> st.SearchStrategy[bytes]:
    """The bytes of one level, sorted by tag."""
    parts: list[st.SearchStrategy[Part]] = [texts(vrs=vrs), privates(vrs=vrs)]
    if depth:
        parts.append(sequences(level(vrs=vrs, depth=depth - 1), vrs=vrs))
        if vrs:
            parts.append(unknown_sequences(depth - 1))
    return st.lists(st.one_of(parts), max_size=5).map(lambda found: joined(dict(found)))


@st.composite
def unknown_sequences(draw: st.DrawFn, depth: int) -> Part:
    """A sequence that was sent as UN, with implicit items."""
    tag, undefined = draw(st.sampled_from(KEPT_SEQUENCES + GONE_SEQUENCES)), draw(st.booleans())
    inside = draw(st.lists(level(vrs=False, depth=depth), max_size=2))
    return tag, sequence(tag, *inside, vr="UN", undefined=undefined)


def joined(parts: dict[int, bytes]) -> bytes:
    """One private block a group: its creator stands before its elements."""
    groups_seen: set[int] = set()
    kept = []
    for tag in sorted(parts):
        if tag >> 16 & 1:
            if tag >> 16 in groups_seen:
                continue
            groups_seen.add(tag >> 16)
        kept.append(parts[tag])
    return b"".join(kept)


def whole(body: bytes, *, vrs: bool) -> bytes:
    """The level with class and instance, which every data set has; sorted again at the top."""
    needed = {0x00080016: MR, 0x00080018: UID}
    dataset = read(body, explicit=vrs)
    parts = {element.tag: body[element.start : element.stop] for element in dataset.elements}
    parts |= {tag: explicit(tag, "UI", text) if vrs else implicit(tag, text) for tag, text in needed.items()}
    return b"".join(parts[tag] for tag in sorted(parts))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.booleans())
def test_no_needle_survives(data: st.DataObject, vrs: bool) -> None:  # noqa: FBT001  hypothesis
    sent = whole(data.draw(level(vrs=vrs, depth=3)), vrs=vrs)
    original = instance(sent, EXPLICIT if vrs else IMPLICIT)
    made = b"".join(PLAN.apply(original, SUBJECT).parts)
    assert NEEDLE.encode() not in made
    again = read(made[made.index(b"\x08\0\x16\0UI") :], explicit=True)
    assert again.text(0x00080018).startswith("2.25.")


@pytest.mark.parametrize("plan", [PLAN, compile_plan(read_recipe(find("mip-strict")), Policy({}))])
@pytest.mark.parametrize("transfer_syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("make", [factories.mr, factories.ct, factories.enhanced])
def test_no_needle_of_the_factories_survives(plan: Plan, transfer_syntax: str, make: object) -> None:
    assert callable(make)
    for seed in range(3):
        made = b"".join(plan.apply(factories.instance(make(seed), transfer_syntax), SUBJECT).parts)
        assert [needle for needle in factories.needles(seed) if needle in made] == []
        for date in (b"20250917", b"19521130", b"134502"):
            assert date not in made


@pytest.mark.parametrize("attribute", REMOVED_TEXT, ids=lambda attribute: attribute.keyword)
def test_every_removed_text_attribute_is_removed_at_every_level(attribute: dictionary.Attribute) -> None:
    token = explicit(attribute.tag, attribute.vrs[0], NEEDLE)
    geometry = 0x00209113  # PlanePositionSequence, which is kept
    inside = sequence(geometry, sequence(geometry, token) + (token if attribute.tag > geometry else b""))
    parts = {0x00080016: explicit(0x00080016, "UI", MR), 0x00080018: explicit(0x00080018, "UI", UID)}
    parts |= {geometry: inside, attribute.tag: token}
    try:
        original = instance(b"".join(parts[tag] for tag in sorted(parts)))
    except Failure as failure:
        pytest.fail(str(failure))
    assert NEEDLE.encode() not in b"".join(PLAN.apply(original, SUBJECT).parts)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.booleans())
def test_what_is_no_data_set_is_never_let_through(data: bytes, undefined: bool) -> None:  # noqa: FBT001  hypothesis
    needed = explicit(0x00080016, "UI", MR) + explicit(0x00080018, "UI", UID)
    length = UNDEFINED if undefined else len(data)
    unknown = pack("<HH2sHI", 0x0020, 0x9113, b"UN", 0, length) + data
    try:
        made = PLAN.apply(instance(needed + unknown), SUBJECT)
    except Failure as failure:
        assert failure.outcome in {Outcome.MALFORMED, Outcome.INCOMPLETE, Outcome.NOT_DEIDENTIFIED}  # noqa: PT017  either
    else:
        assert read(b"".join(made.parts)[132 + 12 :][_meta(made.parts[0]) :], explicit=True).elements


def _meta(head: bytes | bytearray | memoryview) -> int:
    """The length of the file meta information behind its first element."""
    return int.from_bytes(bytes(head[140:144]), "little")
