"""`cloakroom retention`: a dry run that changes nothing, a run that tells, and what they say where nothing is due."""

import json
import re

import pytest
from doubles import VISIT
from rich.console import Console
from typer.testing import CliRunner
from visiting import image

from scp import cli, log
from scp.cli import retention
from scp.metrics import EXPIRED
from scp.state import State
from scp.store import held
from scp.walks import expiring, no_import

OTHER = "999999999999"
RUNNER = CliRunner()


@pytest.fixture
def house(keeping, tmp_path, monkeypatch):
    """A house of long ago: for the command, which goes by the machine's clock, everything in it is due."""
    monkeypatch.setattr(log, "configure", lambda *_words: None)
    for name in ("STATE", "EXPORT"):
        monkeypatch.setenv(f"CLOAKROOM_{name}", str(tmp_path / name.lower()))
    for kind in ("published", "staged", "quarantine"):
        monkeypatch.setenv(f"CLOAKROOM_RETENTION__{kind.upper()}_DAYS", "30")
    house = keeping()
    house.publish(VISIT)
    house.store(image(1, visit=OTHER, PatientSex="F"), image(2, visit=OTHER, PatientSex="M"))
    house.later()
    house.seal("abc")
    return house


def ask(*words):
    return RUNNER.invoke(cli.app, ["retention", *words])


def test_a_plan_lists_what_is_due_and_changes_nothing(house):
    before = house.tree()
    found = json.loads(ask("plan", "--json").stdout)
    assert [(row["kind"], row["name"], row["instances"]) for row in found] == [
        ("published", VISIT, 2),
        ("staged", f"{OTHER}-1", 2),
        ("quarantine", "abc", 1),
    ]
    assert found[0]["since"] == "1970-01-01T00:17:40+00:00"
    assert all(row["bytes"] > 0 for row in found)
    table = ask("plan").stdout
    assert re.search(rf"published +{VISIT} +1970", table)
    assert (house.tree(), house.audit()) == (before, [])


def test_a_run_tells_what_went(house):
    done = ask("run")
    assert done.exit_code == 0, done.output
    assert re.search(r"published +1\n", done.stdout)
    assert house.tree() == [".tmp", "DICOM"]
    assert house.audit() == []
    assert json.loads(ask("run", "--json").stdout) == {**dict.fromkeys(EXPIRED, 0), "stays": []}
    assert ask("plan").stdout == "nothing is due\n"


def test_what_stays_is_told_with_exit_code_1(house):
    place = house.config.export / house.index.of_visit(VISIT)[0].path
    with held.shared(place):
        done = ask("run")
        again = ask("run", "--json")
    assert done.exit_code == again.exit_code == 1
    assert f"published {VISIT} stays: it is in use" in done.stdout
    assert json.loads(again.stdout)["stays"] == [{"kind": "published", "name": VISIT, "why": "it is in use"}]
    assert house.state(house.index.of_visit(VISIT)[0].delivery) is State.PUBLISHED


@pytest.mark.parametrize("lock", [expiring, no_import])
def test_beside_another_run_it_is_refused(house, lock):
    with lock(house.config.state):
        done = ask("run")
    assert "is taking away what is due" in str(done.exception)
    assert house.published()


def test_without_a_setting_it_says_so(house, monkeypatch):
    for kind in ("published", "staged", "quarantine"):
        monkeypatch.delenv(f"CLOAKROOM_RETENTION__{kind.upper()}_DAYS")
    assert ask("plan").stdout == "everything is kept for ever: no number of days is set in [retention]\n"
    assert json.loads(ask("plan", "--json").stdout) == []
    assert ask("run").exit_code == 0
    assert house.published()


def test_where_no_node_has_run_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CLOAKROOM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CLOAKROOM_EXPORT", str(tmp_path / "export"))
    assert ask("plan").exit_code == 1
    assert not (tmp_path / "state").exists()


def test_a_report_of_what_has_gone_has_no_pictures(house, tmp_path):
    ask("run")
    said = RUNNER.invoke(cli.app, ["visit", "report", VISIT])
    assert said.exit_code == 0
    pictures = RUNNER.invoke(cli.app, ["visit", "report", VISIT, "--html", str(tmp_path / "page.html")])
    assert pictures.exit_code == 1
    assert "its time was over" in pictures.stderr
    assert not (tmp_path / "page.html").exists()
    shown = json.loads(RUNNER.invoke(cli.app, ["visit", "show", VISIT, "--json"]).stdout)
    assert shown["state"] == "expired"
    assert re.match(r"2 instances of \d+ bytes", shown["in_states"][-1]["why"])


def test_where_there_is_no_terminal_a_line_comes_now_and_then(capsys, monkeypatch):
    times = iter([0.0, 5.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr("scp.cli.retention.time.monotonic", lambda: next(times))
    lines = retention._Lines(3)
    assert [lines(name) for name in "abc"] == ["a", "b", "c"]
    assert capsys.readouterr().err == "2/3\n"


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    terminal = Console(force_terminal=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123  as rich takes it
    monkeypatch.setattr("scp.cli.retention.Console", lambda **_words: terminal)
    with retention._progress(2) as told:
        assert told("done") == "done"
    terminal.file.close()
