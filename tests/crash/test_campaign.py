"""The campaigns in small: they find nothing in the product, and each seeded bug; .ci/run has more of them."""

import random
import re
import subprocess
import time

import campaign
import pytest
import seeded
from house import A_VISIT, NEEDLE, NEEDLES, House, Kill, instance, pixels
from power import Disk

from scp import faults
from scp.outcome import Outcome
from scp.state import State
from scp.store import direct

pytestmark = pytest.mark.timeout(300)


def silent(_line):
    """Nobody waits."""


def test_what_is_sent_follows_from_its_number():
    assert instance(7).sop_instance_uid == instance(7).sop_instance_uid != instance(8).sop_instance_uid
    assert pixels(3) in bytes(instance(3).data)
    assert len(instance(9).data) < len(instance(8).data)
    assert instance(17).rest is not None
    assert all(needle in bytes(instance(5).data) for needle in NEEDLES[:2])
    assert len(instance(5).data) > 65536


def test_a_plan_of_kills_names_what_there_is():
    chance = random.Random(1)  # noqa: S311
    plans = [campaign.kills(chance) for _ in range(200)]
    named = {kill.point for plan in plans for kill in plan if not kill.point.startswith("@")}
    assert named == {name for name in faults.POINTS if not name.startswith(("recovery.", "expire.", "move."))} - {
        "intake.removing"
    }
    assert 50 < sum(plan[-1].everybody for plan in plans) < 150
    assert {kill.role for plan in plans for kill in plan} == {"worker", "writer", "steward"}


def test_kills_find_nothing():
    said = []
    assert campaign.killed(60, seed=3, told=said.append) == []
    assert "kills in" in said[-1]


def test_power_cuts_find_nothing():
    said = []
    assert campaign.cut(4, seed=3, told=said.append) == []
    assert said[-1].startswith("4 cuts")


def small_pieces():
    """Of the few bytes of such an instance most then go past the page cache."""
    direct._PIECE = 512


def test_kills_and_power_cuts_find_nothing_past_the_page_cache():
    assert campaign.killed(20, seed=5, bug=small_pieces, told=silent) == []
    assert campaign.cut(2, seed=5, bug=small_pieces, told=silent) == []


@pytest.mark.parametrize("after", [0.01, 0.03, 0.05, 0.08, 0.12])
def test_a_power_cut_within_the_first_start(tmp_path, after):
    with Disk(tmp_path) as disk:
        house = House(disk.mount() / "node")
        house.folder.mkdir()
        house.log = tmp_path / "house.log"
        told = house.live(range(20), after=after)
        disk.cut()
        (disk.mount() / "node").mkdir(exist_ok=True)
        assert house.recover()
        assert house.check(told.answers) == []


@pytest.mark.parametrize("bug", [seeded.early_answer, seeded.orphans_deleted, seeded.unknown_unparsed])
def test_kills_find_a_bug(bug):
    wrong = campaign.killed(400, seed=1, bug=bug, told=silent)
    assert wrong
    told = {
        seeded.early_answer: "was acknowledged and is not indexed",
        seeded.orphans_deleted: "is gone",
        seeded.unknown_unparsed: "holds an identifier",
    }
    assert any(told[bug] in line for line in wrong)


@pytest.mark.parametrize("bug", [seeded.no_file_fsync, seeded.synchronous_normal])
def test_power_cuts_find_a_bug(bug):
    assert campaign.cut(12, seed=1, bug=bug, told=silent)


def test_every_needle_looks_like_one():
    assert all(NEEDLE.fullmatch(needle) for needle in NEEDLES)


def test_the_device_is_searched(monkeypatch):
    monkeypatch.setattr(campaign, "NEEDLE", re.compile(b"P0{11}[0-9]{4}"))  # which is what the pixels are
    (wrong,) = campaign.cut(8, seed=1, told=silent)
    assert "of the device" in wrong


def test_a_clock_that_is_set_while_the_node_runs(tmp_path):
    """Forth and back by up to an hour, at every look: nothing is lost, and what is quiet is published in the end."""
    house = House(tmp_path)
    chance, real = random.Random(5), time.time  # noqa: S311

    def jump():
        time.time = lambda: real() + chance.uniform(-3600, 3600)

    house.bug = jump
    told = house.live(range(60), [Kill("worker", "files.linked"), Kill("writer", "index.committed")])
    assert told.died["ended"] == 1
    assert house.recover()
    assert house.check(told.answers) == []
    house.bug = lambda: None
    with house.index() as index:
        index._engine._database().execute("UPDATE delivery SET last_arrival = 1")
    house.live([0])
    with house.index() as index:
        assert index.in_state(State.RECEIVING) == []
    assert house.check(told.answers) == []


def test_a_disk_keeps_what_was_synced_and_only_that(tmp_path):
    with Disk(tmp_path) as disk:
        kept = disk.mount() / "kept"
        kept.write_bytes(b"k" * 5000)
        subprocess.run(["sync", "-f", str(kept)], check=True)
        (disk.mount() / "lost").write_bytes(b"l" * 5000)
        disk.cut()
        assert disk.holds(re.compile(b"k{5000}"))
        assert not disk.holds(re.compile(b"l{5000}"))
        folder = disk.mount()
        assert (folder / "kept").read_bytes() == b"k" * 5000
        assert not (folder / "lost").exists()
        assert disk.cuts == 1


def test_what_is_wrong_is_told(tmp_path):
    house = House(tmp_path)
    told = house.live(range(24))
    assert house.check(told.answers) == []
    (torn, *_) = sorted(house.config.export.rglob("*.dcm"))
    torn.write_bytes(b"torn")
    (tmp_path / "export" / "DICOM" / "left").write_bytes(b"")
    (sealed, *_) = sorted(house.config.quarantine.rglob("*.age"))
    sealed.unlink()
    wrong = house.check(told.answers | {24: Outcome.STORED.status, 29: Outcome.INCOMPLETE.status})
    assert [line.split()[0] for line in wrong] == ["altered", "stray", "unsealed", "instance", "instance"]
    assert len(house.contents()) == 22


def test_a_life_that_does_not_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("house.PATIENCE", 0.5)
    house = House(tmp_path)
    monkeypatch.setattr(house, "bug", lambda: __import__("time").sleep(30))
    with pytest.raises(AssertionError, match="a life did not end"):
        house.live(range(A_VISIT))


def test_a_start_that_fails_is_told(tmp_path):
    house = House(tmp_path)
    house.live(range(A_VISIT))
    house.config.index_path.write_bytes(b"no database" * 1000)
    with pytest.raises(AssertionError, match="the start ended with 1"):
        house.recover()
    assert "DatabaseError" in house.said()


def test_a_kill_of_the_whole_node_ends_its_life(tmp_path):
    house = House(tmp_path)
    told = house.live(range(A_VISIT), [Kill("worker", "intake.taken", everybody=True)])
    assert told.died == {"intake.taken": 1}
    assert len(told.answers) < A_VISIT  # the others may have been quicker
