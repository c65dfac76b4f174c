"""What the pages say of the code is compared with the code."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scp import web
from scp.config import Config, Limits, UserIdentity, load, rows
from scp.metrics import COMMANDS, HANDSHAKES, LIMITS, RESULTS, STEPS, declare
from scp.outcome import Outcome, Rejection
from scp.receive.identity import Claim, Users
from scp.web.signs import SignsCollector

DOCS = Path(__file__).parents[2] / "docs"
SUFFIX = {"counter": "_total", "info": "_info"}


def page(name):
    return (DOCS / name).read_text("utf-8")


def table(name, head):
    """The rows, without their backquotes, of the table whose first column is headed so."""
    lines = iter(page(name).splitlines())
    for line in lines:
        if line.startswith(f"| {head} |"):
            break
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append(tuple(cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
    assert found
    return found


def shown(text):
    return text.replace("`", "")


def families():
    signs = web.Signs(
        version="1",
        recipe="mip",
        health=lambda: web.Health(ready=True),
        visits=lambda: {"receiving": 1},
        quarantined=lambda: {"burned_in": 1},
        quarantine_bytes=lambda: 1,
        free_bytes=lambda: {"export": 1, "state": 1},
        restarts=lambda: 1,
        size_bytes=lambda: {"export": 1, "state": 1},
        workers=lambda: {"serving": 1},
        certificates=lambda: {"certificate": 1.0},
    )
    return [*declare().registry.collect(), *SignsCollector(signs).collect()]


def test_every_setting_is_documented_and_none_else():
    config = Config()
    assert table("configuration.md", "Key") == [
        (row.key, row.variable, shown(row.default), shown(row.description)) for row in rows(config)
    ]


def test_the_documented_file_is_a_configuration(tmp_path):
    blocks = re.findall(r"```toml\n(.*?)```", page("configuration.md"), re.DOTALL)
    assert blocks
    for block in blocks:
        path = tmp_path / "cloakroom.toml"
        path.write_text(block)
        config = load(path, {})
        assert set(tomllib.loads(block)) <= {key.split(".")[0] for key in config.origins}


def test_the_documented_variables_are_settings():
    examples = dict(re.findall(r"`(CLOAKROOM_\w+)='?([^'`]+)'?`", page("configuration.md")))
    kubernetes = examples.pop("CLOAKROOM_PORT")
    assert len(examples) == 3
    assert load(environ=examples).origins
    with pytest.raises(ValueError, match="is not a port number"):
        load(environ={"CLOAKROOM_PORT": kubernetes})


def test_the_documented_errors_are_the_ones_given(tmp_path):
    block = re.search(r"```\n(.*?)```", page("configuration.md"), re.DOTALL)
    first, second = block.group(1).splitlines()
    path = tmp_path / "cloakroom.toml"
    path.write_text("\n\n\nvisit_quiet = 3\n")
    with pytest.raises(ValueError, match="unknown key") as caught:
        load(path, {})
    assert str(caught.value) == f"{tmp_path}/{first}"
    with pytest.raises(ValueError, match="port") as caught:
        load(environ={"CLOAKROOM_PORT": "abc"})
    assert str(caught.value) == second


def test_every_metric_is_documented_and_none_else():
    assert table("metrics.md", "Metric") == [
        (
            family.name + SUFFIX.get(family.type, ""),
            family.type,
            " ".join(sorted({label for sample in family.samples for label in sample.labels} - {"le"})),
            family.documentation,
        )
        for family in families()
    ]


def test_every_label_is_documented():
    documented = dict(table("metrics.md", "Label"))
    assert documented["result"].split() == list(RESULTS)
    assert documented["limit"].split() == list(LIMITS)
    assert documented["handshake"].split() == list(HANDSHAKES)
    assert documented["command"].split() == list(COMMANDS)
    assert documented["step"].split() == list(STEPS)
    named = {name for names in documented for name in names.split()}
    assert named == {label for family in families() for sample in family.samples for label in sample.labels} - {"le"}


def test_every_limit_that_is_counted_is_a_setting_and_the_other_way_round():
    bounding_nothing = {"in_flight_seconds", "drain_seconds", "stream_bytes"}
    assert set(LIMITS) == set(Limits.model_fields) - bounding_nothing


def test_the_documented_way_to_a_password_makes_a_line_that_is_taken(tmp_path, monkeypatch):
    script = re.search(r"python3 -c '(.*?)' NAME", page("configuration.md"), re.DOTALL).group(1)
    script = script.replace("getpass.getpass()", "'pass word'")
    line = subprocess.run([sys.executable, "-c", script, "ward7"], capture_output=True, check=True).stdout
    path = tmp_path / "passwords"
    path.write_bytes(b"# the wards\n" + line)
    path.chmod(0o400)
    users = Users(UserIdentity(check="password", passwords=path))
    assert users.check(Claim(2, wants_answer=False, primary=b"ward7", secondary=b"pass word")) is None
    assert users.check(Claim(2, wants_answer=False, primary=b"ward7", secondary=b"password")) is Rejection.USER_IDENTITY


def test_every_path_is_documented():
    signs = web.Signs("1", "mip", lambda: web.Health(ready=True), dict, dict, int, dict, int)
    pages = web.Pages(declare().registry, signs)
    documented = {path for path, _ in table("metrics.md", "Path")}
    assert documented == set(pages.paths)
    assert all(pages.answer(path).status == 200 for path in documented)


def test_every_outcome_is_documented_and_none_else():
    assert table("outcomes.md", "Outcome") == [
        (outcome.label, f"0x{outcome.status:04X}", "yes" if outcome.quarantined else "no", outcome.meaning)
        for outcome in Outcome
    ]


def test_every_rejection_is_documented_and_none_else():
    assert table("outcomes.md", "Rejection") == [
        (row.label, str(row.value.result), str(row.value.source), str(row.value.reason), row.value.meaning)
        for row in Rejection
    ]
