"""The planted corpus as series: several people in one hiding place, one after the other on an association.

Each is read and de-identified by what it has in common with those before it, and none of it may be left either.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from planted import PLACES, Needles, Place, Sent, send
from planted.against import GUARDED, hidden_kinds, is_kept, plan_of
from planted.place import IMPLICIT
from test_corpus import PEER, SUBJECT, said

from scp.alike import Alike, Neighbours
from scp.dataset import DataSet, read
from scp.deidentify import series
from scp.deidentify.plan import Plan
from scp.dictionary import ATTRIBUTES
from scp.instance import Arrival, DeidentifiedInstance, Instance
from scp.outcome import Failure, Outcome

sys.path.append(str(Path(__file__).parents[1] / "fuzz"))
from trees import Element, parsed, put, written

RECIPES = ("mip", "research-mri")
PEOPLE = range(300, 306)
ALWAYS = [tag for tag, one in ATTRIBUTES.items() if tag >> 16 == 0x0018 and one.vrs == ("DS",)][-40:]


def among_others(sent: Sent) -> Sent:
    """With what scanners write into every image: neighbours have more in common than what is hidden in them."""
    try:
        dataset = read(sent.data, explicit=sent.transfer_syntax != IMPLICIT)
    except Failure:
        return sent
    level = parsed(dataset)
    if not dataset.explicit or written(level) != sent.data:
        return sent
    for tag in ALWAYS:
        level = put(level, Element(tag, "DS", b"1 "))
    return replace(sent, data=written(level))


def end(plan: Plan, sent: Sent, neighbours: Neighbours | None) -> tuple[DeidentifiedInstance | Failure, DataSet | None]:
    dataset = None
    try:
        explicit = sent.transfer_syntax != IMPLICIT
        dataset = (neighbours.read if neighbours else read)(sent.data, explicit=explicit)
        arrival = Arrival(PEER, sent.sop_class, sent.sop_instance_uid, sent.sop_class, sent.transfer_syntax, sent.data)
        return plan.apply(Instance(arrival, dataset), SUBJECT), dataset
    except Failure as failure:
        return failure, dataset


def outcome(made: DeidentifiedInstance | Failure) -> bytes | Outcome:
    return made.outcome if isinstance(made, Failure) else b"".join(made.parts)


def left(place: Place, recipe: str) -> tuple[bool, int]:
    """Whether somebody is left in what leaves, and how many were read by what they have in common."""
    plan, neighbours = plan_of(recipe), Neighbours()
    alike, found = 0, False
    for seed in PEOPLE:
        sent = among_others(send(place, seed))
        made, dataset = end(plan, sent, neighbours)
        assert outcome(made) == outcome(end(plan, sent, None)[0]), f"{place.name}, person {seed}, {recipe}"
        told = str(made).encode() if isinstance(made, Failure) else said(made)
        found = found or bool(Needles(sent.person, hidden_kinds(recipe), place.script).found(told))
        alike += isinstance(dataset, Alike)
    return found, alike


@pytest.mark.parametrize("recipe", RECIPES)
def test_nobody_is_left_of_those_who_follow_one_another(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[object] = []
    parts = series.Known.parts
    monkeypatch.setattr(series.Known, "parts", lambda of, original: known.append(of) or parts(of, original))
    plan, kinds = plan_of(recipe), hidden_kinds(recipe)
    places = [place for place in PLACES.values() if place.kind in kinds and not place.beyond]
    ends = {place.name: left(place, recipe) for place in places}
    said_so = {place.name for place in places if is_kept(place, plan) and (place.kind == "uid" or not GUARDED)}
    assert {name for name, (found, _) in ends.items() if found} <= said_so | {"date: in a UID"}
    assert sum(alike for _, alike in ends.values()) > len(places)
    assert len(known) > len(places) / 2
