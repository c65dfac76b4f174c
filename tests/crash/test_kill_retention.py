"""kill -9 of retention, at each of its points and at random: a visit stands whole or not at all, and the rest ends."""

import hashlib
import os
import random
import signal
import time
from datetime import date, timedelta

import armed
import pytest
from keeping import DAY, Keeping, files, instances
from visiting import image

from scp import faults
from scp.state import State

POINTS = sorted(name for name in faults.POINTS if name.startswith("expire."))
VISITS = [str(100000000000 + number) for number in range(4)]
KILLS = 40


def forked(work):
    """The exit status of a process that does this."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def check_nothing_is_half(house):
    """Whatever folder of a visit stands is marked and holds all its files."""
    for folder in {path.parent for path in (house.config.export / "DICOM").rglob("*.dcm")}:
        place = str(folder.relative_to(house.config.export))
        standing = [each for each in house.index.deliveries() if each.path == place]
        names = {path.name for path in folder.iterdir()}
        assert ".ready" in names
        assert {name for each in standing for name in house.index.files(each.delivery)} == names - {".ready"}
    for folder in (house.config.export / "NIFTI").glob("*/*/*"):
        assert (folder / ".ready").exists()


@pytest.fixture
def house(keeping):
    house = keeping()
    house.publish(VISITS[0], 1, 2, 3, 4, Rows=8, Columns=8, PixelData=bytes(128))
    house.publish(VISITS[1])
    held = house.store(image(1, visit=VISITS[2], PatientSex="F"), image(2, visit=VISITS[2], PatientSex="M"))
    house.later()
    assert house.state(held) is State.HELD
    house.exporter("bids", "catalog", "nifti").round()
    house.seal("abc")
    house.days(31)
    return house


@pytest.mark.parametrize("hit", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_killed_there_the_next_run_ends_it(house, point, hit):
    sealed = point in {"expire.unsealed", "expire.forgotten"}
    hit = 1 if sealed else hit

    def work():
        armed.arm(point, hit=hit)
        house.run()

    assert forked(work) == -signal.SIGKILL
    check_nothing_is_half(house)
    assert {kind for kind, _ in house.audit()} <= {"unfinished"}
    house.retention.finish()
    check_nothing_is_half(house)
    assert house.audit() == house.expiry.unfinished() == house.expiry.unremoved() == []
    house.run()
    assert (instances(house), house.audit(), house.due()) == (0, [], [])
    assert files(house.config.export / "DICOM") == files(house.config.export / "NIFTI") == []
    assert not list((house.config.export / "BIDS").glob("sub-*"))
    assert (house.config.export / "BIDS" / "participants.tsv").read_text() == "participant_id\tsex\n"
    assert files(house.config.export / "EHR") == files(house.config.quarantine) == []
    assert not house.staging.expired.exists()
    for visit in VISITS[:3]:  # each comes again under its own number
        assert house.store(image(1, visit=visit)).number == 2
    house.later()
    assert house.audit() == []


class Ticking:
    """What a Keeping wants to patch stays: both processes go by the machine's clock, moved by the days that go by."""

    def setattr(self, *_):
        """Nothing is replaced."""


class Living(Keeping):
    """A house that many processes live in: a published visit is due as soon as it is a moment old."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        super().__init__(folder, Ticking(), {"published_days": 1, "staged_days": 1}, visit_quiet_seconds=0.001)
        object.__setattr__(self.steward, "now", time.time)
        object.__setattr__(self.retention, "now", lambda: time.time() + DAY)
        self.today = date(2031, 2, 3) + timedelta(days=random.randrange(3))  # noqa: S311  any


def fork_a_steward(folder):
    """A process that publishes and takes away until it is killed."""
    child = os.fork()
    if child:
        return child
    house = Living(folder)
    exporter = house.exporter("catalog")
    while True:
        house.steward.round()
        exporter.round()
        list(house.retention.run())


def test_whatever_is_killed_a_visit_is_whole_or_gone(tmp_path):
    chance, house = random.Random(1), Living(tmp_path / "house")  # noqa: S311  a seed makes it the same again
    stored = {}
    for kill in range(KILLS):
        fresh = [image(kill * 3 + more, visit=chance.choice(VISITS)) for more in range(chance.randint(1, 3))]
        child = fork_a_steward(tmp_path / "house")
        try:
            house.store(*fresh)
            time.sleep(chance.uniform(0, 0.15))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        stored |= {instance.sop_instance_uid: instance.digest for instance in fresh}
        house.retention.finish()
        house.steward.round()  # and of publishing
        assert house.audit() == []
        known = {digest for each in house.index.deliveries() for digest in house.index.files(each.delivery).values()}
        there = {hashlib.sha256(path.read_bytes()).digest() for path in house.config.export.rglob("*.dcm")}
        assert known <= there  # what the index says is there
    for _round in range(3):  # what a folder's lock held up in one round goes in the next
        time.sleep(0.01)
        house.steward.round()
    house.exporter("catalog").round()
    house.run()
    assert house.run() == []
    assert (instances(house), house.audit()) == (0, [])
    assert files(house.config.export / "DICOM") == files(house.config.export / "EHR") == []
    assert {state for each in house.index.deliveries() for state in [each.state]} == {State.EXPIRED}
    recorded = sum(
        int(row["why"].split()[0])
        for visit in VISITS
        for row in house.index.listing("visit_states", scan_research_id=visit)
        if row["state"] == "expired"
    )
    assert recorded == len(stored)  # each was stored once, and taken away once
