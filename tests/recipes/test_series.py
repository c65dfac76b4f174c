"""What is de-identified by what its series has in common is what it would be alone: bytes, refusals and guard."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from encoded import EXPLICIT, MR, explicit, image, sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from scp.alike import Alike, Neighbours
from scp.dataset import DataSet, read
from scp.deidentify import series
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions.original import Original
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.deidentify.recipe import read as read_recipe
from scp.instance import Arrival, Instance, Peer, Subject
from scp.outcome import Failure, Outcome

sys.path.append(str(Path(__file__).parents[1] / "fuzz"))
sys.path.append(str(Path(__file__).parents[1] / "dialogues"))
import beside
from walker import plans, seeds

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
PEER = Peer("MODALITY", "CLOAKROOM", "192.0.2.7")
PLANS, SEEDS = plans(), seeds()
NAME, NUMBER, COMMENTS = 0x00100010, 0x00200013, 0x00204000
MORE = [explicit(0x00180000 | number, "DS", f"{number}") for number in range(0x0050, 0x0053)]
MORE += [explicit(0x00080005, "CS", "ISO_IR 100"), explicit(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M\\ND")]
MORE += [
    explicit(0x00080060, "CS", "MR"),
    explicit(0x00080070, "LO", "SIEMENS"),
    explicit(0x00280004, "CS", "MONOCHROME2"),
]
MORE += [
    explicit(0x00080020, "DA", "20240215"),
    explicit(0x00100030, "DA", "19540312"),
    explicit(NAME, "PN", "Needleworth^A"),
]
MORE += [explicit(tag, "DS", "1") for tag in (0x00180080, 0x00180081, 0x00180083, 0x00180084, 0x00180087, 0x00280030)]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[series.Known]:
    """Whoever went the short way."""
    seen: list[series.Known] = []
    parts = series.Known.parts

    def counted(self: series.Known, original: Original) -> object:
        seen.append(self)
        return parts(self, original)

    monkeypatch.setattr(series.Known, "parts", counted)
    return seen


def plan(recipe: str, folder: Path) -> Plan:
    path = folder / "site.dicom"
    path.write_text("FORMAT dicom\n%header\n# because: a test\n" + recipe, "ascii")
    return compile_plan(read_recipe(path), Policy({}))


def slices(*more: bytes, count: int = 5) -> Iterator[bytes]:
    for number in range(count):
        yield image(*MORE, explicit(0x00080018, "UI", f"1.2.3.{number}"), explicit(NUMBER, "IS", str(number)), *more)


def apply(plan: Plan, dataset: DataSet, data: bytes, subject: Subject = SUBJECT) -> bytes:
    arrival = Arrival(PEER, MR, dataset.text(0x00080018), MR, EXPLICIT, data)
    return b"".join(plan.apply(Instance(arrival, dataset), subject).parts)


def compare(plan: Plan, sent: Iterator[bytes]) -> list[bytes]:
    neighbours, made = Neighbours(), []
    for data in sent:
        made.append(apply(plan, neighbours.read(data, explicit=True), data))
        assert made[-1] == apply(plan, read(data, explicit=True), data)
    return made


@pytest.mark.parametrize("recipe", ["basic", "mip", "mip-strict", "research-mri"])
def test_from_the_fourth_on_only_what_differs_is_looked_at(recipe: str, known: list[series.Known]) -> None:
    made = compare(compile_plan(load(recipe), Policy({})), slices(count=8))
    assert len(known) == 5
    assert len(set(made)) == 8


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 10**9))
def test_any_series_ends_as_each_of_it_alone(number: int) -> None:
    case, sent = beside.series(SEEDS, 7, number)
    beside.agree(PLANS[case.recipe], case, sent)


def test_such_series_take_the_short_way_often_enough_to_tell(known: list[series.Known]) -> None:
    tallies = [
        beside.agree(PLANS[case.recipe], case, sent) for case, sent in (beside.series(SEEDS, 3, n) for n in range(60))
    ]
    assert sum(tally.alike for tally in tallies) > 60
    assert sum(tally.through for tally in tallies) > 200
    assert len(known) > 40


def test_a_piece_that_looks_at_what_changes_is_made_anew(known: list[series.Known]) -> None:
    """PatientAge is the recipe's own, of birth date and scan date: of these only the second changes."""
    mip = compile_plan(load("mip"), Policy({}))
    sent = [data.replace(explicit(0x00080020, "DA", "20240215"), explicit(0x00080020, "DA", f"20{20 + n}0215"))
            for n, data in enumerate(slices(count=8))]  # fmt: skip
    made = compare(mip, iter(sent))
    assert known
    ages = {b"0%dY" % (65 + number) for number in range(8)}
    assert all(any(age in one for one in made) for age in ages)


