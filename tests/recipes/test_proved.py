"""What was found of one instance of a series spares the others a search, and never hides what the guard would find."""

from collections.abc import Sequence
from pathlib import Path
from struct import pack

import pytest
from encoded import EXPLICIT, MR, explicit, image
from hypothesis import given, settings
from hypothesis import strategies as st
from test_series import COMMENTS, LAX, MORE, NAME, SUBJECT, apply, plan, refused, slices

from scp.alike import Neighbours
from scp.dataset import read
from scp.deidentify import proved, sought
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions.original import Original
from scp.deidentify.guard import Guard
from scp.deidentify.needles import Kind
from scp.deidentify.part10 import head
from scp.deidentify.proved import Proved
from scp.deidentify.recipe import load
from scp.deidentify.sought import Sought, Text
from scp.outcome import Failure, Outcome

BIRTH, ACCESSION, STUDY, INSTITUTION = 0x00100030, 0x00080050, 0x0020000D, 0x00080080
KINDS = {NAME: Kind.NAME, BIRTH: Kind.DATE, ACCESSION: Kind.TEXT, INSTITUTION: Kind.TEXT, STUDY: Kind.UID}
GUARD = Guard(KINDS, frozenset(), frozenset())
FRONT = head(MR, "2.25.77", EXPLICIT)
WORDS = ["muster", "Hans", "Jörg", "20240517", "17.05.2024", "ACC 123456", "Clinique Belval"]
WORDS += ["1.2.826.44.1234567", "T1", ""]
TAGS = [0x00080060, 0x00081030, 0x00181030, 0x00204000, 0x00200010, 0x00324000, 0x00400254, 0x20100030, 0x52000001]

texts = st.lists(st.sampled_from([*WORDS, "-", " ", "^", "mus", "ter", "123", "456"]), max_size=3).map("".join)
values = st.tuples(st.sampled_from(list(KINDS)), st.sampled_from(WORDS))


def looked_for(found: Sequence[tuple[int, str]]) -> Sought:
    original = Original(read(image(explicit(0x00080005, "CS", "ISO_IR 192")), explicit=True), SUBJECT)
    return GUARD.sought(original, [(tag, text.encode()) for tag, text in found])


def written(elements: Sequence[tuple[int, str]], vr: str = "LT") -> tuple[bytes, list[bytes]]:
    pieces = [explicit(tag, vr, text.encode()) if text is not None else b"" for tag, text in elements]  # None: is gone
    return FRONT + b"".join(pieces), pieces


def holds(output: bytes, needles: Sequence[Sought]) -> bool:
    try:
        GUARD.hold(output, len(FRONT), needles)
    except Failure:
        return False
    return True


@st.composite
def series(draw: st.DrawFn) -> tuple[list[list[tuple[int, str]]], frozenset[int]]:
    """What stays, what changes in each of some instances, and which elements those are."""
    tags = sorted(draw(st.sets(st.sampled_from(TAGS), min_size=2)))
    changing = draw(st.frozensets(st.sampled_from(tags), min_size=1))
    fixed = {tag: draw(texts) for tag in tags}
    instances = [
        [(0x00080016, MR)] + [(tag, draw(texts | st.none()) if tag in changing else fixed[tag]) for tag in tags]
        for _ in range(3)
    ]
    return instances, changing


@settings(deadline=None, max_examples=400)
@given(series(), st.lists(values, max_size=4), st.lists(st.lists(values, max_size=2), min_size=3, max_size=3))
def test_who_is_free_is_so_by_the_guard_too(made, always, changes) -> None:
    instances, changing = made
    constant = looked_for(always)
    fixed = [explicit(tag, "LT", text.encode()) for tag, text in instances[0] if tag not in changing]
    known = Proved(fixed, constant)
    for elements, own in zip(instances, changes, strict=True):
        output, pieces = written(elements)
        regions, at = [], 0
        for (tag, _), piece in zip(elements, pieces, strict=True):
            if tag in changing:
                regions.append((at, at + len(piece)))
            at += len(piece)
        mine = looked_for(own)
        if known.is_free(GUARD, output, len(FRONT), regions, mine):
            assert holds(output, (constant, mine))


@settings(deadline=None, max_examples=300)
@given(texts, st.lists(values, max_size=5))
def test_a_text_has_what_stands_in_it(text, found) -> None:
    needles, sent = looked_for(found), text.encode()
    whole = Text(sent)
    assert sought.has(sent, needles) == bool([*whole.written(needles), *whole.loose(needles)])


@settings(deadline=None, max_examples=200)
@given(texts, st.lists(values, max_size=5))
def test_where_no_root_is_nothing_is(text, found) -> None:
    needles = looked_for(found)
    bare = Text(text.encode()).bare
    if not any(root in bare for root in proved._roots(needles)):
        assert not sought.has(text.encode(), needles._replace(wide={}))


