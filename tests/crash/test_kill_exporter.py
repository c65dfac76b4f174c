"""kill -9 of the exporter before each of its steps: what is seen of the dataset is whole, and is made in the end."""

import errno
import gzip
import json
import os
import shutil
import signal
import sys
from ctypes import set_errno

import numpy as np
import pytest
from doubles import VISIT
from exporting import Exporting
from nibabel import Nifti1Image
from visiting import image

from scp.db.exports import Ledger
from scp.exports.exporter import Exporter
from scp.exports.volumes import Made

LATE, OTHERS = "4711", "SBBBBBBBBBBBBBBBB"
STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}
"""Python's own audit events of what changes a tree; each comes before its step."""


def convert(source, target, name, *, zipped):
    """Quick and always the same: which files there are is in the volume."""
    assert zipped
    inside = sorted(path.name for path in source.iterdir())
    volume = target / f"{name}.nii.gz"
    volume.write_bytes(gzip.compress(Nifti1Image(np.full((2, 2, 2), len(inside), "i2"), np.eye(4)).to_bytes(), mtime=0))
    (target / f"{name}.json").write_text(json.dumps({"SeriesDescription": " ".join(inside)}))
    return Made((volume,), 0)


class Once:
    """Goes round once."""

    def __init__(self):
        self.asked = 0

    def wait(self, _seconds):
        self.asked += 1
        return self.asked > 1

    def is_set(self):
        return False


def contents(root):
    """Every file of the dataset that is not hidden, with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def sessions(found):
    """The files of each session."""
    shown = {}
    for name, content in found.items():
        if "/ses-" in name:
            shown.setdefault(name.split("/")[1], {})[name] = content
    return shown


def killed(house, step):
    """A process that exports and dies at that step; whether it died."""
    child = os.fork()
    if not child:
        left = [step]

        def hear(event, _args):
            if event in STEPS:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        exporter = Exporter(Ledger(house.config.index_path), ["bids"], house.where, house.metrics, lambda: house.now)
        sys.addaudithook(hear)
        exporter.run(Once(), 0.0)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A published and exported visit, to which something came since, and a first visit of somebody else."""
    monkeypatch.setattr(sys.modules["scp.exports.bids"], "convert", convert)
    house = Exporting(tmp_path, monkeypatch, ("bids",))
    house.publish()
    assert house.exporter.round() == 1
    house.store(image(5))
    house.later()
    house.publish(LATE, PatientID=OTHERS)
    return house


def test_killed_before_any_step_nothing_half_is_seen_and_all_is_made_in_the_end(house, tmp_path):
    root, kept, work = house.config.export / "BIDS", tmp_path / "kept", house.where.work
    shutil.copytree(root, kept)
    before = contents(root)
    assert house.exporter.round() == 2
    golden = contents(root)
    assert sessions(before).keys() < sessions(golden).keys()
    assert golden != before

    step, died = 0, True
    while died:
        step += 1
        shutil.rmtree(root)
        shutil.copytree(kept, root)
        house.ledger.again("bids", VISIT)
        house.ledger.again("bids", LATE)
        died = killed(house, step)
        seen = contents(root)
        for label, files in sessions(seen).items():
            assert files in (sessions(before).get(label), sessions(golden)[label]), step
        assert sessions(before).keys() <= sessions(seen).keys(), step
        assert all(seen[name] in (before.get(name), golden[name]) for name in seen), step
        assert seen.keys() <= golden.keys(), step
        assert not killed(house, 10**9)
        assert contents(root) == golden, step
        assert not list(work.rglob("*")), step
        assert {row["state"] for row in house.listing()} == {"done"}
    assert step > 50


def missed(house, folder):
    """Whether a process that exports ever lets the folder be away, or without its marker, between two of its steps."""
    child = os.fork()
    if not child:
        armed = []

        def hear(event, _args):
            if event in STEPS and armed and not (folder / ".ready").exists():
                os._exit(3)

        exporter = Exporter(Ledger(house.config.index_path), ["nifti"], house.where, house.metrics, lambda: house.now)
        sys.addaudithook(hear)
        armed.append(True)
        exporter.run(Once(), 0.0)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


@pytest.fixture
def again(tmp_path, monkeypatch):
    """A visit whose volumes are there, to which something came since; the house, and the volumes' folder."""
    monkeypatch.setattr(sys.modules["scp.exports.nifti"], "convert", lambda *words, **_: convert(*words, zipped=True))
    house = Exporting(tmp_path, monkeypatch, ("nifti",))
    house.publish()
    assert house.exporter.round() == 1
    house.store(image(5))
    house.later()
    (folder,) = (house.config.export / "NIFTI").glob(f"*/*/{VISIT}")
    return house, folder


def test_volumes_that_are_made_again_are_never_away(again):
    house, folder = again
    before = contents(folder)
    assert not missed(house, folder)
    after = contents(folder)
    assert before.keys() == after.keys()
    assert before != after
    assert not list(house.where.work.rglob("*"))


def test_where_the_file_system_cannot_exchange_they_are_replaced_all_the_same(again, monkeypatch):
    house, folder = again
    before = contents(folder)
    monkeypatch.setattr("scp.store.exchange._RENAME", lambda *_: set_errno(errno.EINVAL) or -1)
    assert missed(house, folder)
    exporter = Exporter(Ledger(house.config.index_path), ["nifti"], house.where, house.metrics, lambda: house.now)
    exporter.run(Once(), 0.0)
    assert contents(folder) != before
    assert not list(house.where.work.rglob("*"))
