"""The status page: what a data manager wants at a glance, in one page of HTML that loads nothing and runs nothing."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Final, TypeVar

from scp.outcome import Failure
from scp.web.signs import Arrived, Health, Signs

REFRESH_SECONDS: Final = 15
_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB")
_THOUSAND: Final = 1000
_DAY: Final = 86_400

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d2327;--soft:#5b666e;--back:#fff;--card:#f4f6f7;--line:#d9dfe2;
--good:#13693a;--bad:#a3201d;--warn:#8a5200}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecee;--soft:#a3aeb5;--back:#14181b;--card:#1e2427;--line:#343c41;
--good:#6fd39b;--bad:#ff9189;--warn:#f2bd6b}}
*{box-sizing:border-box}body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--back);color:var(--ink);
font:16px/1.45 system-ui,sans-serif}h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0 0 .5rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;margin-bottom:1rem}
main{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr))}
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}
.wide{grid-column:1/-1}table{width:100%;border-collapse:collapse}td,th{padding:.15rem .5rem .15rem 0;text-align:left;
vertical-align:top;overflow-wrap:break-word}th{font-weight:400;color:var(--soft)}td:last-child,th:last-child{
text-align:right;padding-right:0}meter{width:100%}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
footer{margin-top:1rem;color:var(--soft);font-size:.85rem}a{color:inherit}ul{margin:0;padding-left:1.2rem}
"""

_Answer = TypeVar("_Answer")
Rows = Iterable[tuple[str, str]]


def draw(signs: Signs, health: Health) -> str:
    """The whole page; a question that is not answered is said to be so, and the rest is shown."""
    now = time.time()
    state = '<strong class="good">ready</strong>' if health.ready else '<strong class="bad">not ready</strong>'
    parts = (
        _section("Alerts", _alerts(health, _asked(signs.warnings)), wide=True),
        _section("Node", _table(signs.about.items())),
        _section("Visits", _counts(_asked(signs.visits))),
        _section("Exports", _exports(_asked(signs.exports))),
        _section("Quarantine", _quarantine(_asked(signs.quarantined), _asked(signs.quarantine_bytes))),
        _section("Workers", _workers(_asked(signs.workers), _asked(signs.restarts))),
        _section("Disks", _disks(_asked(signs.free_bytes), _asked(signs.size_bytes))),
        _section("Certificates", _certificates(_asked(signs.certificates), now)),
        _section("Last arrivals", _arrivals(_asked(signs.arrivals)), wide=True),
    )
    title = signs.about.get("AE title", "Cloakroom")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><title>{escape(title)}: Cloakroom</title>'
        f"<style>{_STYLE}</style></head><body><header><h1>{escape(title)}</h1>{state}"
        f"<span>{_moment(now)}</span></header><main>{''.join(filter(None, parts))}</main>"
        f"<footer>Cloakroom {escape(signs.version)}. Pseudonyms only; renewed every {REFRESH_SECONDS} s. "
        '<a href="/metrics">/metrics</a> <a href="/healthz">/healthz</a> <a href="/readyz">/readyz</a>'
        "</footer></body></html>\n"
    )


def _asked(question: Callable[[], _Answer]) -> _Answer | None:
    try:
        return question()
    except (Failure, OSError):
        return None


def _section(title: str, body: str, *, wide: bool = False) -> str:
    if not body:
        return ""
    return f"<section{' class=wide' if wide else ''}><h2>{title}</h2>{body}</section>"


def _table(rows: Rows) -> str:
    """Rows of a name and of HTML that is ready, or of plain text."""
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{lines}</table>" if lines else ""


_SILENT: Final = '<span class="bad">does not answer</span>'


def _alerts(health: Health, warnings: Iterable[str] | None) -> str:
    lines = [f'<li class="bad">{escape(reason)}</li>' for reason in health.reasons]
    lines += [f'<li class="warn">{escape(warning)}</li>' for warning in warnings or ()]
    if warnings is None:
        lines.append(f"<li>{_SILENT}</li>")
    return f"<ul>{''.join(lines)}</ul>" if lines else '<span class="good">none</span>'


def _counts(counts: Mapping[str, int] | None) -> str:
    return _SILENT if counts is None else _table((name, f"{count:,}") for name, count in counts.items()) or "none yet"


def _exports(counts: Mapping[str, int] | None) -> str:
    """Nothing on a node that makes none."""
    return _counts(counts) if counts or counts is None else ""


def _quarantine(outcomes: Mapping[str, int] | None, size: int | None) -> str:
    kept = None if outcomes is None else {name: count for name, count in outcomes.items() if count}
    if not kept:
        return _SILENT if kept is None else "empty"
    return _counts(kept) + ("" if size is None else _table([("altogether", _bytes(size))]))


def _workers(states: Mapping[str, int] | None, restarts: int | None) -> str:
    return _counts(states) + ("" if restarts is None else _table([("restarts", f"{restarts:,}")]))


def _disks(free: Mapping[str, int] | None, size: Mapping[str, int] | None) -> str:
    if free is None or size is None:
        return _SILENT
    lines = []
    for name, left in free.items():
        whole = size.get(name, 0)
        lines.append(_table([(name, f"{_bytes(left)} of {_bytes(whole)} free")]))
        if whole:
            share = left / whole
            lines.append(f'<meter min="0" max="1" low="0.1" optimum="1" value="{share:.3f}">{share:.0%} free</meter>')
    return "".join(lines)


def _certificates(ends: Mapping[str, float] | None, now: float) -> str:
    if ends is None:
        return _SILENT
    return _table(
        (name, f"{_moment(end)[:10]}, in {max(int(end - now) // _DAY, 0)} days") for name, end in ends.items()
    )


def _arrivals(arrived: Iterable[Arrived] | None) -> str:
    if arrived is None:
        return _SILENT
    lines = "".join(
        f"<tr><td>{escape(row.scan_research_id)}</td><td>{escape(row.state)}</td><td>{row.instances:,}</td>"
        f"<td>{_moment(row.last_arrival)[:16]}</td></tr>"
        for row in arrived
    )
    head = "<tr><th>visit</th><th>state</th><th>instances</th><th>last arrival, UTC</th></tr>"
    return f"<table>{head}{lines}</table>" if lines else "none yet"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _bytes(count: float) -> str:
    for unit in _UNITS:
        if count < _THOUSAND or unit == _UNITS[-1]:
            break
        count /= _THOUSAND
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
