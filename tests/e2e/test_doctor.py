"""`cloakroom doctor`: an ordinary node is healthy, and each thing that can be wrong is found with its remedy."""

import errno
import json
import os
import socket
import sqlite3

import pytest
from authority import Authority
from factories import mr
from running import Node, free_port

from scp.cli import doctor
from scp.cli.doctor import Mark
from scp.config import Config
from scp.retrieve.send import send
from scp.store.staging import Staging


def look(node, *words):
    """Exit code and findings by what was looked at."""
    done = node.command("doctor", "--json", *words, check=False)
    return done.returncode, {row["what"]: row for row in json.loads(done.stdout)}


def wrong(found):
    return {what for what, row in found.items() if row["mark"] == "wrong"}


@pytest.fixture
def stopped(tmp_path):
    """A node that has stored something and was stopped."""
    node = Node(tmp_path)
    node.start()
    assert send([mr(1)], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3) == [0]
    assert node.stop() == 0
    return node


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(tmp_path):
    node = Node(tmp_path)
    code, found = look(node)
    assert (code, wrong(found)) == (0, set())
    assert found["keys"]["says"] == found["databases"]["says"] == "are made at the first start"
    assert not node.state.exists()
    assert not node.export.exists()


def test_beside_a_running_node(node):
    code, found = look(node, "--peer", f"CLOAKROOM@127.0.0.1:{node.port}")
    assert (code, wrong(found)) == (0, set())
    assert found["port"]["says"] == f"{node.port} is the node's"
    assert found[f"CLOAKROOM@127.0.0.1:{node.port}"]["says"] == "answers C-ECHO"
    assert "ms for 64 KiB" in found["state fsync"]["says"]
    assert found["databases"]["says"] == "are whole and belong together"
    assert found["keys"]["mark"] == "look"  # the officer's half is still there
    assert "officer.key" in found["keys"]["says"]
    assert found["volumes"]["mark"] == "look"
    assert node.command("doctor").stdout.count("good") >= 7
    assert node.get("/readyz")[0] == 200


def test_a_port_that_somebody_else_has(tmp_path):
    node = Node(tmp_path)
    with socket.create_server(("127.0.0.1", node.port)):
        code, found = look(node)
    assert (code, wrong(found)) == (1, {"port"})
    assert found["port"]["remedy"] == "stop what listens there, or set port"


def test_peers_that_do_not_answer(tmp_path):
    code, found = look(Node(tmp_path), "--peer", f"PACS@127.0.0.1:{free_port()}", "--peer", "nonsense")
    assert (code, len(wrong(found))) == (1, 2)
    assert found["nonsense"]["says"] == "is not TITLE@HOST:PORT"


def open_key(node):
    (node.state / "keys" / "linkage.key").chmod(0o444)


def lose_key(node):
    (node.state / "keys" / "linkage.key").unlink()


def lose_linkage(node):
    (node.state / "linkage.db").unlink()


def foreign_index(node):
    with sqlite3.connect(node.state / "index.db") as database:
        database.execute("UPDATE node SET value = 'another' WHERE name = 'id'")


def damage(node):
    path = node.state / "index.db"
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    path.write_bytes(data)


def future(node):
    os.utime(node.state / "index.db", (4e9, 4e9))


@pytest.mark.parametrize(
    ("harm", "what", "says"),
    [
        (open_key, "keys", "others can read it"),
        (lose_key, "keys", "is missing"),
        (lose_linkage, "databases", "is missing"),
        (foreign_index, "databases", "do not belong together"),
        (damage, "databases", "is damaged"),
        (future, "clock", "from the future"),
    ],
)
def test_what_is_wrong_is_found_with_its_remedy(stopped, harm, what, says):
    assert look(stopped)[0] == 0
    harm(stopped)
    code, found = look(stopped)
    assert (code, wrong(found)) == (1, {what})
    assert says in found[what]["says"]
    assert found[what]["remedy"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"recipe": "no-such-recipe"}, "recipe"),
        ({"layout": "no-such-layout"}, "recipe"),
        ({"tls__enabled": True}, "TLS and identities"),
        ({"min_free_bytes": 2**60}, "state room"),
    ],
)
def test_settings_that_cannot_work(tmp_path, settings, what):
    code, found = look(Node(tmp_path, **settings))
    assert code == 1
    assert what in wrong(found)