def test_teeth_a_piece_that_forgets_what_it_looked_at_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series._Watched, "find", lambda self, tag: self._of.find(tag))
    with pytest.raises(AssertionError):
        test_a_piece_that_looks_at_what_changes_is_made_anew([1])


def test_another_subject_gets_pieces_of_its_own(known: list[series.Known]) -> None:
    mip, neighbours = compile_plan(load("mip"), Policy({})), Neighbours()
    other = replace(SUBJECT, pseudonym="Zz0000", secret=b"\x09" * 32)
    made = []
    for number, data in enumerate(slices(count=12)):
        subject = other if number in {6, 9, 10, 11} else SUBJECT
        made.append(apply(mip, neighbours.read(data, explicit=True), data, subject))
        assert made[-1] == apply(mip, read(data, explicit=True), data, subject)
    assert [b"Zz0000" in one for one in made] == [n in {6, 9, 10, 11} for n in range(12)]
    assert len(known) >= 4


LAX = """REMOVE ALL
KEEP ImageComments
KEEP SOPClassUID
KEEP SpecificCharacterSet
REPLACE SOPInstanceUID func:uid
"""
DAY = 0x00080020


@pytest.mark.parametrize(
    "last",
    [
        [explicit(COMMENTS, "LT", "seen by Needleworth today")],
        [explicit(COMMENTS, "LT", "A N N 5, N E E D L E-W O R T H")],
        [explicit(COMMENTS, "LT", "born on 12.03.1954")],
        [explicit(NAME, "PN", "Longobard^Z")],
        [explicit(DAY, "DA", "19991231")],
    ],
    ids=["name comes in", "spaced", "date comes in", "somebody is called so", "a day is called so"],
)
def test_the_guard_sees_what_comes_in_and_whom_it_is_of(
    last: list[bytes], tmp_path: Path, known: list[series.Known]
) -> None:
    lax, neighbours = plan(LAX, tmp_path), Neighbours()
    always = [*MORE, explicit(0x00204010, "LO", "nobody asks")]
    for number in range(6):
        comments = explicit(COMMENTS, "LT", f"by Longobard on 1999-12-31, {number}")
        name, day = explicit(NAME, "PN", f"Needleworth^Ann{number}"), explicit(DAY, "DA", f"2024021{number}")
        data = image(*always, comments, name, day)
        apply(lax, neighbours.read(data, explicit=True), data)
    assert len(known) == 3
    data = image(*always, comments, name, day, *last)
    with pytest.raises(Failure) as found:
        apply(lax, neighbours.read(data, explicit=True), data)
    with pytest.raises(Failure) as alone:
        apply(lax, read(data, explicit=True), data)
    assert len(known) == 4, "it is known by what it has in common, and refused all the same"
    assert found.value.outcome is alone.value.outcome is Outcome.RESIDUAL
    assert found.value.why == alone.value.why


def test_a_station_is_called_by_the_make_that_this_one_has(tmp_path: Path) -> None:
    """StationName may stay where it is the model; the model of the last one is another."""
    lax, neighbours = plan(LAX, tmp_path), Neighbours()
    for model in (*["Ingenia Elition 5"] * 3, *(f"Ingenia Elition {n}" for n in range(4)), "Other"):
        more = (
            explicit(0x00081090, "LO", model),
            explicit(0x00081010, "SH", "ELITION"),
            explicit(COMMENTS, "LT", "Elition"),
        )
        data = image(*MORE, *more)
        ends = [
            refused(lax, dataset, data) for dataset in (neighbours.read(data, explicit=True), read(data, explicit=True))
        ]
        assert ends == [Outcome.RESIDUAL if model == "Other" else None] * 2


