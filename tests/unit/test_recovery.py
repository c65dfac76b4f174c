"""A start after a bad end: what is adopted, what is sealed, what is finished, what is told as lost."""

import errno
import hashlib
import json
import os
from io import StringIO
from pathlib import Path

import pytest
from doubles import metrics
from factories import arrival, mr
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrage import decrypt, x25519
from rich.console import Console
from typer.testing import CliRunner
from visiting import approve
from writing import writing

from scp import build, cli, log, upkeep
from scp.bounds import Bounds
from scp.cli import verify
from scp.cli.reload import Current
from scp.config import Config
from scp.db.index import Delivery, Index
from scp.outcome import Failure, Outcome
from scp.recovery.orphan import NotOursError, Orphan
from scp.state import State
from scp.verify import Kind


@pytest.fixture
def config(tmp_path):
    return Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1, visit_quiet_seconds=0.001)


def start(config):
    """What a start does before it serves."""
    node = build.prepare(config)
    os.close(node.lock)
    return node


def push(config, *instances):
    """Outcomes of instances that a node takes between two starts."""
    node = start(config)
    intake = build.intake(node, metrics())
    with writing(config.index_path, config.index_socket):
        outcomes = [intake.take(arrival(one)) for one in instances]
    intake.index.close()
    return outcomes


@pytest.fixture
def index(config):
    start(config)
    index = Index(config.index_path)
    yield index
    index.close()


def forget(index, statement="DELETE FROM instance"):
    """Rows that a damaged database or a crash has not."""
    with index._engine.write():
        index._engine._database().execute(statement)


def unlike(number):
    return mr(SOPInstanceUID=f"2.25.{number}", InstanceNumber=str(number), PixelData=bytes([number]) * 32)


def the_file(config, count=1):
    files = sorted(config.export.rglob("*.dcm"))
    assert len(files) == count
    return files[0]


def rows(index):
    return [dict(row) for row in index._engine._database().execute("SELECT * FROM instance").fetchall()]


def test_a_file_without_its_row_gets_the_very_row_it_had(config, index):
    push(config, unlike(1))
    (before,) = rows(index)
    forget(index)
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed, recovered.report.findings) == (1, 0, [])
    (after,) = rows(index)
    own = {"source_uid", "source_digest", "stored_at"}
    assert {key: after[key] for key in after.keys() - own} == {key: before[key] for key in before.keys() - own}
    assert after["source_uid"] is None
    assert push(config, unlike(1)) == [Outcome.UNCHANGED]
    (named,) = rows(index)
    assert (named["source_uid"], named["source_digest"]) == (before["source_uid"], before["source_digest"])


def test_what_was_adopted_and_comes_again_with_other_content_conflicts(config, index):
    push(config, unlike(1))
    forget(index)
    start(config)
    other = mr(SOPInstanceUID="2.25.1", InstanceNumber="1", PixelData=b"\7" * 32)
    assert push(config, other) == [Outcome.CONFLICTING]


def test_nothing_is_adopted_after_a_recipe_was_read_again(config, index, tmp_path):
    current = Current(start(config), tmp_path / "cloakroom.toml")
    (tmp_path / "cloakroom.toml").write_text(f'recipe = "{config.recipe}"\n')
    assert current.renew()
    assert not (config.state / "recipe.renewed").exists(), "it is the same"
    (tmp_path / "cloakroom.toml").write_text('recipe = "basic"\n')
    assert current.renew()
    intake = build.intake(current.node, metrics(), index)
    assert intake.take(arrival(unlike(1))) is Outcome.STORED
    forget(index)
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed) == (0, 1), "the index names the recipe of the start"
    assert push(config, unlike(1)) == [Outcome.STORED]
    forget(index)
    assert start(config).recovered.adopted == 1, "one recipe alone again"


def test_nothing_is_adopted_after_an_import_with_another_recipe_beside_a_node(config, index):
    node = build.prepare(config)
    try:
        with upkeep.importing(config.model_copy(update={"recipe": "basic"})) as intake:
            assert intake.take(arrival(unlike(1))) is Outcome.STORED
    finally:
        os.close(node.lock)
    forget(index)
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed) == (0, 1)


