"""Metrics as Prometheus sees them: every expression of dashboard and alerts against a live one that scraped a node."""

import json
import math
import os
import subprocess
from pathlib import Path

import pytest
from authority import Authority
from prometheus import Prometheus
from running import Node, free_port, wait

from cluster import alerts, dashboard, picture
from scp import phantom
from scp.retrieve.probe import Peer, rejects
from scp.retrieve.send import send

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

KEPT = os.environ.get("CLOAKROOM_TEST_PICTURES", "")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A working node with a TLS port."""
    folder = tmp_path_factory.mktemp("observed")
    authority = Authority(folder, "authority")
    certificate, key = authority.make("node")
    tls = {"certificate": certificate, "key": key, "client_ca": authority.path, "enabled": True, "port": free_port()}
    node = Node(folder, **{f"tls__{name}": value for name, value in tls.items()})
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def prometheus(node):
    """A Prometheus that has seen the node at work for some seconds."""
    prometheus = Prometheus(node.folder / "prometheus", node.http_port)
    prometheus.start()
    try:
        work(node)
        wait(lambda: prometheus.answers('increase(cloakroom_instances_total{outcome="stored"}[1m]) > 0'), "it counts")
        wait(lambda: prometheus.answers("predict_linear(cloakroom_disk_free_bytes[6h], 86400)"), "it predicts")
        yield prometheus
    finally:
        prometheus.stop()


def work(node):
    """Studies, a stranger, and an instance that declares itself burned in."""
    assert rejects(Peer("127.0.0.1", node.port, "OTHER", "PACS"))
    study = phantom.study()
    bad = study[-1]
    bad.BurnedInAnnotation = "YES"
    stored = 0
    for size in (20, 25, 30):
        part, stored = study[stored : stored + size], stored + size
        statuses = send(part, host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)
        assert statuses == [0] * size
        node.published(stored)
    assert send([bad], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3) != [0]


def tool(*words, **given):
    return subprocess.run(["promtool", *words], check=False, capture_output=True, text=True, **given)


def test_promtool_finds_nothing_in_the_metrics(node):
    done = tool("check", "metrics", input=node.get("/metrics")[1])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_promtool_takes_the_rules(tmp_path):
    path = tmp_path / "alerts.yaml"
    path.write_text(alerts.rules())
    done = tool("check", "rules", str(path))
    assert done.returncode == 0, done.stderr
    assert f"{len(alerts.ALERTS)} rules found" in done.stdout


@pytest.mark.parametrize("expr", dashboard.expressions())
def test_every_expression_of_the_dashboard_gives_something(prometheus, expr):
    found = wait(lambda: prometheus.answers(expr), expr)
    assert all(not math.isinf(float(row["value"][1])) for row in found)
    assert any(not math.isnan(float(row["value"][1])) for row in found)


@pytest.mark.parametrize("alert", alerts.ALERTS, ids=lambda alert: alert.name)
def test_every_alert_looks_at_something_that_is_there(prometheus, alert):
    found = wait(lambda: prometheus.answers(alert.value), alert.value)
    assert any(not math.isnan(float(row["value"][1])) for row in found)
    assert prometheus.answers(alert.expr) is not None


def test_prometheus_has_loaded_every_alert_and_can_evaluate_it(prometheus):
    loaded = wait(
        lambda: (rules := loaded_rules(prometheus)) and all(r["health"] == "ok" for r in rules) and rules, "ok"
    )
    assert [rule["name"] for rule in loaded] == [alert.name for alert in alerts.ALERTS]


def loaded_rules(prometheus):
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def test_the_picture_of_the_panels(prometheus, tmp_path):
    path = tmp_path / "dashboard.png"
    lines = picture.draw(prometheus.url, path, 60, "15s")
    assert lines >= len(dashboard.panels())
    assert path.stat().st_size > 20_000
    if KEPT:
        (Path(KEPT) / "dashboard.png").write_bytes(path.read_bytes())


def test_every_panel_has_its_place():
    model = json.loads(dashboard.dashboard())
    taken = set()
    for panel in model["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= dashboard.WIDTH
        taken |= cells
    assert len({panel["id"] for panel in model["panels"]}) == len(model["panels"])
    assert [panel["title"] for panel in model["panels"] if panel["type"] == "row"] == [
        row.title for row in dashboard.ROWS
    ]
