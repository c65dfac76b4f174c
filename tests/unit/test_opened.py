"""The officer's side of the quarantine: opening, releasing, rejecting; and that nothing else opens it."""

import errno
import io
import json
import os
import stat
import sys

import pydicom
import pytest
from doubles import metrics
from factories import arrival, encode, mr
from pyrage import encrypt, x25519
from typer.testing import CliRunner
from writing import writing

from scp import build, cli, upkeep
from scp.config import Config
from scp.db.index import Index
from scp.instance import Arrival, Peer
from scp.outcome import Failure, Outcome
from scp.retrieve.send import SendError
from scp.store import keys, opened
from scp.store.keys import KeyFileError
from scp.store.opened import SealedFileError
from scp.store.quarantine import Quarantine

PAIR = x25519.Identity.generate()
BURNED = mr(BurnedInAnnotation="YES")


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "officer.key"
    path.write_text(f"# created: 2031-02-03\n# public key: {PAIR.to_public()}\n{PAIR}\n")
    path.chmod(0o400)
    return path


@pytest.fixture
def sealed(tmp_path):
    """A sealed original, far from any node."""
    quarantine = Quarantine(tmp_path / "quarantine", str(PAIR.to_public()))
    quarantine.prepare()
    failure = Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")
    entry = quarantine.seal(arrival(BURNED), failure, (encode(BURNED),))
    return quarantine.root / "burned_in" / f"{entry}.age"


def invoke(*words):
    return CliRunner().invoke(cli.app, ["quarantine", *map(str, words)])


def test_the_officer_gets_a_dicom_file(sealed, key, tmp_path):
    target = tmp_path / "original.dcm"
    done = invoke("open", sealed, "--key", key, "--out", target)
    assert done.exit_code == 0, done.exception
    assert "BurnedInAnnotation is YES" in done.stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    dataset = pydicom.dcmread(target)
    assert dataset.PatientName == BURNED.PatientName
    assert encode(dataset) == encode(BURNED)


def test_what_stands_there_is_not_overwritten(sealed, key, tmp_path):
    target = tmp_path / "original.dcm"
    target.write_bytes(b"mine")
    done = invoke("open", sealed, "--key", key, "--out", target)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"cloakroom: {sealed.name} cannot be opened into {target}: File exists\n"
    assert target.read_bytes() == b"mine"


