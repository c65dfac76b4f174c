"""The Grafana dashboard in the order of the walk: who comes, what becomes of it, how long it takes, what is left."""

import json
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 24  # Grafana's grid
HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its title, unit, and each expression with what its lines are called."""

    title: str
    unit: str
    targets: tuple[tuple[str, str], ...]
    width: int = 12
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A heading with its panels."""

    title: str
    panels: tuple[Panel, ...]


def _step(quantile: float) -> str:
    return f"histogram_quantile({quantile}, sum by (step, le) (rate(cloakroom_step_seconds_bucket[$__rate_interval])))"


ROWS: Final = (
    Row("Who comes", (
        Panel("Associations open", "short", (("sum(cloakroom_associations_open)", "open"),), 8),
        Panel("Associations by result", "cps", (
            ("sum by (result) (rate(cloakroom_associations_total[$__rate_interval]))", "{{result}}"),), 8),
        Panel("Limits met", "cps", (
            ("sum by (limit) (rate(cloakroom_limits_total[$__rate_interval]))", "{{limit}}"),), 8),
    )),
    Row("What becomes of it", (
        Panel("Instances by outcome", "cps", (
            ("sum by (outcome) (rate(cloakroom_instances_total[$__rate_interval]))", "{{outcome}}"),), stacked=True),
        Panel("Instances by outcome, in the time shown", "short", (
            ("sum by (outcome) (increase(cloakroom_instances_total[$__range]))", "{{outcome}}"),)),
    )),
    Row("How long it takes", (
        Panel("Seconds by step, one in two", "s", ((_step(0.5), "{{step}}"),)),
        Panel("Seconds by step, one in twenty", "s", ((_step(0.95), "{{step}}"),)),
        Panel("Work at once: seconds a second, by step", "short", (
            ("sum by (step) (rate(cloakroom_step_seconds_sum[$__rate_interval]))", "{{step}}"),), stacked=True),
        Panel("Rows committed together", "short", (
            ("sum(rate(cloakroom_commit_rows_sum[$__range])) / sum(rate(cloakroom_commit_rows_count[$__range]))",
             "mean"),)),
    )),
    Row("How much it is", (
        Panel("Bytes", "Bps", (
            ("sum(rate(cloakroom_received_bytes_total[$__rate_interval]))", "received"),
            ("sum(rate(cloakroom_stored_bytes_total[$__rate_interval]))", "stored"))),
        Panel("Seconds since the last was stored", "s", (
            ("time() - (cloakroom_last_stored_timestamp_seconds > 0)", "since"),)),
    )),
    Row("What goes out", (
        Panel("Visits by state", "short", (("sum by (state) (cloakroom_visits)", "{{state}}"),)),
        Panel("Published", "short", (
            ("sum(increase(cloakroom_published_visits_total[$__range]))", "visits"),
            ("sum(increase(cloakroom_published_instances_total[$__range]))", "instances"))),
    )),
    Row("What is kept back", (
        Panel("Quarantine by reason", "short", (
            ("sum by (outcome) (cloakroom_quarantine_instances)", "{{outcome}}"),), stacked=True),
        Panel("Quarantine", "bytes", (("sum(cloakroom_quarantine_bytes)", "bytes"),)),
    )),
    Row("What it stands on", (
        Panel("Disk free", "percentunit", (
            ("cloakroom_disk_free_bytes / cloakroom_disk_size_bytes", "{{volume}}"),), 8),
        Panel("Workers", "short", (
            ("sum by (state) (cloakroom_workers)", "{{state}}"),
            ("increase(cloakroom_worker_restarts_total[$__range])", "restarts")), 8),
        Panel("Days that certificates are valid", "d", (
            ("(cloakroom_certificate_expiry_timestamp_seconds - time()) / 86400", "{{file}}"),), 8),
    )),
)  # fmt: skip


def panels() -> list[Panel]:
    """All panels in their order."""
    return [panel for row in ROWS for panel in row.panels]


def expressions() -> list[str]:
    """Every expression as Grafana would send it for the last five minutes."""
    return [resolved(expr) for panel in panels() for expr, _ in panel.targets]


def resolved(expr: str, window: str = "5m") -> str:
    """An expression with Grafana's own variables filled in."""
    return expr.replace("$__rate_interval", window).replace("$__range", window)


def dashboard() -> str:
    """Grafana's JSON model; the data source is chosen at the top of the page."""
    model = {
        "uid": "cloakroom",
        "title": "Cloakroom",
        "tags": ["dicom", "de-identification"],
        "timezone": "browser",
        "editable": False,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}]
        },
        "panels": _placed(),
    }
    return json.dumps(model, indent=1) + "\n"


def _placed() -> list[dict[str, Any]]:
    """Rows below one another, the panels of a row beside one another."""
    placed: list[dict[str, Any]] = []
    at = 0
    for row in ROWS:
        place = {"x": 0, "y": at, "w": WIDTH, "h": 1}
        placed.append({"id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "gridPos": place})
        at, left = at + 1, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                at, left = at + HEIGHT, 0
            place = {"x": left, "y": at, "w": panel.width, "h": HEIGHT}
            placed.append({"id": len(placed) + 1, "gridPos": place, **_drawn(panel)})
            left += panel.width
        at += HEIGHT
    return placed


def _drawn(panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    custom = {"fillOpacity": 20 if panel.stacked else 0, "stacking": {"mode": "normal" if panel.stacked else "none"}}
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": source, "expr": expr, "legendFormat": legend}
            for number, (expr, legend) in enumerate(panel.targets)
        ],
    }
