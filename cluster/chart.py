"""The chart's values.yaml, values.schema.json and README.md, made of the one table of values."""

import json
from typing import Any

from cluster.values import SECTIONS, Value, every

_HEAD = """\
# Made by `make cluster` from cluster/values.py. JSON is YAML.
"""

_README = """\
# The chart `cloakroom`

One node in a Kubernetes cluster (1.27 or newer): a StatefulSet of one pod, its volumes, a Service for the PACS and one
for Prometheus. Helm 3.8 or newer. The walk-through is [docs/how-to/helm.md](../../docs/how-to/helm.md).

    helm install cloakroom helm/cloakroom --namespace cloakroom --create-namespace --values mine.yaml
    helm test cloakroom --namespace cloakroom

There is one replica and no autoscaling: the databases are SQLite on a ReadWriteOnce volume, modalities queue and retry
while a pod moves, and a receiver must never be scaled down in the middle of a push. Secrets are only named, never made.
The claims stay when the release is deleted.

Value sets that are tested with every change stand in [ci/](ci/).

This page, `values.yaml` and `values.schema.json` are made by `make cluster` from `cluster/values.py`.
"""


def values_yaml() -> str:
    """The defaults, each under its sentence."""
    return _HEAD + "".join(_yaml(_tree()))


def schema() -> str:
    """JSON Schema (draft 7, which Helm 3 and 4 read): nothing is accepted that is not named."""
    whole = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart cloakroom"}
    properties = _schema(_tree())
    properties["properties"]["global"] = {"type": "object", "description": "Helm's own; not used."}
    return json.dumps({**whole, **properties}, indent=2) + "\n"


def readme() -> str:
    """A table of values by section."""
    parts = [_README]
    for section in SECTIONS:
        rows = [f"| `{value.path}` | `{json.dumps(value.default)}` | {value.sentence} |" for value in section.values]
        parts.append(
            "\n".join([f"\n## {section.title}\n", "| Value | Default | Meaning |", "|---|---|---|", *rows, ""])
        )
    return "".join(parts)


def _tree() -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for value in every():
        *above, last = value.path.split(".")
        branch = tree
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


def _yaml(tree: dict[str, Any], depth: int = 0) -> list[str]:
    lines = []
    margin = "  " * depth
    for name, inner in tree.items():
        if isinstance(inner, Value):
            lines.append(f"{margin}# {inner.sentence}\n{margin}{name}: {json.dumps(inner.default)}\n")
        else:
            lines.append(f"{margin}{name}:\n")
            lines.extend(_yaml(inner, depth + 1))
    return lines


def _schema(tree: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: {**inner.schema, "description": inner.sentence} if isinstance(inner, Value) else _schema(inner)
        for name, inner in tree.items()
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}
