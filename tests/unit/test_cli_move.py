"""`cloakroom visit merge` and `visit split`: what they say, and what they refuse without changing anything."""

import json
from dataclasses import replace

import pytest
from moving import Rearranging, study
from test_moving import check, grouped
from typer.testing import CliRunner

from scp import cli
from scp.db.index import Delivery
from scp.state import State
from scp.store import keys
from scp.walks import no_import

RUNNER = CliRunner()


@pytest.fixture
def house(tmp_path, monkeypatch):
    for name in ("STATE", "EXPORT"):
        monkeypatch.setenv(f"CLOAKROOM_{name}", str(tmp_path / name.lower()))
    house = Rearranging(tmp_path, monkeypatch)
    keys.init(house.config.keys)
    monkeypatch.setattr("scp.handover._linkage", lambda _config: house.opened())
    yield house
    house.close()


def ask(*words):
    return RUNNER.invoke(cli.app, ["visit", *words])


def test_a_merge_says_what_it_did(house):
    kept, gone = house.send(1, identity=study(1)), house.send(2, 3, identity=study(2))
    done = ask("merge", kept, gone, "--reason", "the scanner was restarted")
    assert (done.exit_code, done.stdout) == (0, f"merged {gone} into {kept}: 2 instances\n")
    check(house, kept, [1, 2, 3])
    assert house.why(gone) == f"to {kept}: the scanner was restarted"
    states = json.loads(ask("show", gone, "--json").stdout)["in_states"]
    assert [row["state"] for row in states] == ["receiving", "moving", "merged"]
    assert all(row["entered_at"] for row in states)


def test_a_split_lists_the_studies_and_takes_one(house):
    visit, one, two = grouped(house, "day")
    listed = json.loads(ask("split", visit, "--json").stdout)
    assert {row["study_uid"]: row["instances"] for row in listed} == {house.left_as(one): 2, house.left_as(two): 1}
    assert house.left_as(two) in ask("split", visit).stdout
    done = ask("split", visit, "--study", house.left_as(two))
    number = house.linkage.resolve(two).scan_research_id
    assert (done.exit_code, done.stdout) == (0, f"split {number} off {visit}: 1 instances\n")
    assert house.why(visit) == f"to {number}: an operator says so"
    assert house.state(Delivery(visit, 1)) is State.RECEIVING


def test_a_split_speaks_json_too(house):
    visit, _one, two = grouped(house, "day")
    done = ask("split", visit, "--study", house.left_as(two), "--json")
    number = house.linkage.resolve(two).scan_research_id
    assert json.loads(done.stdout) == {"scan_research_id": number, "split_off": visit, "instances": 1}


def test_a_study_is_given_as_often_as_there_are_such(house):
    visit, one, two = grouped(house, "day")
    three = replace(one, study_uid="1.2.826.99.3")
    house.send(4, identity=three)
    asked = [word for each in (two, three) for word in ("--study", house.left_as(each))]
    done = ask("split", visit, *asked, "--reason", "two of three")
    number = house.linkage.resolve(two).scan_research_id
    assert (done.exit_code, done.stdout) == (0, f"split {number} off {visit}: 2 instances\n")
    assert house.linkage.resolve(three).scan_research_id == number
    assert house.linkage.resolve(one).scan_research_id == visit


@pytest.mark.parametrize("words", [("merge", "1", "2"), ("split", "1"), ("split", "1", "--study", "2.25.1")])
def test_what_is_not_there_is_refused(house, words):
    house.send(1)
    done = ask(*words)
    assert done.exit_code == 1
    assert "there is no visit" in done.stderr


def test_a_published_visit_is_refused(house):
    kept, gone = house.send(1, identity=study(1)), house.send(2, identity=study(2))
    house.later()
    done = ask("merge", kept, gone)
    assert (done.exit_code, done.stderr) == (1, f"cloakroom: visit {gone} is published\n")


def test_a_reason_is_one_line(house):
    assert ask("merge", "1", "2", "--reason", "two\nlines").exit_code == 2
    assert ask("merge", "1", "2", "--reason", " ").exit_code == 2
    assert house.moving.moves.unfinished() == []


def test_not_while_keys_are_changed(house):
    with no_import(house.config.state):
        done = ask("merge", "1", "2")
    assert "changes keys or databases" in str(done.exception)