@pytest.mark.parametrize(("count", "roots"), [(3, 3), (5000, 10_000)])
def test_a_flood_of_values_is_not_held_against_itself(count: int, roots: int) -> None:
    """Of a few, a name's parts stand for the name; of thousands, each is looked for."""
    needles = looked_for([(INSTITUTION, f"Hospital{number}") for number in range(count)])
    both = needles._replace(written={b"hospital%d x" % number: [] for number in range(count)})
    assert len(proved._roots(needles)) == count
    assert len(proved._roots(both)) == roots


def test_uids_of_one_scanner_are_one_question() -> None:
    needles = looked_for([(STUDY, f"1.3.12.2.1107.5.2.63.213017.{number}") for number in (1234, 1299, 1255)])
    assert list(needles.written) == [b"1.3.12.2.1107.5.2.63.213017.12"]
    assert [spelling for spelling, _ in needles.written[b"1.3.12.2.1107.5.2.63.213017.12"]] == [
        b"1.3.12.2.1107.5.2.63.213017.1234", b"1.3.12.2.1107.5.2.63.213017.1299", b"1.3.12.2.1107.5.2.63.213017.1255"
    ]  # fmt: skip


ELEMENTS = [(0x00080016, MR), (0x00181030, "zebra"), (COMMENTS, "one")]


def asked(
    known: Proved, elements: Sequence[tuple[int, str]], mine: Sequence[tuple[int, str]] = (), vr: str = "LT"
) -> bool:
    """Whether it is free; the last of the elements changes."""
    output, pieces = written(elements, vr)
    begin = sum(map(len, pieces[:-1]))
    return known.is_free(GUARD, output, len(FRONT), [(begin, begin + len(pieces[-1]))], looked_for(mine))


def fixed() -> list[bytes]:
    return [b"".join(written(ELEMENTS[:2])[1])]


def test_the_first_one_proves_and_the_next_ones_are_free() -> None:
    known = Proved(fixed(), looked_for([(NAME, "Muster^Hans"), (BIRTH, "20240517")]))
    assert not asked(known, ELEMENTS)
    assert asked(known, [*ELEMENTS[:2], (COMMENTS, "two")])
    assert asked(known, [*ELEMENTS[:2], (COMMENTS, "one")])


@pytest.mark.parametrize(
    ("text", "mine"),
    [
        ("by Muster", []),
        ("M-u-s-t-e-r, H a n s", []),
        ("on 17.05.2024", []),
        ("two", [(INSTITUTION, "zebra 7 Tesla"), (ACCESSION, "Protocol zebra")]),
        ("Belval Clinique", [(ACCESSION, "Belval Clinique")]),
        ("\0".join("Muster") + "\0", []),
    ],
    ids=["name", "spelled otherwise", "date", "its own", "its own there", "UTF-16"],
)
def test_who_brings_something_is_not_free(text: str, mine: list[tuple[int, str]]) -> None:
    known = Proved(fixed(), looked_for([(NAME, "Muster^Hans"), (BIRTH, "20240517")]))
    asked(known, ELEMENTS)
    free = asked(known, [*ELEMENTS[:2], (COMMENTS, text)], mine)
    assert free == (text == "two")  # where nothing of it stands


def test_its_own_value_is_found_in_what_never_changes() -> None:
    known = Proved(fixed(), looked_for([]))
    asked(known, ELEMENTS)
    assert asked(known, ELEMENTS)
    assert not asked(known, ELEMENTS, [(NAME, "Zebra^A")])


def test_what_stands_in_what_never_changes_is_never_proved() -> None:
    known = Proved(fixed(), looked_for([(NAME, "Zebra^Anna")]))
    assert not any(asked(known, ELEMENTS) for _ in range(3))


def test_another_element_than_before_proves_nothing() -> None:
    known = Proved(fixed(), looked_for([(NAME, "Muster^Hans")]))
    asked(known, ELEMENTS)
    assert asked(known, ELEMENTS)
    assert not asked(known, [*ELEMENTS[:2], (0x00324000, "one")])
    assert not asked(known, [*ELEMENTS[:2], (COMMENTS, None)])
    assert asked(known, ELEMENTS)


def test_text_that_could_go_over_a_border_proves_nothing() -> None:
    """Group 2021 has no zero: "mus" in front of it and "!ter" behind could be one text."""
    pieces = [explicit(0x20210030, "LT", "never")]
    known = Proved(pieces, looked_for([(NAME, "Muster^Hans")]))
    output, regions = FRONT + explicit(0x00080016, "UI", MR), [(0, 10)]
    assert not any(known.is_free(GUARD, output, len(FRONT), regions, looked_for([])) for _ in range(3))


def test_a_value_with_zeros_of_its_own_proves_nothing() -> None:
    known = Proved(fixed(), looked_for([(NAME, "Jörg^X")]))
    assert not any(asked(known, ELEMENTS) for _ in range(3))


