"""Disks that fail, fill up and come back: nothing is acknowledged that is not there, nothing half done is left."""

import errno
import os
import resource
import sqlite3
from contextlib import suppress
from dataclasses import replace

import armed
import faulty_node
import pytest
from doubles import metrics
from factories import mr
from failing import ERRORS, failing, fill, small_disk
from house import House, Kill, instance
from running import Node, wait

from scp import build
from scp.db import engine
from scp.db.index import Index
from scp.outcome import Failure, Outcome
from scp.retrieve.send import SendError, send
from scp.store import direct, keys
from scp.verify import Kind

KEPT = (Outcome.STORED, Outcome.UNCHANGED)
ROOMLESS = (Outcome.OUT_OF_RESOURCES, Outcome.STORAGE_FAULT)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture
def intake(house):
    """The walk in this process, committing for itself."""
    node = build.prepare(house.config)
    intake = build.intake(node, metrics())
    index = Index(house.config.index_path)
    yield replace(intake, index=index)
    index.close()
    intake.linkage.close()
    os.close(node.lock)


@pytest.fixture(autouse=True)
def _calm():
    yield
    armed.disarm()


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("kind", [0, 5, 7, 9], ids=["small", "unknown", "streamed", "sealed"])
def test_each_call_that_fails_in_its_turn(house, intake, kind, number, monkeypatch):
    monkeypatch.setattr(direct, "_PIECE", 512)  # so that what streams is written by its thread
    intake.take(instance(1))  # what is made once is made
    kth, answers = 0, {1: Outcome.STORED.status}
    while True:
        kth += 1
        one = kth * 10 + kind
        with failing(kth, number) as calls:
            outcome = intake.take(instance(one))
        if not calls.fired:
            break
        assert outcome in (*ROOMLESS, *KEPT, Outcome.INCOMPLETE), (calls.asked, outcome)
        if outcome not in ROOMLESS:
            answers[one] = outcome.status
        again = intake.take(instance(one))
        assert again in (*KEPT, Outcome.INCOMPLETE), calls.asked
        answers[one] = again.status
    assert kth > 8
    report = house.audit()
    assert report.lost == 0
    assert {finding.kind for finding in report.findings} <= {Kind.TEMPORARY, Kind.UNLISTED}
    build.recover(house.config, intake.index, keys.load(house.config.keys).officer)
    assert house.check(answers) == []
    assert set(house.contents().values()) <= {1}


def test_a_failed_fsync_is_never_tried_again(intake, monkeypatch):
    tried = []
    real = os.fsync

    def fsync(descriptor):
        tried.append(descriptor)
        if len(tried) == 1:
            raise OSError(errno.EIO, "x")
        real(descriptor)

    intake.take(instance(1))
    monkeypatch.setattr(os, "fsync", fsync)
    assert intake.take(instance(2)) is Outcome.STORAGE_FAULT
    assert len(tried) == 1


@pytest.mark.parametrize("point", ["files.written", "files.unlinked", "intake.removing"])
def test_what_fails_at_a_point_is_answered_and_told(house, intake, point, monkeypatch):
    if point == "intake.removing":
        monkeypatch.setattr(intake.index, "_commit", _busy(intake.index._commit))
    with armed.armed(point, armed.fail(errno.EIO)):
        try:
            outcome = intake.take(instance(2))
        except OSError:
            outcome = Outcome.FAILED  # at the front door
    assert outcome.status >= 0x0100
    monkeypatch.undo()
    assert intake.take(instance(2)) in KEPT
    assert set(house.contents().values()) == {1}


def _busy(commit):
    def refuse(write):
        if write.kind == "instance":
            raise Failure(Outcome.OUT_OF_RESOURCES, "the index database is busy or full")
        return commit(write)

    return refuse


