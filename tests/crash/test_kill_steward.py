"""kill -9 of the steward, again and again while instances come: each is published once and whole."""

import hashlib
import os
import random
import signal
import subprocess
import time
from collections import Counter

from visiting import House, image

from scp.state import State

KILLS = 40
VISITS, AT_ONCE = 6, 3


class RealTime:
    """What a House wants to patch stays as it is here: the steward's process and ours have one clock, the machine's."""

    def setattr(self, *_):
        """Nothing is replaced."""


class Living(House):
    """A house whose steward goes by the machine's clock; a visit is quiet at once."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        super().__init__(folder, RealTime(), visit_quiet_seconds=0.001)
        object.__setattr__(self.steward, "now", time.time)


def fork_a_steward(folder):
    """A process that goes round until it is killed; connections of its own."""
    child = os.fork()
    if child:
        return child
    house = Living(folder)
    while True:
        house.steward.round()


def check_nothing_is_half(house):
    """A folder that is marked holds every file of every delivery that the index calls published there."""
    for entry in house.index.in_state(State.PUBLISHED):
        folder = house.config.export / entry.path
        names = {path.name for path in folder.iterdir()}
        if ".ready" in names:
            assert set(house.index.files(entry.delivery)) <= names


def campaign(folder, kills, seed=1):
    """So many kills at random moments; returns the house and what was stored."""
    chance, house, stored = random.Random(seed), Living(folder), []  # noqa: S311  a seed makes it the same again
    for kill in range(kills):
        visit = str(100000000000 + chance.randrange(VISITS))
        fresh = [image(kill * AT_ONCE + more, visit=visit) for more in range(chance.randint(1, AT_ONCE))]
        child = fork_a_steward(folder)
        try:
            house.store(*fresh)
            time.sleep(chance.uniform(0, 0.15))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        stored += fresh
        check_nothing_is_half(house)
    for _round in range(3):  # what a folder's lock held up in one round goes in the next
        time.sleep(0.01)
        house.steward.round()
    return house, stored


def test_whatever_is_killed_each_instance_is_published_once_and_whole(tmp_path):
    house, stored = campaign(tmp_path / "house", KILLS)
    files = list((house.config.export / "DICOM").rglob("*.dcm"))
    assert Counter(hashlib.sha256(path.read_bytes()).digest() for path in files) == Counter(
        instance.digest for instance in stored
    )
    assert not [entry for state in State if state is not State.PUBLISHED for entry in house.index.in_state(state)]
    assert all((path.parent / ".ready").exists() for path in files)
    assert not [path for path in house.staging.root.rglob("*.dcm") if path.parent.name != "unclaimed"]
    manifests = sorted(house.config.manifests.glob("*.sha256"))
    assert sum(len(path.read_text().splitlines()) for path in manifests) == len(files)
    for manifest in manifests:
        check = ["sha256sum", "--check", "--strict", "--quiet", manifest]
        assert subprocess.run(check, cwd=house.config.export, check=False).returncode == 0
