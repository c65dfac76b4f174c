"""A picture of the dashboard's panels, drawn from a Prometheus: `python -m cluster.picture URL FILE`."""

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

from matplotlib.figure import Figure

from cluster.dashboard import Panel, panels, resolved

COLUMNS: Final = 3
POINTS: Final = 120


def draw(url: str, path: Path, seconds: float, window: str) -> int:
    """Write the picture of the last `seconds`; returns how many lines are in it."""
    shown = panels()
    rows = -(-len(shown) // COLUMNS)
    canvas = Figure(figsize=(15, 2.9 * rows), layout="constrained")
    axes = canvas.subplots(rows, COLUMNS).flat
    lines = sum(_panel(url, axis, panel, seconds, window) for axis, panel in zip(axes, shown, strict=False))
    for axis in list(axes)[len(shown) :]:
        axis.set_axis_off()
    canvas.savefig(path, dpi=70)
    return lines


def _panel(url: str, axis: Any, panel: Panel, seconds: float, window: str) -> int:  # noqa: ANN401  matplotlib's own
    """One panel: every series of its expressions that is not 0 all the time, or that is alone."""
    drawn = 0
    highest = 0.0
    axis.set_title(f"{panel.title} ({panel.unit})", fontsize=9)
    axis.tick_params(labelsize=7)
    for expr, legend in panel.targets:
        found = series(url, resolved(expr, window), seconds)
        for labels, points in found:
            if len(found) == 1 or any(value for _, value in points):
                name = "".join(labels.values()) if "{{" in legend else legend
                axis.plot([at for at, _ in points], [value for _, value in points], label=name, linewidth=1.2)
                highest = max([highest, *(value for _, value in points if not math.isnan(value))])
                drawn += 1
    axis.set_ylim(0, highest * 1.15 or 1)
    axis.set_xlabel("seconds before now", fontsize=7)
    if drawn:
        axis.legend(fontsize=7, loc="upper left")
    return drawn


def series(url: str, expr: str, seconds: float) -> list[tuple[Mapping[str, str], list[tuple[float, float]]]]:
    """A range query's answer, times counted back from now."""
    now = time.time()
    query = {"query": expr, "start": now - seconds, "end": now, "step": max(seconds / POINTS, 1)}
    with urlopen(f"{url}/api/v1/query_range?{urlencode(query)}", timeout=30) as answer:  # noqa: S310  an operator names it
        result = json.load(answer)["data"]["result"]
    return [
        (
            {name: value for name, value in line["metric"].items() if name not in {"__name__", "job", "instance"}},
            [(float(at) - now, float(value)) for at, value in line["values"]],
        )
        for line in result
    ]


if __name__ == "__main__":
    draw(sys.argv[1], Path(sys.argv[2]), 3600, "5m")
