"""What operators and machines do to a node beside killing it.

Mounts that are missing or turn read-only, a second node in the same folder, a process that stands still, a clock that
goes back, no room for temporary files.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import date

import armed
import pytest
from doubles import VISIT
from factories import mr
from failing import fill, small_disk
from running import Node, wait
from visiting import House, image

from scp.db.index import Delivery
from scp.retrieve.send import SendError, send
from scp.state import State
from scp.steward.gates import converted

pytestmark = pytest.mark.timeout(300)


def unlike(number, seed=0):
    return mr(
        seed, SOPInstanceUID=f"2.25.{10**20 + number}", InstanceNumber=str(number), PixelData=bytes([number]) * 32
    )


def push(node, *instances):
    return send(instances, host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=1)


def serve(node):
    """A start that is expected to be refused."""
    return node.command("serve", check=False)


@pytest.fixture
def begun():
    """Nodes that a test starts, none of which is left."""
    nodes = []
    yield nodes.append
    for node in nodes:
        node.stop()


def placed(folder, **settings):
    """A node whose export folder is where the settings say."""
    folder.mkdir(exist_ok=True)
    node = Node(folder, **settings)
    node.export = settings["export"]
    return node


def test_a_second_node_with_the_same_export_folder_touches_nothing_in_it(tmp_path, begun):
    """It would take what the first has acknowledged and not published for its own, and seal it."""
    first = placed(tmp_path / "first", export=tmp_path / "export", visit_quiet_seconds=3600)
    second = placed(tmp_path / "second", export=tmp_path / "export")
    begun(first)
    first.start()
    assert push(first, unlike(1), unlike(2)) == [0, 0]
    for _ in range(2):
        refused = serve(second)
        assert refused.returncode == 2
        assert "is another node's export folder" in refused.stderr
    assert not list((tmp_path / "second").rglob("*.age"))
    assert first.command("verify").returncode == 0
    assert first.stop() == 0
    assert "is another node's export folder" in serve(second).stderr  # nor while the first is down
    first.start()
    assert push(first, unlike(3)) == [0]
    assert first.command("verify").returncode == 0


def test_an_export_disk_that_is_not_mounted_is_no_empty_one(tmp_path, begun):
    with small_disk(tmp_path / "disk", "8m") as disk:
        (disk / "kept").mkdir()
        mount = tmp_path / "export"
        mount.mkdir()
        subprocess.run(["mount", "--bind", str(disk / "kept"), str(mount)], check=True)
        node = placed(tmp_path / "node", export=mount, min_free_bytes=1)
        begun(node)
        try:
            node.start()
            assert push(node, unlike(1)) == [0]
            node.published(1)
        finally:
            node.stop()
            subprocess.run(["umount", "--lazy", str(mount)], check=True)
        refused = serve(node)
        assert refused.returncode == 2
        assert "is its disk mounted?" in refused.stderr
        assert list(mount.iterdir()) == []
        subprocess.run(["mount", "--bind", str(disk / "kept"), str(mount)], check=True)
        try:
            node.start()
            assert node.command("verify").returncode == 0
        finally:
            node.stop()
            subprocess.run(["umount", "--lazy", str(mount)], check=True)


def test_a_tree_on_a_disk_of_its_own_is_refused(tmp_path):
    with small_disk(tmp_path / "export" / "DICOM", "8m"):
        refused = serve(placed(tmp_path / "node", export=tmp_path / "export"))
        assert refused.returncode == 2
        assert "has to be on the file system of" in refused.stderr


def test_a_disk_that_turns_read_only_closes_admission_and_says_so(tmp_path, begun):
    with small_disk(tmp_path / "disk", "12m") as disk:
        node = placed(tmp_path / "node", export=disk / "export", min_free_bytes=1, visit_quiet_seconds=3600)
        begun(node)
        node.start()
        assert push(node, unlike(1)) == [0]
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        wait(lambda: node.get("/readyz")[0] == 503, "it is not ready")
        assert "can only be read" in node.get("/readyz")[1]
        workers, received = node.workers(), node.metric("cloakroom_received_bytes_total")
        assert push(node, unlike(2)) == [0xA700]
        assert node.metric("cloakroom_received_bytes_total") == received
        assert node.workers() == workers  # nobody has to leave
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        wait(node.ready, "it is ready again")
        assert push(node, unlike(2)) == [0]
        assert node.command("verify").returncode == 0


def test_an_index_writer_that_stands_still_is_replaced_and_nothing_is_lost(tmp_path, begun):
    node = Node(tmp_path, visit_quiet_seconds=3600, limits__hung_seconds=2.0)
    begun(node)
    node.start()
    assert push(node, unlike(1)) == [0]
    (stopped,) = node.living("writer")
    os.kill(stopped, signal.SIGSTOP)
    answers = {}

    def sender(first):
        with suppress(SendError, OSError):
            for number in range(first, first + 10):
                answers[number] = push(node, unlike(number, first))[0]

    threads = [threading.Thread(target=sender, args=(first,)) for first in range(10, 70, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait(lambda: node.living("writer") not in ([stopped], []), "there is another writer")
    assert set(answers.values()) <= {0, 0xA700}
    assert [push(node, unlike(number, number // 10 * 10))[0] for number in range(10, 70)] == [0] * 60
    assert len(node.instances()) == 61
    assert node.command("verify").returncode == 0


STOPPED = """
import os, signal, sys
from pathlib import Path
from scp.db.engine import Engine
with Engine(Path(sys.argv[1]), sys.argv[2]).write():
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.parametrize("name", ["index", "linkage"])
def test_a_command_that_stands_still_while_it_writes_makes_the_node_not_ready(tmp_path, begun, name):
    node = Node(tmp_path, visit_quiet_seconds=3600)
    begun(node)
    node.start()
    assert push(node, unlike(1)) == [0]
    program = [sys.executable, "-c", STOPPED, str(node.state / f"{name}.db"), name]
    with subprocess.Popen(program) as command:
        try:
            wait(lambda: node.get("/readyz")[0] == 503, "it is not ready")
            why = f"the {name} cannot be written to"
            assert json.loads(node.get("/readyz")[1])["reasons"] == [why]
            assert node.metric("cloakroom_ready") == 0
            assert json.loads(node.command("status", "--json").stdout)["troubles"] == [why]
            found = node.command("doctor", "--json", check=False)
            (row,) = [row for row in json.loads(found.stdout) if row["mark"] == "wrong"]
            assert (found.returncode, row["what"]) == (1, name)
            assert str(command.pid) in row["says"]
        finally:
            command.send_signal(signal.SIGCONT)
    wait(node.ready, "it is ready again by itself")
    assert push(node, unlike(2, seed=2)) == [0]
    assert json.loads(node.command("status", "--json").stdout)["troubles"] == []


