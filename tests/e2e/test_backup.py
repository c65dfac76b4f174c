"""`cloakroom db`: a backup of a node at work, restored elsewhere, knows the same patients; a bad one is refused."""

import json
import shutil
import sqlite3
import threading

import pytest
from factories import mr
from running import Node

from scp.build import StartError
from scp.cli import db as command
from scp.db import backup
from scp.db.engine import DatabaseError
from scp.retrieve.send import send


def push(node, *instances):
    return send(list(instances), host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)


def another(number):
    return mr(number, SOPInstanceUID=f"2.25.{10**20 + number}", InstanceNumber=str(number))


def of_the_same(number):
    """Another instance of the same patient and study."""
    return mr(number, SOPInstanceUID=f"2.25.{10**21 + number}", InstanceNumber="2")


def rows(path):
    with sqlite3.connect(path) as database:
        return {row[0]: row[1] for row in database.execute("SELECT scan_research_id, pseudonym FROM visit")}


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory):
    """What a node leaves that has stored one study and was backed up and stopped; nobody writes there."""
    made = tmp_path_factory.mktemp("backed-up")
    (made / "first").mkdir()
    node = Node(made / "first", visit_quiet_seconds=600)
    node.start()
    assert push(node, another(1)) == [0]
    node.command("db", "backup", str(made / "saved"))
    assert node.stop() == 0
    return made


@pytest.fixture
def saved(tmp_path, backed_up):
    """Such a node of the test's own, its export and the backup with it."""
    shutil.copytree(backed_up, tmp_path, ignore=shutil.ignore_patterns("*.sock"), dirs_exist_ok=True)
    return Node(tmp_path / "first", visit_quiet_seconds=600), tmp_path / "saved"


def elsewhere(tmp_path, node):
    """A new node with the old one's keys and nothing else."""
    folder = tmp_path / "second"
    folder.mkdir()
    other = Node(folder)
    shutil.copytree(node.state / "keys", other.state / "keys")
    return other


def test_restored_elsewhere_a_patient_is_the_same(tmp_path, saved):
    node, folder = saved
    other = elsewhere(tmp_path, node)
    done = other.command("db", "restore", str(folder))
    assert "send again" in done.stdout
    other.start()
    try:
        assert push(other, another(1), of_the_same(1)) == [0, 0]  # known, and new of the same patient
        assert other.metric('cloakroom_instances_total{outcome="stored"}') == 2  # of what is known no file came along
        assert other.metric('cloakroom_instances_total{outcome="unchanged"}') == 0
    finally:
        assert other.stop() == 0
    before, after = rows(node.state / "index.db"), rows(other.state / "index.db")
    assert after == before


def test_a_backup_while_instances_come_is_whole(tmp_path):
    node = Node(tmp_path)
    node.start()
    sender = threading.Thread(target=push, args=(node, *[another(number) for number in range(150)]))
    sender.start()
    try:
        for turn in range(3):
            node.command("db", "backup", str(tmp_path / f"saved{turn}"))
    finally:
        sender.join()
        assert node.stop() == 0
    for turn in range(3):
        folder = tmp_path / f"saved{turn}"
        for name in ("index.db", "linkage.db"):
            backup.check(folder / name)
            assert (folder / name).stat().st_mode & 0o077 == 0
        known = {row[0] for row in sqlite3.connect(folder / "linkage.db").execute("SELECT scan_research_id FROM visit")}
        assert set(rows(folder / "index.db")) <= known  # never a visit whose patient nobody knows
        assert sorted(path.name for path in folder.iterdir()) == ["index.db", "linkage.db", "manifest.json"]


def test_what_a_backup_says_of_itself(saved):
    _, folder = saved
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == {"node", "version", "made_at", "sha256"}
    assert backup.node_of(folder / "index.db") == backup.node_of(folder / "linkage.db") == manifest["node"]


def test_nothing_is_written_over(tmp_path, saved):
    node, folder = saved
    done = node.command("db", "backup", str(folder), check=False)
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
    done = node.command("db", "restore", str(folder), check=False)
    assert (done.returncode, "--replace" in done.stderr) == (2, True)
    node.command("db", "restore", "--replace", str(folder))
    kept = sorted(path.name for path in node.state.glob("*.2*.db"))
    assert [name.partition(".")[0] for name in kept] == ["index", "linkage"]
    node.start()
    assert node.stop() == 0


def test_a_node_that_runs_is_not_restored_into(saved):
    node, folder = saved
    node.start()
    try:
        done = node.command("db", "restore", "--replace", str(folder), check=False)
        assert (done.returncode, "stop it first" in done.stderr) == (2, True)
    finally:
        assert node.stop() == 0


def test_a_node_that_started_while_the_backup_was_checked_keeps_its_databases(saved, monkeypatch):
    node, folder = saved
    before = rows(node.state / "index.db")
    check = command._unlocks

    def checked(*words):
        check(*words)
        node.start()

    monkeypatch.setattr(command, "_unlocks", checked)
    for name, value in node.environ.items():
        monkeypatch.setenv(name, value)
    try:
        with pytest.raises(StartError, match="another node runs"):
            command.restore(folder, replace=True)
        assert list(node.state.glob("*.2*.db")) == []
        assert push(node, another(2)) == [0]
    finally:
        assert node.stop() == 0
    assert len(rows(node.state / "index.db")) == len(before) + 1


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def drop_node(path):
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM node WHERE name = 'id'")


def signed_again(folder):
    """A manifest that fits what lies there now: the checks behind it have to find the rest."""
    import hashlib  # noqa: PLC0415

    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["sha256"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: flip(folder / "index.db"), "SHA-256 differs"),
        (lambda folder: (folder / "linkage.db").unlink(), "is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "this is no backup"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "is no manifest"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "this is no backup"),
        (lambda folder: ((folder / "index.db").write_bytes(b"x" * 9000), signed_again(folder)), "is damaged"),
        (lambda folder: (drop_node(folder / "index.db"), signed_again(folder)), "has no node id"),
    ],
)
def test_a_bad_backup_changes_nothing(tmp_path, saved, harm, said):
    node, folder = saved
    harm(folder)
    other = elsewhere(tmp_path, node)
    done = other.command("db", "restore", str(folder), check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert sorted(path.name for path in other.state.iterdir()) == ["keys"]


def test_the_wrong_key_is_refused_before_anything_is_put_back(tmp_path, saved):
    node, folder = saved
    other = elsewhere(tmp_path, node)
    key = other.state / "keys" / "linkage.key"
    key.chmod(0o600)
    key.write_text("00" * 32 + "\n")
    key.chmod(0o400)
    done = other.command("db", "restore", str(folder), check=False)
    assert done.returncode == 2
    assert "another linkage.key" in done.stderr
    assert sorted(path.name for path in other.state.iterdir()) == ["keys"]


def test_copies_that_cannot_be_made(tmp_path):
    with pytest.raises(DatabaseError, match="is missing"):
        backup.copy(tmp_path / "none.db", tmp_path / "copy.db")
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with pytest.raises(DatabaseError, match="cannot be copied"):
        backup.copy(tmp_path / "text.db", tmp_path / "other.db")
    assert not list(tmp_path.glob("[co]*.db"))
    with pytest.raises(DatabaseError, match="cannot be made"):
        backup.copy(tmp_path / "text.db", tmp_path / "text.db")
