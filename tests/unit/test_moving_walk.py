"""The whole walk while its visit is merged or split: nothing is sealed, nothing goes astray, no name comes along."""

from dataclasses import replace

import pydicom
import pytest
from doubles import metrics
from factories import arrival, mr, needles
from moving import Rearranging
from pyrage import x25519

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import find, read
from scp.grouping import whose
from scp.intake import Intake
from scp.outcome import Outcome
from scp.state import State
from scp.store.quarantine import Quarantine

PLAN = compile_plan(read(find("mip")), Policy({}))
OFFICER = x25519.Identity.generate()


@pytest.fixture
def house(tmp_path, monkeypatch):
    house = Rearranging(tmp_path, monkeypatch)
    yield house
    house.close()


def walk(house, rule, deidentify=PLAN.deidentify):
    quarantine = Quarantine(house.config.quarantine, str(OFFICER.to_public()))
    quarantine.prepare()
    identity = whose(PLAN.identity, rule, 4)
    return Intake((), identity, deidentify, house.opened(), house.index, house.staging, quarantine, metrics())


def sent(study, number):
    return arrival(
        mr(
            StudyInstanceUID=f"1.2.826.5.{study}",
            SeriesInstanceUID=f"1.2.826.6.{study}",
            SOPInstanceUID=f"1.2.826.7.{study}.{number}",
            InstanceNumber=str(number),
        )
    )


def visits(house):
    """How many instances each visit that takes any has."""
    entries = [each for each in house.index.deliveries() if each.state.open]
    return {each.delivery.scan_research_id: len(house.index.files(each.delivery)) for each in entries}


def interrupted(house, rule, move):
    """A walk that finds, when it comes to its folder, that its visit has just been moved."""

    def deidentify(instance, subject):
        clean = PLAN.deidentify(instance, subject)
        move(subject.scan_research_id)
        return clean

    return walk(house, rule, deidentify)


def merge(house, kept):
    return lambda gone: house.moving.merge(kept, gone, "x")


def split(house):
    """The study that has come last."""
    return lambda visit: house.moving.split(
        visit, [min(house.moving.studies(visit), key=lambda one: one.instances).study_uid], "x"
    )


def test_a_merge_in_the_middle_of_a_walk(house):
    intake = walk(house, "study")
    assert [intake.take(sent(1, number)) for number in (1, 2)] == [Outcome.STORED] * 2
    (kept,) = visits(house)
    assert intake.take(sent(2, 1)) is Outcome.STORED
    assert interrupted(house, "study", merge(house, kept)).take(sent(2, 2)) is Outcome.OUT_OF_RESOURCES
    assert visits(house) == {kept: 3}
    assert intake.take(sent(2, 2)) is Outcome.STORED
    assert [intake.take(sent(study, 1)) for study in (1, 2)] == [Outcome.UNCHANGED] * 2
    assert visits(house) == {kept: 4}
    check(house, intake)


def test_a_split_in_the_middle_of_a_walk(house):
    intake = walk(house, "day")
    assert [intake.take(sent(1, number)) for number in (1, 2, 3)] == [Outcome.STORED] * 3
    assert intake.take(sent(2, 1)) is Outcome.STORED
    (visit,) = visits(house)
    assert interrupted(house, "day", split(house)).take(sent(2, 2)) is Outcome.OUT_OF_RESOURCES
    assert sorted(visits(house).values()) == [1, 3]
    assert [intake.take(sent(study, 9)) for study in (1, 2)] == [Outcome.STORED] * 2
    assert intake.take(sent(2, 2)) is Outcome.STORED
    assert visits(house)[visit] == 4
    assert sorted(visits(house).values()) == [3, 4]
    check(house, intake)


@pytest.mark.parametrize("rule", ["study", "day"])
def test_the_same_again_in_other_bytes_is_not_taken_for_something_else(house, rule):
    """Its row is under the one number while it was made for the other: sent again it is known, and never sealed."""
    intake = walk(house, rule)
    assert [intake.take(sent(1, number)) for number in (1, 2)] == [Outcome.STORED] * 2
    kept = next(iter(visits(house)))
    assert intake.take(sent(2, 1)) is Outcome.STORED
    move = merge(house, kept) if rule == "study" else split(house)
    other = replace(sent(2, 1), data=sent(2, 1).data + b"\xfc\xff\xfc\xff" + b"OB\0\0\2\0\0\0\0\0")  # trailing padding
    assert interrupted(house, rule, move).take(other) is Outcome.OUT_OF_RESOURCES
    assert intake.take(other) is Outcome.UNCHANGED
    check(house, intake)


def check(house, intake):
    assert not list(intake.quarantine.root.rglob("*.age"))
    assert not house.index.in_state(State.MOVING)
    assert house.audit() == []
    for path in house.staging.root.rglob("*.dcm"):
        content = path.read_bytes()
        assert not [needle for needle in needles() if needle in content]
        assert pydicom.dcmread(path).StudyID == path.name[:12] == path.parent.name[:12]