def test_a_recipe_that_cannot_be_written_down_as_new_is_refused(config, tmp_path, monkeypatch):
    def full(_path, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    current = Current(node := start(config), tmp_path / "cloakroom.toml")
    (tmp_path / "cloakroom.toml").write_text('recipe = "basic"\n')
    monkeypatch.setattr("pathlib.Path.touch", full)
    assert not current.renew()
    assert current.node is node


def test_nothing_is_adopted_when_nobody_knows_the_recipe(config, index):
    push(config, unlike(1))
    content = the_file(config).read_bytes()
    forget(index)
    forget(index, "DELETE FROM node WHERE name = 'recipe'")
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed) == (0, 1)
    assert opened(config, "unclaimed") == [content]
    assert not list(config.export.rglob("*.dcm"))


def opened(config, outcome):
    """The sealed originals of an outcome, as the officer reads them."""
    officer = x25519.Identity.from_str((config.keys / "officer.key").read_text().strip())
    files = sorted((config.quarantine / outcome).glob("*.age"))
    return [decrypt(file.read_bytes(), [officer]).split(b"\n", 1)[1] for file in files]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[:100],
        lambda _data: b"",
        lambda data: b"MZ" + data[2:],
        lambda data: data[:128] + b"XXXX" + data[132:],
        lambda data: data[:140] + b"\xff\xff\xff\xff" + data[144:],
        lambda data: data.replace(b"2.25.", b"2.26.", 1),
        lambda data: data[:132],
    ],
)
def test_what_is_not_ours_is_sealed_and_not_deleted(config, index, spoil):
    push(config, unlike(1))
    file = the_file(config)
    spoiled = spoil(file.read_bytes())
    file.write_bytes(spoiled)
    forget(index)
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed, recovered.report.findings) == (0, 1, [])
    assert not file.exists()
    assert opened(config, "unclaimed") == [spoiled]
    assert [row["outcome"] for row in index.listing("quarantine")] == ["unclaimed"]
    assert start(config).recovered.sealed == 0


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 4000), byte=st.integers(1, 255))
def test_no_spoiled_byte_of_the_meta_information_is_adopted(planted, at, byte):
    data = bytearray(planted[0])
    at %= planted[1]
    data[at] ^= byte
    path = planted[2].parent / "spoiled" / planted[2].name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    with pytest.raises(NotOursError):
        Orphan(path, Delivery(planted[2].name.split("_")[0], 1)).row("r", Bounds())


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A file's bytes, how many of them are meta information, and its path."""
    folder = tmp_path_factory.mktemp("planted")
    config = Config(state=folder / "state", export=folder / "export", min_free_bytes=1)
    push(config, unlike(1))
    file = the_file(config)
    data = file.read_bytes()
    return data, 144 + int.from_bytes(data[140:144], "little"), file


def test_a_name_that_is_not_its_content_s_is_sealed(config, index):
    push(config, unlike(1), unlike(2))
    first, second = sorted(config.export.rglob("*.dcm"))
    forget(index)
    first.rename(first.with_name("swap"))
    second.rename(first)
    first.with_name("swap").rename(second)
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed) == (0, 2)


def test_a_file_of_a_delivery_that_takes_none_is_sealed(config, index):
    push(config, unlike(1))
    file = the_file(config)
    aside = config.export / ".tmp" / "unclaimed"
    aside.mkdir()
    (aside / file.name).write_bytes(file.read_bytes())
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed) == (0, 1)
    assert not aside.exists()
    assert file.exists()


def test_what_is_sealed_already_is_only_taken_away(config, index):
    aside = config.export / ".tmp" / "unclaimed"
    for _ in range(2):
        aside.mkdir(exist_ok=True)
        (aside / "1_2.dcm").write_bytes(b"torn")
        start(config)
        assert not aside.exists()
    assert len(index.listing("quarantine")) == 1
    assert opened(config, "unclaimed") == [b"torn"]


def test_a_conflicting_orphan_is_sealed(config, index):
    push(config, unlike(1))
    file = the_file(config)
    forget(index, "UPDATE instance SET file_name = 'another.dcm', digest = x'00'")
    recovered = start(config).recovered
    assert (recovered.adopted, recovered.sealed) == (0, 1)
    assert [found.kind for found in recovered.report.findings] == [Kind.MISSING]
    assert not file.exists()


def test_a_sealed_original_without_a_row_is_listed(config, index):
    push(config, mr(BurnedInAnnotation="YES"))
    (entry,) = index.listing("quarantine")
    forget(index, "DELETE FROM quarantine")
    recovered = start(config).recovered
    assert recovered.listed == 1
    (listed,) = index.listing("quarantine")
    assert (listed["id"], listed["outcome"]) == (entry["id"], "burned_in")
    assert "crash" in listed["why"]


