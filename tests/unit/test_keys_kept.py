"""Keys over the years: checked, rotated wherever that was interrupted, escrowed and restored."""

import os

import pytest
from doubles import metrics
from factories import arrival, mr, needles
from pyrage import decrypt, x25519
from typer.testing import CliRunner
from writing import writing

from scp import build, cli, upkeep
from scp.config import Config
from scp.db.engine import DatabaseError
from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.instance import Identity
from scp.outcome import Failure, Outcome
from scp.store import keys

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
PEOPLE = [Identity(f"MRN-{number}", "ISSUER", f"1.2.3.{number}.{study}") for number in range(4) for study in range(3)]


@pytest.fixture
def config(tmp_path, monkeypatch):
    config = Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1)
    for name in ("state", "export", "min_free_bytes"):
        monkeypatch.setenv(f"CLOAKROOM_{name.upper()}", str(getattr(config, name)))
    return config


def invoke(*words):
    return CliRunner().invoke(cli.app, ["keys", *map(str, words)])


def push(config, *instances):
    node = build.prepare(config)
    intake = build.intake(node, metrics())
    with writing(config.index_path, config.index_socket):
        outcomes = [intake.take(arrival(one)) for one in instances]
    intake.index.close()
    os.close(node.lock)
    return outcomes


def test_everybody_stays_who_they_are_under_a_new_key(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", OLD)
    linkage.open()
    before = [linkage.resolve(one) for one in PEOPLE]
    assert linkage.rekey(NEW) == 4
    assert not linkage.fits()
    after = Linkage(tmp_path / "linkage.db", NEW)
    assert after.fits()
    assert [after.resolve(one) for one in PEOPLE] == before
    assert after.counts() == (4, 12)
    with pytest.raises(DatabaseError, match=r"another linkage\.key"):
        Linkage(tmp_path / "linkage.db", OLD).open()


def test_visits_by_rule_and_whom_a_study_is_of_outlive_the_key(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", OLD)
    linkage.open()
    morning = Identity("PAT-9", "", "1.2.91", visit="day 20310203")
    alone = Identity("PAT-9", "", "1.2.93", sex="F")
    before = [linkage.resolve(one) for one in (morning, alone)]
    assert before[0].scan_research_id != before[1].scan_research_id
    linkage.rekey(NEW)
    after = Linkage(tmp_path / "linkage.db", NEW)
    evening = Identity("PAT-9", "", "1.2.92", visit="day 20310203")
    assert [after.resolve(one) for one in (morning, alone)] == before
    assert after.resolve(evening) == before[0]
    with pytest.raises(Failure) as caught:
        after.resolve(Identity("SOMEBODY", "", "1.2.93"))
    assert caught.value.outcome is Outcome.OTHER_PERSON
    after.rekey(OLD)
    assert Linkage(tmp_path / "linkage.db", OLD).resolve(evening) == before[0]


def test_a_rekeying_that_fails_changes_nothing(tmp_path, monkeypatch):
    linkage = Linkage(tmp_path / "linkage.db", OLD)
    linkage.open()
    before = [linkage.resolve(one) for one in PEOPLE]
    done = []

    def stopped(self, row, new):
        done.append(row)
        if len(done) == 3:
            raise KeyboardInterrupt
        return real(self, row, new)

    real = Linkage._rekey_subject
    monkeypatch.setattr(Linkage, "_rekey_subject", stopped)
    with pytest.raises(KeyboardInterrupt):
        linkage.rekey(NEW)
    assert linkage.fits()
    assert [linkage.resolve(one) for one in PEOPLE] == before


def test_nothing_of_the_old_seals_stays_on_the_disk(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", OLD)
    linkage.open()
    for one in PEOPLE:
        linkage.resolve(one)
    seals = [bytes(row["identity"]) for row in linkage._engine.rows("subjects")]
    linkage.rekey(NEW)
    there = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [seal for seal in seals if seal in there]


def test_a_rotated_node_knows_its_patients_and_its_instances(config):
    assert push(config, mr()) == [Outcome.STORED]
    key = keys.load(config.keys).linkage
    done = invoke("rotate")
    assert done.exit_code == 0, done.exception
    assert "1 subjects" in done.stdout
    assert keys.load(config.keys).linkage != key
    assert not keys.rotating(config.keys)
    assert push(config, mr(), mr()) == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    index = Index(config.index_path)
    assert index.listing("totals")[0]["instances"] == 1
    assert len(index.listing("visits")) == 1
    index.close()


@pytest.mark.parametrize("stopped", ["forget_sources", "rekey", "rotated"])
def test_a_rotation_that_was_stopped_goes_on(config, monkeypatch, stopped):
    push(config, mr())

    def stop(*_args):
        raise KeyboardInterrupt

    owner = {"forget_sources": Index, "rekey": Linkage, "rotated": keys}[stopped]
    with monkeypatch.context() as patch:
        patch.setattr(owner, stopped, stop)
        with pytest.raises(KeyboardInterrupt):
            upkeep.rotate(config)
    assert keys.rotating(config.keys)
    assert any("run `cloakroom keys rotate` again" in trouble for trouble in upkeep.key_troubles(config))
    assert upkeep.rotate(config) == 1
    assert push(config, mr()) == [Outcome.UNCHANGED]


def test_a_rotation_leaves_no_second_name_of_the_old_key(config, monkeypatch):
    push(config, mr())

    def stop(_path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", stop)  # where the next key has its name beside the temporary's
        with pytest.raises(KeyboardInterrupt):
            upkeep.rotate(config)
    assert upkeep.rotate(config) == 1
    old = (config.keys / "linkage.key").read_text()
    assert upkeep.rotate(config) == 1
    assert [path.name for path in config.keys.iterdir() if path.read_text() == old] == []
    assert (config.keys / "linkage.key").read_text() != old


def test_no_rotation_under_a_running_node(config, monkeypatch):
    node = build.prepare(config)
    monkeypatch.setattr(build, "_LOCK_SECONDS", 0.05)
    with pytest.raises(build.StartError, match="another node runs"):
        upkeep.rotate(config)
    os.close(node.lock)


def test_no_rotation_where_nothing_is(config):
    with pytest.raises(build.StartError, match="no node has run here yet"):
        upkeep.rotate(config)


def test_check_says_what_should_be_done(config):
    push(config, mr())
    done = invoke("check")
    assert done.exit_code == 1
    assert "move it to the data-protection officer" in done.stdout
    (config.keys / "officer.key").unlink()
    done = invoke("check")
    assert done.exit_code == 0
    assert "in order" in done.stdout


def test_check_knows_a_key_of_another_node(config, tmp_path):
    push(config, mr())
    keys.init(tmp_path / "other")
    (tmp_path / "other" / "linkage.key").replace(config.keys / "linkage.key")
    done = invoke("check")
    assert done.exit_code == 1
    assert "was made with another linkage.key" in done.stdout


def test_check_refuses_an_open_key(config):
    push(config, mr())
    (config.keys / "linkage.key").chmod(0o444)
    assert isinstance(invoke("check").exception, keys.KeyFileError)


def test_an_escrow_gives_the_key_back_to_each_of_its_recipients(config, tmp_path):
    keys.init(config.keys)
    pairs = [x25519.Identity.generate() for _ in range(2)]
    target = tmp_path / "escrow.age"
    done = invoke("escrow", *[word for pair in pairs for word in ("--to", pair.to_public())], "--out", target)
    assert done.exit_code == 0, done.exception
    for pair in pairs:
        assert decrypt(target.read_bytes(), [pair]).decode() == (config.keys / "linkage.key").read_text()
    assert keys.load(config.keys).linkage.hex().encode() not in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_escrow_is_for_real_keys_and_overwrites_nothing(config, tmp_path):
    keys.init(config.keys)
    with pytest.raises(keys.KeyFileError, match="is not an age public key"):
        keys.escrow(config.keys, ["age1nonsense"], tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").touch()
    with pytest.raises(FileExistsError):
        keys.escrow(config.keys, [str(x25519.Identity.generate().to_public())], tmp_path / "b")


def test_all_that_the_service_holds_does_not_open_what_it_sealed(config):
    """Every byte of the state folder but the officer's private half, tried as a key and searched for what is inside."""
    original = mr(BurnedInAnnotation="YES")
    push(config, original)
    (config.keys / "officer.key").unlink()
    (sealed,) = config.quarantine.rglob("*.age")
    texts = [path.read_text("ascii").strip() for path in config.keys.iterdir()]
    assert texts
    assert not [text for text in texts if text.startswith("AGE-SECRET-KEY")]
    everything = b"".join(path.read_bytes() for path in config.state.rglob("*") if path.is_file())
    assert b"AGE-SECRET-KEY" not in everything
    assert not [needle for needle in needles() if needle in everything]
    assert sealed.stat().st_size > 1000