def refused(plan: Plan, dataset: DataSet, data: bytes) -> Outcome | None:
    try:
        apply(plan, dataset, data)
    except Failure as failure:
        return failure.outcome
    return None


@pytest.mark.parametrize(
    ("changing", "said"),
    [
        (lambda n: explicit(0x00280301, "CS", "YES" if n == 7 else f"N{n}"), Outcome.BURNED_IN),
        (lambda n: explicit(0x00080008, "CS", "ORIGINAL\\PRIMARY\\" + ("SCREEN SAVE" if n == 7 else f"M{n}")),
         Outcome.PIXELS_WITHHELD),
        (lambda n: explicit(0x00080005, "CS", "ISO_IR 999" if n == 7 else f"ISO_IR 10{n % 2}"), None),
        (lambda n: explicit(0x00181030, "LO", b"\0\x01\x02axial" if n == 7 else f"axial {n}"), None),
        (lambda n: explicit(0x60000102, "US", bytes([n == 7, 0])) + explicit(0x60000103, "US", bytes([n, 0])),
         Outcome.NOT_DEIDENTIFIED),
    ],
    ids=["burned in", "image type", "character set", "binary in a text", "overlay in the pixels"],
)  # fmt: skip
def test_what_is_checked_first_is_checked_of_what_changes(changing, said: Outcome | None) -> None:
    mip, neighbours = compile_plan(load("mip"), Policy({})), Neighbours()
    ends = []
    for number, data in enumerate(slices(count=9)):
        changed = image(*split(data), *split(changing(number)))
        alone = refused(mip, read(changed, explicit=True), changed)
        ends.append(refused(mip, neighbours.read(changed, explicit=True), changed))
        assert ends[-1] is alone
    assert ends[7] is said or said is None
    assert [ends[number] for number in (0, 6, 8)] == [None] * 3


def split(data: bytes) -> list[bytes]:
    return [data[one.start : one.stop] for one in read(data, explicit=True).elements]


@pytest.mark.parametrize("recipe", ["research-mri,clean-structured-content", "research-mri,clean-graphics"])
def test_recipes_that_look_at_items_one_by_one_go_the_ordinary_way(recipe: str, known: list[series.Known]) -> None:
    compare(compile_plan(load(recipe), Policy({})), slices(count=6))
    assert not known


def test_sequences_that_change_are_looked_through(known: list[series.Known], tmp_path: Path) -> None:
    lax = plan(LAX + "KEEP ReferencedImageSequence\nKEEP ReferencedSOPClassUID\n", tmp_path)
    neighbours, ends = Neighbours(), []
    for number in range(7):
        person = sequence(0x00081140, explicit(0x00081150, "UI", f"1.2.840.10008.{number}"),
                          explicit(NAME, "PN", f"Hidden{'' if number == 6 else number}"))  # fmt: skip
        data = image(*MORE, person, explicit(COMMENTS, "LT", f"Hidden, {number}"))
        ends.append(refused(lax, neighbours.read(data, explicit=True), data))
        assert ends[-1] is refused(lax, read(data, explicit=True), data)
    assert ends == [None] * 6 + [Outcome.RESIDUAL]
    assert known
    assert isinstance(neighbours.read(data, explicit=True), Alike)


def test_what_decides_on_a_vr_is_looked_at_too(tmp_path: Path, known: list[series.Known]) -> None:
    """A value that was sent as UN is US or SS by PixelRepresentation, which changes here (PS3.5 A.1)."""
    lax = plan(LAX + "KEEP SmallestImagePixelValue\n", tmp_path)
    unknown = explicit(0x00280106, "UN", b"\1\0")

    def sent() -> Iterator[bytes]:
        for number in range(8):
            yield image(*MORE, unknown, explicit(0x00280103, "US", bytes([number % 2, 0])), explicit(NUMBER, "IS", "1"))

    made = compare(lax, sent())
    assert known
    assert [explicit(0x00280106, "SS", b"\1\0") in one for one in made] == [False, True] * 4
