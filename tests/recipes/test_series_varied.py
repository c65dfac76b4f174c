"""Series that vary in more than values end as each of them alone; and the campaign finds what is to be found."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from encoded import EXPLICIT, image
from factories import ct, encode, enhanced, mr
from hypothesis import given, settings
from hypothesis import strategies as st

from scp import alike
from scp.alike import Row
from scp.deidentify import series
from scp.deidentify.plan import Plan
from scp.deidentify.policy import PixelPolicy

sys.path.append(str(Path(__file__).parents[1] / "fuzz"))
sys.path.append(str(Path(__file__).parents[1] / "dialogues"))
import trees
import varied
from beside import Sent, agree
from walker import Case, Wrong, seeds

from scp.dataset import read

SEEDS = seeds()
GOOD = [Case("", EXPLICIT, data) for data in (*map(encode, (mr(), ct(), enhanced())), image())]
"""What series of known numbers are made of."""
REPRESENTATION = 0x00280103
Splice = series.Splice


@pytest.fixture(scope="module")
def plans() -> Mapping[str, Plan]:
    return varied.plans()


def sent(numbers: Sequence[int]) -> Iterator[tuple[Case, list[Sent]]]:
    return (varied.series(GOOD, 1, number) for number in numbers)


def test_a_series_follows_from_its_number():
    made = list(sent(range(80)))
    assert made == list(sent(range(80)))
    assert len({one.data for _, each in made for one in each}) > 500
    assert {case.recipe for case, _ in made} == set(varied.RECIPES)
    assert len({one.syntax for _, each in made for one in each}) >= 3
    assert len({one.subject for _, each in made for one in each}) >= 2


def test_a_tree_is_written_as_it_was_read():
    for case in SEEDS:
        if varied.is_readable(case):
            assert trees.written(trees.parsed(read(case.data, explicit=True))) == case.data


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 10**9))
def test_any_series_ends_as_each_of_it_alone(plans, number):
    case, each = varied.series(SEEDS, 7, number)
    agree(plans[case.recipe], case, each)


def test_they_take_the_short_way_often_enough_to_tell(plans, monkeypatch):
    seen: list[object] = []
    parts = series.Known.parts
    monkeypatch.setattr(series.Known, "parts", lambda known, of: seen.append(of) or parts(known, of))
    tallies = [agree(plans[case.recipe], case, each) for case, each in sent(range(100))]
    through, known = (sum(numbers) for numbers in zip(*tallies, strict=True))
    assert through > 0.4 * varied.LENGTH * len(tallies)
    assert known > 300
    assert len(seen) > 150


def until_found(plan: Plan, first: int) -> None:
    """Raises Wrong at the first find among some that are known to have one."""
    for case, each in sent(range(first, first + 60)):
        agree(plan, case, each)


def test_teeth_what_decides_on_a_vr_is_not_noted(plans, monkeypatch):
    """A fault that this code had: PixelRepresentation was found without being asked for."""
    find = series._Watched.find

    def forgetful(self: series._Watched, tag: int) -> object:
        return self._of.find(tag) if tag == REPRESENTATION else find(self, tag)

    monkeypatch.setattr(series._Watched, "find", forgetful)
    with pytest.raises(Wrong):
        until_found(plans[varied.SITE], 100)


def test_teeth_private_elements_without_their_creator(plans, monkeypatch):
    def end(rows: Sequence[Row], changing: set[int]) -> int:
        return next((number for number in sorted(changing) if alike._is_undefined(rows[number])), len(rows))

    made = alike.Layout.__init__

    def made_so(self: alike.Layout, *of: object) -> None:
        made(self, *of)
        self._behind = self.last + 1

    monkeypatch.setattr(alike, "_known_end", end)
    monkeypatch.setattr(alike.Layout, "__init__", made_so)
    with pytest.raises(Wrong):
        until_found(plans["mip"], 470)


def test_teeth_pixels_that_have_to_be_blanked_now(plans, monkeypatch):
    monkeypatch.setattr(PixelPolicy, "blanks", False)
    with pytest.raises(Wrong):
        until_found(plans[varied.SITE], 660)


def test_teeth_what_is_made_twice_is_asked_for_once(plans, monkeypatch):
    made: dict[int, tuple[object, Splice]] = {}

    def shared(tables, original, dataset=None):
        if not isinstance(original.dataset, series._Watched):
            return Splice(tables, original, dataset)
        return made.setdefault(id(original), (original, Splice(tables, original, dataset)))[1]

    monkeypatch.setattr(series, "Splice", shared)
    with pytest.raises(Wrong):
        until_found(plans[varied.SITE], 200)


@pytest.mark.parametrize(
    ("name", "says", "first"),
    [
        ("_roots", lambda _sought: (), 50),
        ("has", lambda _output, _sought: False, 450),
        ("Proved._proves", lambda *_: True, 200),
    ],
    ids=["theirs in what differs", "its own", "whether there was any"],
)
def test_teeth_what_the_guard_does_not_look_for(plans, monkeypatch, name, says, first):
    monkeypatch.setattr(f"scp.deidentify.proved.{name}", says)
    with pytest.raises(Wrong):
        until_found(plans[varied.SITE], first)