@pytest.mark.parametrize("letters", [4, 7])
def test_utf_16_may_go_over_a_border(letters: int) -> None:
    """The element behind is (0065,006E), whose number is "en" in UTF-16; before it was another of that group."""
    value = "".join(f"{one}\0" for one in "sequence"[:letters])
    always = [(0x00080016, MR), (0x00181030, value)]
    known = Proved([b"".join(written(always, "UT")[1])], looked_for([(NAME, "Sequence"[:letters] + "en^A")]))
    for _ in range(3):
        free = asked(known, [*always, (0x00650100, "one")], vr="UT")
    assert free == (letters < 6), "with six there is UTF-16 in what never changes"
    changed = [*always, (0x0065006E, "one")]
    assert not asked(known, changed, vr="UT")
    assert not holds(written(changed, "UT")[0], [looked_for([(NAME, "Sequence"[:letters] + "en^A")])])


def test_an_output_with_utf_16_in_it_proves_nothing() -> None:
    wide = [(0x00080016, MR), (0x00181030, "\0".join("sequence") + "\0"), (COMMENTS, "one")]
    known = Proved([b"".join(written(wide[:2])[1])], looked_for([(NAME, "Muster^Hans")]))
    assert not any(asked(known, wide) for _ in range(3))


def test_a_data_set_that_begins_elsewhere_proves_nothing() -> None:
    late = [(0x00181030, "zebra"), (COMMENTS, "one")]
    known = Proved([written(late[:1])[1][0]], looked_for([]))
    assert not any(asked(known, late) for _ in range(3))


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long the outputs were that the guard went through."""
    sizes: list[int] = []
    hold = Guard.hold

    def counted(self: Guard, output: bytes, start: int, needles: Sequence[Sought]) -> None:
        sizes.append(len(output))
        hold(self, output, start, needles)

    monkeypatch.setattr(Guard, "hold", counted)
    return sizes


@pytest.mark.parametrize("recipe", ["basic", "mip", "research-mri"])
def test_a_series_is_gone_through_until_it_is_known(recipe: str, searched: list[int]) -> None:
    """Three the ordinary way, the first of the others twice: once for what never changes alone."""
    chosen, neighbours = compile_plan(load(recipe), Policy({})), Neighbours()
    for data in slices(count=9):
        apply(chosen, neighbours.read(data, explicit=True), data)
    assert len(searched) == 3 + 2


def test_teeth_who_believed_the_first_one_for_ever_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lax, neighbours = plan(LAX, tmp_path), Neighbours()
    sent = [
        image(*MORE, explicit(0x00204010, "LO", "nobody asks"), explicit(COMMENTS, "LT", text))
        for text in ("one", "two", "three", "four", "five", "Needleworth")
    ]
    monkeypatch.setattr(proved.Proved, "is_free", lambda *_: True)
    ends = [refused(lax, neighbours.read(data, explicit=True), data) for data in sent]
    assert ends == [None] * 6, "the test has to be able to fail"
    monkeypatch.undo()
    neighbours = Neighbours()
    ends = [refused(lax, neighbours.read(data, explicit=True), data) for data in sent]
    assert ends == [None] * 5 + [Outcome.RESIDUAL]


def test_an_id_that_is_a_date_of_one_instance_alone_is_an_id_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard takes what is a date for none of the other things; which dates there are changes.

    StudyDate leaves as the first of its month. That is the patient's id, and the day of the fourth instance alone.
    """
    asked: list[bool] = []
    is_free = Proved.is_free
    monkeypatch.setattr(Proved, "is_free", lambda *given: asked.append(is_free(*given)) or asked[-1])
    lax, neighbours, ends = plan(LAX + "REPLACE StudyDate func:date_month\n", tmp_path), Neighbours(), []
    for number in range(9):
        day = explicit(0x00080022, "DA", "20240201" if number == 3 else f"2024040{number}")
        data = image(
            *MORE, day, explicit(0x00100020, "LO", "20240201"), explicit(COMMENTS, "LT", "far behind the date")
        )
        ends.append(refused(lax, neighbours.read(data, explicit=True), data))
        assert ends[-1] is refused(lax, read(data, explicit=True), data)
    assert ends == [Outcome.RESIDUAL] * 3 + [None] + [Outcome.RESIDUAL] * 5
    assert asked == [False] * 6, "it was known by its series, and nothing was ever proved"


@pytest.mark.parametrize("uid", ["2.25.1", "2.25.12", "2.25.3", "2.25.41", "2.25.5"])
def test_the_head_names_the_instance_whatever_others_of_its_length_were_called(uid: str) -> None:
    made = head(MR, uid, EXPLICIT)
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    assert made.count(pack("<HH2sH", 2, 3, b"UI", len(padded)) + padded) == 1
    assert int.from_bytes(made[140:144], "little") == len(made) - 144
    assert made.startswith(bytes(128) + b"DICM")