def test_a_start_on_a_state_folder_that_can_only_be_read_is_one_sentence(tmp_path):
    with small_disk(tmp_path / "disk", "12m") as disk:
        node = Node(tmp_path, state=disk / "state", min_free_bytes=1)
        node.start()
        assert node.stop() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for verb in ("serve", "verify"):
            refused = node.command(verb, check=False)
            assert refused.returncode == 2
            assert "Traceback" not in refused.stderr
            assert len(refused.stderr.strip().splitlines()) == 1


def test_a_conversion_without_room_says_nothing_of_the_visit(tmp_path, monkeypatch):
    """It waits, neither held nor published, and goes on when there is room where TMPDIR is."""
    house = House(tmp_path, monkeypatch, gates={"slices": "pass", "dcm2niix": "hold"})
    with small_disk(tmp_path / "tmp", "256k") as disk:
        monkeypatch.setattr(converted.tempfile, "tempdir", str(disk))
        house.store(*[image(number, Rows=8, Columns=8, PixelData=bytes(128)) for number in range(1, 6)])
        fill(disk / "ballast")
        assert house.later(100.0) == 0
        assert house.state(Delivery(VISIT, 1)) is State.QUIET
        (disk / "ballast").unlink()
        assert house.later(1.0) == 1
        assert not list(disk.iterdir())


def test_a_temporary_folder_that_is_gone_holds_up_only_what_is_converted(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch, gates={"slices": "pass", "dcm2niix": "hold"})
    monkeypatch.setattr(converted.tempfile, "tempdir", str(tmp_path / "gone"))
    house.store(image(1))
    assert house.later(100.0) == 0
    assert house.state(Delivery(VISIT, 1)) is State.QUIET
    (tmp_path / "gone").mkdir()
    house.later(1.0)
    assert house.state(Delivery(VISIT, 1)) is not State.QUIET


@pytest.mark.parametrize("point", ["publish.begun", "publish.settled", "publish.wrapped", "publish.shown"])
def test_a_clock_that_goes_back_over_midnight_while_a_visit_is_published(tmp_path, monkeypatch, point):
    """Stopped on the third and taken up again on the second: it stands in one place, and no day is left empty."""
    house = House(tmp_path, monkeypatch)
    house.store(image(1), image(2))
    with armed.armed(point, armed.fail(5)), suppress(OSError):
        house.later(100.0)
    assert house.state(Delivery(VISIT, 1)) is State.PUBLISHING
    house.today = date(2031, 2, 2)
    house.now -= 86_400.0
    assert house.steward.round() == 1
    root = house.config.export / "DICOM"
    (visit,) = [path.parent for path in root.rglob(".ready")]
    assert visit.parent.name == ("20310203" if point == "publish.shown" else "20310202")
    assert len(list(visit.glob("*.dcm"))) == 2
    assert [path for path in root.rglob("*") if path.is_dir() and not any(path.iterdir())] == []
    assert sorted(path.name for path in house.staging.root.iterdir() if path.is_dir()) == []


def test_one_comes_late_after_the_clock_went_back_over_midnight(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch)
    house.store(image(1))
    assert house.later(100.0) == 1
    house.today = date(2031, 2, 2)
    house.now -= 86_400.0
    house.store(image(2))
    assert house.later(100.0) == 1
    days = sorted(path.parts[-3] for path in house.config.export.rglob("*.dcm"))
    assert days == ["20310202", "20310203"]
