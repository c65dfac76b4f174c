"""Writes what is made by code: `python -m cluster`; a test compares it with what is committed."""

import sys
from pathlib import Path

from cluster import alerts, chart, dashboard

ROOT = Path(__file__).parents[1]


def files() -> dict[str, str]:
    """Every made file's text by its place in the repository."""
    return {
        "helm/cloakroom/values.yaml": chart.values_yaml(),
        "helm/cloakroom/values.schema.json": chart.schema(),
        "helm/cloakroom/README.md": chart.readme(),
        "helm/cloakroom/files/alerts.yaml": alerts.rules(),
        "helm/cloakroom/files/dashboard.json": dashboard.dashboard(),
        "docker/alerts.yaml": alerts.rules(),
        "docker/grafana/dashboards/cloakroom.json": dashboard.dashboard(),
        "docs/runbooks/README.md": alerts.index(),
        **{f"docs/runbooks/{alert.name}.md": alerts.runbook(alert) for alert in alerts.ALERTS},
    }


def main() -> None:
    """Write them."""
    for name, text in files().items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8")
    sys.stdout.write("\n".join(files()) + "\n")


if __name__ == "__main__":
    main()