def test_another_key_opens_nothing_and_leaves_nothing(sealed, tmp_path):
    with pytest.raises(SealedFileError, match="cannot be opened with this key"):
        opened.open_sealed(sealed, x25519.Identity.generate(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", [10, 200, -1])
def test_what_is_damaged_leaves_nothing(sealed, tmp_path, at):
    data = bytearray(sealed.read_bytes())
    data[at] ^= 1
    sealed.write_bytes(data)
    with pytest.raises(SealedFileError):
        opened.open_sealed(sealed, PAIR, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no line", b"no json\nrest", b"x" * 100_000])
def test_what_another_software_sealed_is_refused(tmp_path, content):
    (tmp_path / "x.age").write_bytes(encrypt(content, [PAIR.to_public()]))
    with pytest.raises(SealedFileError):
        opened.open_sealed(tmp_path / "x.age", PAIR, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Full(io.FileIO):
    """A file on a disk without room."""

    def write(self, _data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_where_the_disk_is_full_nothing_of_an_original_is_left(tmp_path, monkeypatch):
    (tmp_path / "x.age").write_bytes(encrypt(b"{}\nshort enough to be written at the very end", [PAIR.to_public()]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", lambda descriptor, mode: io.BufferedWriter(Full(descriptor, mode)))
        with pytest.raises(OSError, match="No space"):
            opened.open_sealed(tmp_path / "x.age", PAIR, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_large_original_comes_in_pieces(tmp_path):
    quarantine = Quarantine(tmp_path / "quarantine", str(PAIR.to_public()))
    quarantine.prepare()
    pieces = [os.urandom(100_000) for _ in range(30)]
    nobody = Arrival(Peer("", "", ""), "", "", "", "", b"")
    entry = quarantine.seal(nobody, Failure(Outcome.UNCLAIMED, "x"), pieces)
    head = opened.open_sealed(quarantine.root / "unclaimed" / f"{entry}.age", PAIR, tmp_path / "out")
    assert head["outcome"] == "unclaimed"
    assert (tmp_path / "out").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o420])
def test_a_key_that_others_can_read_is_refused(key, mode):
    key.chmod(mode)
    with pytest.raises(KeyFileError, match="others can read it"):
        opened.officer(key)


@pytest.mark.parametrize(
    "text",
    ["", "AGE-SECRET-KEY-1QQ", f"{PAIR}\n{PAIR}", str(PAIR.to_public())],
    ids=["nothing", "cut short", "two keys", "a public key"],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(key, text):
    key.chmod(0o600)
    key.write_text(text)
    with pytest.raises(KeyFileError, match="is not an age private key") as caught:
        opened.officer(key)
    assert not text or text not in str(caught.value)


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be read"):
        opened.officer(tmp_path / "officer.key")


def test_the_command_refuses_in_one_sentence(sealed, key, monkeypatch, capsys):
    key.chmod(0o444)
    monkeypatch.setattr(sys, "argv", ["cloakroom", "quarantine", "open", str(sealed), "-k", str(key), "-o", "x"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("cloakroom: ")


@pytest.fixture
def node(tmp_path, monkeypatch):
    """A node that has sealed one original, and its configuration for commands."""
    config = Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1)
    node = build.prepare(config)
    intake = build.intake(node, metrics())
    with writing(config.index_path, config.index_socket):
        assert intake.take(arrival(BURNED)) is Outcome.BURNED_IN
    for name in ("state", "export", "min_free_bytes"):
        monkeypatch.setenv(f"CLOAKROOM_{name.upper()}", str(getattr(config, name)))
    yield intake, config
    intake.index.close()
    os.close(node.lock)


def test_what_is_rejected_is_forgotten(node):
    intake, config = node
    (entry,) = json.loads(invoke("list", "--json").stdout)
    assert invoke("reject", entry["id"]).stdout == f"forgot {entry['id']}\n"
    assert list(config.quarantine.rglob("*.age")) == []
    assert json.loads(invoke("list", "--json").stdout) == []
    assert invoke("reject", entry["id"]).exit_code == 1
    with writing(config.index_path, config.index_socket):
        assert intake.take(arrival(BURNED)) is Outcome.BURNED_IN
    assert len(list(config.quarantine.rglob("*.age"))) == 1


def test_a_rejection_that_was_interrupted_is_seen_again(node):
    intake, config = node
    (entry,) = intake.index.listing("quarantine")
    assert intake.index.forget_quarantine(entry["id"])
    assert not intake.index.forget_quarantine(entry["id"])
    found = upkeep.audit(config, digests=True).run().counts
    assert found == {}  # the node holds its lock, so that this may yet go
    index = Index(config.index_path)
    assert build.recover(config, index, keys.load(config.keys).officer).listed == 1
    index.close()


def test_a_release_reaches_the_node_or_says_that_it_did_not(sealed, key, monkeypatch):
    sent = []

    def answer(instances, **options):
        sent.append((pydicom.dcmread(instances[0]).PatientID, options["called"], options["port"]))
        return [0x0000]

    monkeypatch.setattr("scp.cli.quarantine.send", answer)
    done = invoke("release", sealed, "--key", key, "--port", "104")
    assert (done.exit_code, done.stdout) == (0, "answered 0x0000, stored or unchanged\n")
    assert sent == [(BURNED.PatientID, "CLOAKROOM", 104)]
    monkeypatch.setattr("scp.cli.quarantine.send", lambda *_args, **_options: [0xC005])
    assert invoke("release", sealed, "--key", key).exit_code == 1


def test_a_release_to_nobody_is_one_sentence(sealed, key, monkeypatch):
    def nobody(*_args, **_options):
        raise SendError("CLOAKROOM at 127.0.0.1:9 cannot be reached")

    monkeypatch.setattr("scp.cli.quarantine.send", nobody)
    done = invoke("release", sealed, "--key", key, "--port", "9")
    assert done.exit_code == 1
    assert "could not be sent: CLOAKROOM at 127.0.0.1:9 cannot be reached" in done.stderr


def test_a_release_under_a_title_that_is_none_is_one_sentence(sealed, key):
    done = invoke("release", sealed, "--key", key, "--calling", "A" * 17)
    assert done.exit_code == 1
    assert "could not be sent (ValueError)" in done.stderr


def test_what_a_stranger_called_an_instance_does_not_steer_the_terminal(key, tmp_path):
    """A node seals what it cannot read, UIDs as they came and names of files as they were."""
    quarantine = Quarantine(tmp_path / "quarantine", str(PAIR.to_public()))
    quarantine.prepare()
    head = {"outcome": "dicom", "sop_instance_uid": "1.2\x1b[2J\nwhy  all is well", "name": "a\udcff"}
    quarantine.put("dicom", "x", head, [b"data"])
    done = invoke("open", quarantine.root / "dicom" / "x.age", "--key", key, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "1.2\\x1b[2J\\nwhy  all is well" in done.stdout
    assert "a\\udcff" in done.stdout