def test_certificates_that_end_soon(tmp_path):
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.make("node")
    files = {"certificate": certificate, "key": key, "client_ca": authority.path, "enabled": True, "port": free_port()}
    code, found = look(Node(tmp_path, **{f"tls__{name}": value for name, value in files.items()}))
    assert code == 0
    assert found["tls.certificate"]["mark"] == found["tls.client_ca"]["mark"] == "look"
    assert found["tls.certificate"]["remedy"] == "docs/how-to/tls.md"


def test_what_warns_at_the_start_is_looked_at(tmp_path):
    code, found = look(Node(tmp_path, host="127.0.0.2"))
    assert code == 0
    assert "any calling AE title" in found["peers"]["says"]


def test_a_slow_disk_is_pointed_at(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "SLOW_SYNC_SECONDS", 0.0)
    assert doctor._sync("state fsync", tmp_path).mark is Mark.LOOK
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_is_a_finding_and_no_end(tmp_path, monkeypatch):
    def full(**_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    found = {each.what: each for each in doctor._disks(Config(state=tmp_path / "state", export=tmp_path / "export"))}
    assert list(found) == ["state room", "state fsync", "export room", "export fsync"]
    assert found["state fsync"].mark is found["export fsync"].mark is Mark.WRONG
    assert "No space left" in found["export fsync"].says
    assert found["export fsync"].remedy.startswith("docs/how-to/disk-full.md")


def test_a_clock_that_was_never_set(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "FIRST_SECONDS", 1e12)
    assert [finding.mark for finding in doctor._clock(Config(state=tmp_path))] == [Mark.WRONG]


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)  # tests may run as root, who may write anywhere
    for name in ("state", "export"):
        (tmp_path / name).mkdir()
    found = list(doctor._folders(Config(state=tmp_path / "state", export=tmp_path / "export")))
    assert [finding.mark for finding in found[:2]] == [Mark.WRONG, Mark.WRONG]
    assert found[0].remedy.startswith("chown ")


def test_a_state_that_is_open_to_everybody(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    found = next(doctor._folders(Config(state=tmp_path / "state", export=tmp_path / "export")))
    assert (found.mark, found.remedy) == (Mark.LOOK, f"chmod 0750 {tmp_path / 'state'}")


@pytest.mark.parametrize("settings", [{"exports": ("bids",)}, {"exports": ("nifti",)}])
def test_a_missing_dcm2niix_is_said_where_an_export_needs_it(tmp_path, monkeypatch, settings):
    monkeypatch.setattr("scp.handover.program", lambda: None)
    config = Config(state=tmp_path / "state", export=tmp_path / "export", **settings)
    (found,) = doctor._handover(config)
    assert (found.mark, found.says) == (Mark.WRONG, "exports: dcm2niix is not installed (pip install dcm2niix)")
    (found,) = doctor._handover(config.model_copy(update={"exports": ("catalog",)}))
    assert found.mark is Mark.GOOD


def test_who_keeps_visits_from_being_published_is_named(tmp_path, monkeypatch):
    config = Config(state=tmp_path / "state", export=tmp_path / "export")
    assert list(doctor._publishing(config)) == []
    staging = Staging(config.export)
    staging.prepare()
    monkeypatch.setattr(doctor, "BUSY_SECONDS", 0.1)
    with staging.alone():
        (found,) = doctor._publishing(config)
    assert found.mark is Mark.WRONG
    assert f"process {os.getpid()} holds {staging.root}/.publishing" in found.says
    assert "SIGCONT" in found.remedy
