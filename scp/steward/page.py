"""The report as a page for the person who approves: findings first, then each series with its picture."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from scp.steward.mosaic import mosaic

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; color: #1a1a1a }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top }
img { image-rendering: pixelated; width: 36rem; background: #000; display: block; margin-top: .5rem }
.warn { color: #8a5a00 } .hold { color: #a04000 } .quarantine { color: #a00000 } .pass { color: #00601a }
"""


def page(report: Mapping[str, Any], folder: Path) -> str:
    """One HTML file that needs no other; `folder` holds the delivery's files. No script, nothing is fetched."""
    checked = datetime.fromtimestamp(report["checked_at"], UTC).isoformat(sep=" ", timespec="seconds")
    verdict = escape(report["verdict"])
    title = f"Visit {escape(report['scan_research_id'])}, delivery {int(report['delivery'])}"
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
            f'<p>Checked {checked}: <b class="{verdict}">{verdict}</b></p>',
            _findings(report["findings"]),
            *(_series(series, report["findings"], folder) for series in report["series"]),
            "</body></html>\n",
        ]
    )


def _findings(findings: list[dict[str, Any]]) -> str:
    if not findings:
        return "<p>The gates found nothing.</p>"
    rows = [
        f'<tr><td class="{escape(one["verdict"])}">{escape(one["verdict"])}</td><td>{escape(one["gate"])}</td>'
        f"<td>{len(one['files'])}</td><td>{escape(one['why'])}</td></tr>"
        for one in findings
    ]
    head = "<tr><th>weighs</th><th>gate</th><th>files</th><th>what it found</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _series(series: dict[str, Any], findings: list[dict[str, Any]], folder: Path) -> str:
    files = series["files"]
    own = [one for one in findings if set(files) & set(one["files"])]
    said = "".join(
        f'<li class="{escape(one["verdict"])}">{escape(one["gate"])}: {escape(one["why"])}</li>' for one in own
    )
    facts = " · ".join(
        f"{name} {escape(str(series[key]))}"
        for name, key in (("pixels", "pixel_spacing"), ("slices", "slice_thickness"), ("", "modality"))
        if series[key]
    )
    picture = mosaic(folder, files)
    shown = (
        f'<img alt="slices of this series" src="data:image/png;base64,{b64encode(picture).decode("ascii")}">'
        if picture
        else "<p>No picture: its pixels are compressed, or there are none.</p>"
    )
    heading = f"{escape(series['number'])} {escape(series['description'])} ({len(files)} files)"
    return f"<h2>{heading}</h2><p>{facts}</p><ul>{said}</ul>{shown}"
