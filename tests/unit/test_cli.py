"""The command line without a node: help, documentation, refusals."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from scp import cli
from scp.build import StartError
from scp.cli.output import listing, record
from scp.config import ConfigError
from scp.outcome import Failure, Outcome

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def verbs(command=None, path=("cloakroom",)):
    """Every verb with its words."""
    command = command or get_command(cli.app)
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from verbs(inner, (*path, name))
    else:
        yield " ".join(path), command


VERBS = dict(verbs())


def test_every_verb_is_documented_and_no_other():
    assert set(re.findall(r"^\| `(cloakroom [a-z ]+)` \|", PAGE, re.MULTILINE)) == set(VERBS)


@pytest.mark.parametrize("words", VERBS)
def test_help_teaches(words):
    said = CliRunner().invoke(cli.app, [*words.split()[1:], "--help"])
    assert said.exit_code == 0
    assert len(VERBS[words].help or "") > 40


@pytest.mark.parametrize("words", [words for words in VERBS if words.endswith(("list", "show", "status"))])
def test_what_lists_speaks_json(words):
    assert any("--json" in parameter.opts for parameter in VERBS[words].params)


def test_exit_codes_are_documented():
    assert set(re.findall(r"^\| (\d) \|", PAGE, re.MULTILINE)) == {"0", "1", "2"}


@pytest.mark.parametrize(
    "error", [ConfigError("a.toml:1: no"), StartError("port in use"), Failure(Outcome.STORAGE_FAULT, "the disk failed")]
)
def test_a_refusal_is_one_sentence_and_exit_2(error, monkeypatch, capsys):
    def refuse():
        raise error

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"cloakroom: {error}\n"


def test_a_wrong_word_is_exit_2(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cloakroom", "serv"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2


def test_version():
    assert re.fullmatch(r"cloakroom \d+\.\d+\.\d+\n", CliRunner().invoke(cli.app, ["--version"]).stdout)


@pytest.mark.parametrize(
    "name", sorted(path.name for path in (Path(__file__).parents[1] / "configs" / "broken").glob("*.toml"))
)
def test_broken_configurations_are_refused_by_the_command(name, monkeypatch, capsys):
    folder = Path(__file__).parents[1] / "configs" / "broken"
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["cloakroom", "config", "check", "--config", name])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert (folder / name).with_suffix(".expected").read_text().strip() in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[inbound]\nfolder = "dropped"\nlayout = "fedehr"',
            ":4: with inbound.layout fedehr, export has to be the folder out/",
        ),
        ('[inbound]\nfolder = "export"', ":4: export and the watched folders must not lie inside each other"),
        ('http_token = "no-such-file"', "no-such-file"),
        ('export_group = "54321"', ":3: the node runs as no member of group 54321"),
    ],
)
def test_what_a_start_would_refuse_the_check_refuses_and_makes_nothing(tmp_path, monkeypatch, capsys, text, said):
    (tmp_path / "cloakroom.toml").write_text(f'state = "state"\nexport = "export/in/x"\n{text}\n')
    monkeypatch.setattr("scp.handover.os.geteuid", lambda: 1000)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cloakroom", "config", "check"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["cloakroom.toml"]


@pytest.mark.parametrize(
    ("words", "named", "said"),
    [
        ((), "", "defaults and environment: in order"),
        ((), "named.toml", "named.toml: in order"),
        (("--config", "other.toml"), "named.toml", "other.toml: in order"),
    ],
)
def test_the_check_names_the_file_that_was_read(tmp_path, monkeypatch, words, named, said):
    for name in ("named.toml", "other.toml"):
        (tmp_path / name).write_text("port = 104\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOAKROOM_CONFIG", named)
    assert said in CliRunner().invoke(cli.app, ["config", "check", *words]).stdout


@pytest.mark.parametrize("wide", ["20", "80"])
def test_a_narrow_terminal_cuts_nothing_off(monkeypatch, capsys, wide):
    path = "/var/lib/" + "x" * 120
    monkeypatch.setenv("COLUMNS", wide)
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    record({"file": path, "free bytes": 398_118_463_232}, as_json=False)
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert said.count("x") == 120
    assert "398118463232" in re.sub(r"[^0-9]", "", said)
    assert "…" not in said


def test_a_terminal_without_utf_8_ends_nothing():
    command = [sys.executable, "-m", "scp.cli", "config", "show"]
    environ = {"PYTHONIOENCODING": "latin-1", "CLOAKROOM_VARIABLES": '{"A": "\u00fc\u2013"}'}
    done = subprocess.run(command, env=environ, capture_output=True, check=True, timeout=60)
    assert b'"A": "\xfc\\u2013"' in done.stdout


def test_keys_that_cannot_be_written_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    done = CliRunner(env={"CLOAKROOM_STATE": "file"}).invoke(cli.app, ["keys", "init"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("cloakroom: file/keys: cannot be made or written to: ")
    runner = CliRunner(env={"CLOAKROOM_STATE": "state"})
    assert runner.invoke(cli.app, ["keys", "init"]).exit_code == 0
    recovery = (tmp_path / "state/keys/officer.pub").read_text().split()[-1]
    done = runner.invoke(cli.app, ["keys", "escrow", "--to", recovery, "--out", "file"])
    assert (done.exit_code, done.stderr) == (1, "cloakroom: file: cannot be made: File exists\n")


def test_what_stands_in_brackets_is_printed_and_is_no_markup(capsys):
    listing([{"why": "no place in [bids]", "n": 1}], ["why", "n"], as_json=False, nothing="")
    record({"why": "[red] is not in [protocols]"}, as_json=False)
    said = capsys.readouterr().out
    assert "no place in [bids]" in said
    assert "[red] is not in [protocols]" in said
