"""Every failpoint: kill -9 there, start again, and whatever was answered is there; then all is sent again."""

import ast
import errno
from pathlib import Path

import armed
import pytest
from armed import arm, fail, pause, seen
from house import House, Kill

from scp import faults
from scp.db.index import Index
from scp.outcome import Failure, Outcome
from scp.verify import Kind

SOURCE = Path(faults.__file__).parent
ROLES = {
    "intake": "worker",
    "files": "worker",
    "quarantine": "worker",
    "index": "writer",
    "publish": "steward",
    "move": "steward",  # in test_kill_moving, by an operator's word
    "expire": "steward",  # in test_kill_retention: nothing is due in these lives
    "recovery": "recovery",
}
FIRST, LATE, ALL = range(30), range(30, 36), range(36)  # the visit of 24 to 35 gets six more when it is published


def named():
    """Every literal that `faults.point` is called with."""
    calls = [
        node
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "faults.point"
    ]
    return [call.args[0].value for call in calls]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture(autouse=True)
def _calm():
    yield
    armed.disarm()


def test_every_row_of_the_table_is_a_place_in_the_code():
    assert sorted(named()) == sorted(faults.POINTS)


def test_every_point_says_what_has_happened():
    assert all(len(meaning) > 20 for meaning in faults.POINTS.values())
    assert {name.split(".")[0] for name in faults.POINTS} == set(ROLES)


def test_nothing_in_the_product_listens():
    assert not [file for file in SOURCE.rglob("*.py") if "addaudithook(" in file.read_text("utf-8")]


def test_an_armed_point_acts_at_its_hit_and_once():
    arm("files.written", fail(errno.EIO), hit=2)
    faults.point("files.written")
    faults.point("files.synced")
    with pytest.raises(OSError, match="error") as caught:
        faults.point("files.written")
    assert caught.value.errno == errno.EIO
    faults.point("files.written")
    assert seen() == {"files.written": 3, "files.synced": 1}


def test_a_point_can_take_its_time():
    slept = []
    arm("files.linked", lambda: slept.append(pause(0)()))
    faults.point("files.linked")
    assert slept == [None]


def test_what_is_no_point_cannot_be_armed():
    with pytest.raises(ValueError, match="there is no point"):
        arm("files.wrote")


def late(house):
    """The house before the trial: a first delivery is published, or where that is the trial, nothing."""
    house.live(FIRST)
    return LATE


def orphaned(house):
    """A file that can be adopted and one that can't."""
    house.live(FIRST, [Kill("worker", "files.folder_synced", everybody=True)])
    (house.config.export / ".tmp" / "unclaimed").mkdir(exist_ok=True)
    (house.config.export / ".tmp" / "unclaimed" / "1_2.dcm").write_bytes(b"torn")
    return ALL


def begun(house):
    house.live(FIRST, [Kill("steward", "publish.begun", everybody=True)])
    return ALL


BEFORE = {
    "publish.unmarked": late,
    "publish.joining": late,
    "recovery.claiming": orphaned,
    "recovery.sealed": orphaned,
    "recovery.resumed": begun,
}


ELSEWHERE = {"intake.removing", *(name for name in faults.POINTS if name.startswith(("expire.", "move.")))}


@pytest.mark.parametrize("point", sorted(set(faults.POINTS) - ELSEWHERE))
def test_killed_there_nothing_is_lost(house, point):
    numbers = BEFORE.get(point, lambda _house: ALL)(house)
    told = house.live(numbers, [Kill(ROLES[point.split(".")[0]], point, everybody=True)])
    assert not told.died["ended"], house.said()
    assert house.recover(), house.said()
    assert house.check(told.answers) == []
    again = house.live(ALL)
    assert house.recover()
    assert len(again.answers) == len(ALL)
    assert set(again.answers.values()) == {Outcome.STORED.status, Outcome.INCOMPLETE.status}
    assert house.check(again.answers) == []
    assert set(house.contents().values()) == {1}
    assert len(house.contents()) == sum(number % 10 != 9 for number in ALL)
    assert house.leaks() == []


def test_killed_while_it_takes_a_file_away(house, monkeypatch):
    def busy(*_args, **_named):
        raise Failure(Outcome.OUT_OF_RESOURCES, "the index database is busy or full")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "record", busy)
        told = house.live(ALL, [Kill("worker", "intake.removing", everybody=True)])
    assert Outcome.STORED.status not in told.answers.values()
    assert not told.died["ended"]
    assert house.orphans()
    assert house.recover()
    assert house.check(told.answers) == []
    assert set(house.contents().values()) == {1}


@pytest.mark.parametrize("role", ["worker", "writer", "steward"])
def test_one_dies_and_the_others_go_on(house, role):
    points = {"worker": "intake.recorded", "writer": "index.changed", "steward": "publish.shown"}
    told = house.live(ALL, [Kill(role, points[role]), Kill(role, points[role])])
    assert told.died["ended"] == 1
    assert told.died[points[role]] >= 1
    assert len(told.answers) == len(ALL)
    left = [finding.kind for finding in house.audit().findings]
    assert set(left) <= {Kind.TEMPORARY, Kind.ORPHAN}  # what the dead worker's other senders had in hand
    assert house.recover()
    assert house.check(told.answers) == []
