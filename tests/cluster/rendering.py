"""The chart as Helm renders it; imported where Helm's SDK is installed."""

from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "cloakroom"
CUSTOM = {"ServiceMonitor", "PrometheusRule"}  # their schemas come with the operator, not with Kubernetes


def values(name):
    """A value set of ci/."""
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())


def render(given=None, **over):
    """Every manifest as (kind, name) to document, and the notes under "notes"."""
    with helm.Chart.load(str(CHART)) as chart:
        texts = chart.render({**(given or {}), **over}, name="cloakroom", namespace="imaging")
    found = {}
    for place, text in texts.items():
        if place.endswith("NOTES.txt"):
            found["notes"] = text
            continue
        for document in filter(None, yaml.safe_load_all(text)):
            found[document["kind"], document["metadata"]["name"]] = document
    return found


def refused(given):
    """What Helm says of values that it does not take."""
    try:
        with helm.Chart.load(str(CHART)) as chart:
            chart.validate_schema(given)
            chart.render(given, name="cloakroom", namespace="imaging")
    except helm.HelmError as error:
        return str(error)
    return ""


def lint(given):
    return helm.lint(str(CHART), given, strict=True)


def invalid(document, version):
    """What Kubernetes of this version would say against a document."""
    if document["kind"] in CUSTOM:
        return []
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error.message)]
    return []