def test_a_publication_is_finished_before_anybody_is_served(config, index):
    push(config, unlike(1))
    (begun,) = index.in_state(State.RECEIVING)
    approve(index, begun.delivery)
    index.begin_publishing(begun.delivery, f"DICOM/2031/20310203/{begun.delivery.scan_research_id}")
    assert start(config).recovered.resumed == 1
    assert index.state(begun.delivery) == "published"
    assert (the_file(config).parent / ".ready").exists()


def test_a_loss_is_told(config, index):
    push(config, unlike(1), unlike(2))
    lost = the_file(config, 2)
    lost.unlink()
    said = StringIO()
    log.configure("json", "info", said)
    node = start(config)
    assert node.recovered.report.lost == 1
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("lost", "error"), ("recovery_finding", "error")]
    assert lines[1]["path"] == f".tmp/{lost.parent.name}/{lost.name}"


def test_a_disk_that_will_not_is_told(config, index, monkeypatch):
    push(config, unlike(1))
    forget(index)
    monkeypatch.setattr(Orphan, "row", lambda *_: (_ for _ in ()).throw(OSError(5, "x")))
    with pytest.raises(Failure, match="could not be made durable"):
        start(config)
    assert the_file(config).exists()


def test_folders_in_staging_are_left_when_they_hold_something(config, index):
    strange = config.export / ".tmp" / "7-1" / "inside"
    strange.mkdir(parents=True)
    (strange / "x").write_bytes(b"")
    recovered = start(config).recovered
    assert strange.exists()
    assert [found.kind for found in recovered.report.findings] == [Kind.ORPHAN]


@pytest.fixture
def command(config, monkeypatch):
    for name in ("state", "export", "min_free_bytes"):
        monkeypatch.setenv(f"CLOAKROOM_{name.upper()}", str(getattr(config, name)))
    return lambda *words: CliRunner().invoke(cli.app, ["verify", *words])


def test_the_command_says_that_all_is_in_order(config, command):
    push(config, unlike(1))
    done = command()
    assert done.exit_code == 0
    assert "findings" in done.stdout
    assert "none" in done.stdout


def test_the_command_names_what_is_wrong(config, command):
    push(config, unlike(1))
    file = the_file(config)
    file.write_bytes(b"other")
    done = command()
    assert done.exit_code == 1
    assert f"altered .tmp/{file.parent.name}/{file.name}: a file with other content" in done.stdout
    assert command("--quick").exit_code == 0


def test_the_command_speaks_json_and_repairs(config, command, index):
    push(config, unlike(1))
    forget(index)
    wrong = command("--json")
    assert wrong.exit_code == 1
    assert '"orphan": 1' in wrong.stdout
    right = command("--json", "--repair")
    assert right.exit_code == 0, right.stdout
    assert '"adopted": 1' in right.stdout
    assert '"findings": []' in right.stdout


def test_the_command_does_not_repair_under_a_node(config, command, monkeypatch):
    push(config, unlike(1))
    monkeypatch.setattr(build, "_LOCK_SECONDS", 0.05)
    node = build.prepare(config)
    try:
        done = command("--repair")
        assert isinstance(done.exception, build.StartError)
        assert command().exit_code == 0  # looking is always allowed
    finally:
        os.close(node.lock)


def test_the_command_needs_a_node_that_has_run(command):
    assert command().exit_code == 1


def test_many_findings_are_not_all_listed(config, command, index):
    aside = config.export / ".tmp" / "7-1"
    aside.mkdir()
    for number in range(60):
        (aside / str(number)).write_bytes(b"")
    said = command().stdout
    assert said.count("orphan .tmp/7-1/") == 50
    assert "and 10 more" in said


def test_progress_is_lines_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(verify, "_SECONDS", 0.0)
    with verify._progress() as told:
        told(1, 2)
    assert capsys.readouterr().err == "1/2 instances\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(verify, "Console", lambda **_: Console(force_terminal=True, stderr=True))
    with verify._progress() as told:
        told(1, 2)
    assert "instances" in capsys.readouterr().err


def test_a_digest_is_of_all_bytes(tmp_path):
    path = Path(tmp_path / "x")
    path.write_bytes(b"abc")
    assert Orphan(path, Delivery("7", 1)).digest() == hashlib.sha256(b"abc").digest()
