"""kill -9 of a merge and of a split, at each of their points and at random: each instance is in one visit."""

import os
import random
import signal
import time

import armed
import pytest
from moving import Rearranging, study
from test_kill_retention import forked

from scp import faults
from scp.db.moves import UnmovableError
from scp.outcome import Failure
from scp.state import State

POINTS = sorted(name for name in faults.POINTS if name.startswith("move."))
FILES = ["files.written", "files.linked", "files.folder_synced"]
KILLS = 40
STUDIES = [study(number, visit="day 20250901") for number in range(3)]


class Ticking:
    """What a house wants to patch stays: all processes go by the machine's clock."""

    def setattr(self, *_):
        """Nothing is replaced."""


def lived_in(folder):
    folder.mkdir(exist_ok=True)
    return Rearranging(folder, Ticking())


def contents(house):
    """InstanceNumbers by visit, as the index has them."""
    found = {}
    for entry in house.index.deliveries():
        for name in house.index.files(entry.delivery):
            found.setdefault(entry.delivery.scan_research_id, []).append(int(name.split("_")[2]))
    return {visit: sorted(numbers) for visit, numbers in found.items()}


@pytest.fixture
def house(tmp_path):
    house = lived_in(tmp_path / "house")
    yield house
    house.close()


def check_it_ended(house):
    house.moving.resume()
    assert house.moving.moves.unfinished() == []
    assert not house.index.in_state(State.MOVING)
    assert house.audit() == []


@pytest.mark.parametrize(("point", "hit"), [*((point, 1) for point in POINTS), *((point, 2) for point in FILES)])
def test_killed_there_a_merge_is_finished(house, point, hit):
    kept, gone = house.send(1, 2, identity=study(11)), house.send(3, 4, 5, identity=study(12))

    def work():
        other = lived_in(house.config.state.parent)
        armed.arm(point, hit=hit)
        other.moving.merge(kept, gone, "x")

    assert forked(work) == -signal.SIGKILL
    assert {kind for kind, _ in house.audit()} <= {"unfinished", "orphan", "temporary"}
    house.steward.round()
    house.staging.prepare()
    assert not house.published()  # nothing of either goes out by half
    check_it_ended(house)
    assert contents(house) == {kept: [1, 2, 3, 4, 5]}
    assert house.send(6, identity=study(12)) == kept
    assert len(house.staged(kept)) == 6


@pytest.mark.parametrize(("point", "hit"), [*((point, 1) for point in POINTS), *((point, 2) for point in FILES)])
def test_killed_there_a_split_is_finished(house, point, hit):
    one, two, _three = STUDIES
    visit = house.send(1, 2, identity=one)
    house.send(3, 4, 5, identity=two)

    def work():
        other = lived_in(house.config.state.parent)
        armed.arm(point, hit=hit)
        other.moving.split(visit, [other.left_as(two)], "x")

    assert forked(work) == -signal.SIGKILL
    house.staging.prepare()
    check_it_ended(house)
    number = house.linkage.resolve(two).scan_research_id
    assert contents(house) == {visit: [1, 2], number: [3, 4, 5]}
    assert house.send(6, identity=two) == number
    assert house.send(7, identity=one) == visit


@pytest.mark.parametrize(("point", "hit"), [("move.linked", 1), ("move.placed", 1), ("move.recorded", 1)])
def test_killed_there_a_split_of_several_studies_is_finished_whole(house, point, hit):
    one, two, three = STUDIES
    visit = house.send(1, 2, identity=one)
    house.send(3, 4, identity=two)
    house.send(5, identity=three)

    def work():
        other = lived_in(house.config.state.parent)
        armed.arm(point, hit=hit)
        other.moving.split(visit, [other.left_as(two), other.left_as(three)], "x")

    assert forked(work) == -signal.SIGKILL
    house.staging.prepare()
    check_it_ended(house)
    number = house.linkage.resolve(two).scan_research_id
    assert contents(house) == {visit: [1, 2], number: [3, 4, 5]}
    assert house.send(6, identity=three) == number


def rearrange(folder, seed):
    """A process that merges and splits whatever there is, until it is killed."""
    child = os.fork()
    if child:
        return child
    chance, house = random.Random(seed), lived_in(folder)  # noqa: S311  a seed makes it the same again
    while True:
        house.moving.resume()
        visits = [each.delivery.scan_research_id for each in house.index.deliveries() if each.state.open]
        try:
            if len(visits) > 1 and chance.random() < 0.5:
                house.moving.merge(*chance.sample(visits, 2), "x")
            else:
                visit = chance.choice(visits)
                studies = [one.study_uid for one in house.moving.studies(visit)]
                house.moving.split(visit, chance.sample(studies, chance.randint(1, len(studies))), "x")
        except UnmovableError:
            continue


def stored(house, number, identity):
    """Send it again until it is taken, as a sender does."""
    while True:
        try:
            return house.send(number, identity=identity)
        except Failure:
            time.sleep(0.001)


def test_whatever_is_killed_each_instance_is_in_the_visit_of_its_study(tmp_path):
    folder = tmp_path / "house"
    chance, house, sent = random.Random(3), lived_in(folder), {}  # noqa: S311  a seed makes it the same again
    for number, identity in enumerate(STUDIES, 1):
        house.send(number, identity=identity)
        sent[number] = identity
    for kill in range(KILLS):
        child = rearrange(folder, kill)
        try:
            for number in range(len(sent) + 1, len(sent) + 1 + chance.randint(0, 2)):
                sent[number] = chance.choice(STUDIES)
                stored(house, number, sent[number])
            time.sleep(chance.uniform(0, 0.1))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        house.staging.prepare()
        check_it_ended(house)
        wanted = {}
        for number, identity in sent.items():
            wanted.setdefault(house.linkage.resolve(identity).scan_research_id, []).append(number)
        assert contents(house) == wanted
    house.close()
