"""Each alert by promtool's own unit tests: it fires on what it is for, and not on an ordinary day."""

import json
import subprocess

import pytest

from cluster import alerts
from cluster.__main__ import ROOT

pytestmark = pytest.mark.cluster

BUCKET = "cloakroom_step_seconds_bucket"
DAY = 86_400

# Series and the minutes' values under which an alert fires, and those under which it does not; labels that it carries.
CASES = {
    "CloakroomDown": ({}, {"cloakroom_build_info": "1x60"}, {}),
    "CloakroomNotReady": ({"cloakroom_ready": "0x60"}, {"cloakroom_ready": "1 1 1 0 0 1x60"}, {}),
    "CloakroomNoPushForADay": (
        {"cloakroom_last_stored_timestamp_seconds": "1x2000"},
        {"cloakroom_last_stored_timestamp_seconds": "100000x2000"},
        {},
    ),
    "CloakroomRejects": (
        {'cloakroom_associations_total{result="rejected"}': "0+1x60"},
        {
            'cloakroom_associations_total{result="rejected"}': "7x60",
            'cloakroom_associations_total{result="released"}': "0+9x60",
        },
        {"result": "rejected"},
    ),
    "CloakroomQuarantineGrowing": (
        {'cloakroom_quarantine_instances{outcome="burned_in"}': "0+1x120"},
        {
            'cloakroom_quarantine_instances{outcome="malformed"}': "400x120",
            'cloakroom_quarantine_instances{outcome="burned_in"}': "500-1x120",
        },
        {"outcome": "burned_in"},
    ),
    "CloakroomRefusing": (
        {'cloakroom_instances_total{outcome="storage_fault"}': "0+1x60"},
        {
            'cloakroom_instances_total{outcome="stored"}': "0+9x60",
            'cloakroom_instances_total{outcome="failed"}': "3x60",
        },
        {},
    ),
    "CloakroomSlowStep": (
        {
            f'{BUCKET}{{step="store", le="{le}"}}': values
            for le, values in (("1", "0x90"), ("5", "0+9x90"), ("+Inf", "0+9x90"))
        },
        {
            f'{BUCKET}{{step="{step}", le="{le}"}}': values
            for step, lows in (("store", "0+9x90"), ("receive", "0x90"))
            for le, values in (("1", lows), ("5", "0+9x90"), ("+Inf", "0+9x90"))
        },
        {"step": "store"},
    ),
    "CloakroomDiskLow": (
        {'cloakroom_disk_free_bytes{volume="export"}': "9x60", 'cloakroom_disk_size_bytes{volume="export"}': "100x60"},
        {'cloakroom_disk_free_bytes{volume="export"}': "11x60", 'cloakroom_disk_size_bytes{volume="export"}': "100x60"},
        {"volume": "export"},
    ),
    "CloakroomDiskFullInADay": (
        {'cloakroom_disk_free_bytes{volume="state"}': "1000-1x600"},
        {'cloakroom_disk_free_bytes{volume="state"}': "1000000-1x600"},
        {"volume": "state"},
    ),
    "CloakroomVisitStuck": (
        {'cloakroom_visits{state="moving"}': "1x90"},
        {'cloakroom_visits{state="publishing"}': "0 1 0 1 0 0x90", 'cloakroom_visits{state="receiving"}': "5x90"},
        {"state": "moving"},
    ),
    "CloakroomWorkerRestarts": (
        {"cloakroom_worker_restarts_total": "0 1 2 3 4 5 6 6x60"},
        {"cloakroom_worker_restarts_total": "0 1 2 2x60"},
        {},
    ),
    "CloakroomCertificateEnding": (
        {'cloakroom_certificate_expiry_timestamp_seconds{file="certificate"}': f"{29 * DAY}x120"},
        {'cloakroom_certificate_expiry_timestamp_seconds{file="certificate"}': f"{31 * DAY}x120"},
        {"file": "certificate"},
    ),
    "CloakroomKeysUnusable": ({"cloakroom_keys_usable": "0x60"}, {"cloakroom_keys_usable": "1x60"}, {}),
    "CloakroomLost": ({"cloakroom_lost": "2x60"}, {"cloakroom_lost": "0x60"}, {}),
}
LOOKED = {"CloakroomNoPushForADay": "1600m", "CloakroomDiskFullInADay": "500m", "CloakroomCertificateEnding": "100m"}


def unit(alert, series, fires):
    """One of promtool's tests."""
    given = CASES[alert.name]
    expected = []
    if fires:
        text = alert.summary
        for name, value in given[2].items():
            text = text.replace(f"{{{{ $labels.{name} }}}}", value)
        expected = [
            {
                "exp_labels": {"severity": alert.severity, **given[2]},
                "exp_annotations": {
                    "summary": text,
                    "description": alert.means,
                    "runbook_url": f"{alerts.RUNBOOKS}/{alert.name}.md",
                },
            }
        ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"alertname": alert.name, "eval_time": LOOKED.get(alert.name, "60m"), "exp_alerts": expected}
        ],
    }


def verdict(folder, tests):
    (folder / "alerts.yaml").write_text(alerts.rules())
    (folder / "test.yaml").write_text(json.dumps({"rule_files": ["alerts.yaml"], "tests": tests}))
    words = ["promtool", "test", "rules", "test.yaml"]
    return subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)


def test_every_alert_has_its_case():
    assert list(CASES) == [alert.name for alert in alerts.ALERTS]


@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_it_fires_and_it_keeps_quiet(tmp_path, alert):
    fires, quiet, _ = CASES[alert.name]
    done = verdict(tmp_path, [unit(alert, fires, fires=True), unit(alert, quiet, fires=False)])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_tests_can_fail(tmp_path):
    alert = alerts.ALERTS[1]
    fires, quiet, _ = CASES[alert.name]
    assert verdict(tmp_path, [unit(alert, quiet, fires=True)]).returncode != 0
    assert verdict(tmp_path, [unit(alert, fires, fires=False)]).returncode != 0


@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_it_has_a_runbook_that_leads_somewhere(alert):
    page = (ROOT / "docs" / "runbooks" / f"{alert.name}.md").read_text("utf-8")
    assert alert.means in page
    assert "## What to do\n\n1. " in page
    for word in page.replace(";", " ").replace(":", " ").replace(")", " ").replace("(", " ").split():
        if word.startswith("docs/"):
            assert (ROOT / word.rstrip(".,")).exists(), word


def test_no_runbook_is_left_of_an_alert_that_is_gone():
    found = {path.stem for path in (ROOT / "docs" / "runbooks").iterdir()}
    assert found == {alert.name for alert in alerts.ALERTS} | {"README"}