def test_no_descriptors_left(house, intake):
    intake.take(instance(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    lowest = max(int(name) for name in os.listdir("/proc/self/fd")) + 8
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        assert intake.take(instance(2)) is Outcome.OUT_OF_RESOURCES
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert intake.take(instance(2)) is Outcome.STORED
    assert house.audit().findings == []


def test_a_locked_database_is_no_room_and_passes(house, intake, monkeypatch):
    intake.take(instance(1))
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(house.config.index_path, isolation_level=None)
    fresh = replace(intake, index=Index(house.config.index_path))
    other.execute("BEGIN IMMEDIATE")
    assert fresh.take(instance(2)) is Outcome.OUT_OF_RESOURCES
    other.execute("ROLLBACK")
    other.close()
    assert fresh.take(instance(2)) in KEPT
    fresh.index.close()
    assert house.audit().findings == []


def test_a_damaged_index_is_no_start_and_no_answer(house):
    told = house.live(range(24))
    assert house.check(told.answers) == []
    size = house.config.index_path.stat().st_size
    with house.config.index_path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    with pytest.raises(AssertionError, match="the start ended with 1"):
        house.recover()


def test_a_truncated_wal_loses_rows_and_no_file(tmp_path):
    """SQLite then has forgotten what was acknowledged: the files are adopted or sealed, and nothing is deleted."""
    house = House(tmp_path, visit_quiet_seconds=3600)
    house.live(range(8))
    told = house.live(range(8, 80), [Kill("worker", "intake.recorded", hit=12, everybody=True)])
    wal = house.config.state / "index.db-wal"
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size // 2)
    orphans = house.orphans()
    assert orphans
    assert house.recover()
    assert house.forgotten(orphans) == []
    assert house.audit().findings == []
    again = house.live(list(told.answers))
    assert house.recover()
    assert house.check(again.answers) == []
    assert set(house.contents().values()) == {1}


@pytest.fixture
def node(tmp_path):
    """A node whose export folder is a small disk of its own."""
    with small_disk(tmp_path / "small", "12m") as disk:
        node = Node(tmp_path, export=disk / "export", min_free_bytes=4 << 20, visit_quiet_seconds=3600)
        node.export = disk / "export"
        node.start()
        yield node
        node.stop()


def push(node, *instances):
    return send(instances, host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=1)


def unlike(number):
    return mr(SOPInstanceUID=f"2.25.{number}", InstanceNumber=str(number), PixelData=bytes([number]) * 32)


def test_a_full_disk_closes_admission_and_opens_it_again(node):
    assert push(node, unlike(1)) == [0]
    ballast = node.export.parent / "ballast"
    fill(ballast, leave=2 << 20)
    wait(lambda: node.get("/readyz")[0] == 503, "it is not ready")
    assert "min_free_bytes" in node.get("/readyz")[1]
    received = node.metric("cloakroom_received_bytes_total")
    assert push(node, unlike(2)) == [0xA700]
    assert node.metric("cloakroom_received_bytes_total") == received  # not a byte of it was taken
    ballast.unlink()
    wait(node.ready, "it is ready again")
    assert push(node, unlike(2)) == [0]
    assert node.command("verify").returncode == 0


def test_a_disk_in_memory_takes_large_instances_until_one_fills_it(tmp_path):
    limits = {"limits__stream_bytes": 1 << 16}
    with small_disk(tmp_path / "small", "12m") as disk:
        node = Node(tmp_path, export=disk / "export", min_free_bytes=1, visit_quiet_seconds=3600, **limits)
        node.export = disk / "export"
        node.start()
        try:
            large = [unlike(number) for number in range(1, 4)]
            for number, image in enumerate(large):
                image.Rows, image.Columns = 2048, 1024 + 3 * number
                image.PixelData = bytes([number]) * (image.Rows * image.Columns * 2)
            assert push(node, *large) == [0, 0, 0xA700]
            assert list(node.export.rglob(".tmp-*")) == []
            assert node.metric('cloakroom_instances_total{outcome="stored"}') == 2
            assert node.command("verify").returncode == 0
        finally:
            assert node.stop() == 0


def test_a_disk_that_is_full_to_the_last_byte(tmp_path):
    with small_disk(tmp_path / "small", "12m") as disk:
        node = Node(tmp_path, export=disk / "export", state=disk / "state", min_free_bytes=1, visit_quiet_seconds=3600)
        node.export, node.state = disk / "export", disk / "state"
        node.start()
        try:
            assert push(node, unlike(1)) == [0]
            ballast = disk / "ballast"
            fill(ballast, leave=8192)
            statuses = [push(node, unlike(number))[0] for number in range(2, 8)]
            assert 0xA700 in statuses
            ballast.unlink()
            wait(lambda: _all_stored(node), "all is taken")
            assert node.command("verify").returncode == 0
        finally:
            assert node.stop() == 0


def _all_stored(node):
    """The workers may have left, as they do after a disk that failed."""
    with suppress(SendError, OSError):
        return push(node, *[unlike(number) for number in range(1, 8)]) == [0] * 7
    return False


def test_a_worker_whose_fsync_failed_leaves_and_a_fresh_one_serves(tmp_path):
    node = Node(tmp_path, workers=1, visit_quiet_seconds=3600)
    flag = tmp_path / "flag"
    node.program = [faulty_node.__file__, str(flag), "files.written", str(errno.EIO)]
    node.start()
    try:
        (before,) = node.workers()
        assert push(node, unlike(1)) == [0]
        flag.touch()
        assert push(node, unlike(2)) == [0xA700]
        flag.unlink()
        wait(lambda: node.workers() and before not in node.workers(), "a fresh worker is there")
        wait(lambda: _stored(node, 2), "it is taken")
        assert node.command("verify").returncode == 0
        assert node.metric('cloakroom_instances_total{outcome="storage_fault"}') == 1
    finally:
        assert node.stop() == 0


def _stored(node, number):
    with suppress(SendError, OSError):
        return push(node, unlike(number)) == [0]
    return False
