"""`cloakroom verify`: every acknowledged instance is there once, whole, in its place, and nothing else is."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scp import build
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, record, refuse
from scp.config import load
from scp.recovery import Recovered
from scp.verify import Progress as Told
from scp.verify import Report

_SECONDS = 10.0  # between two lines where there is no terminal
_SHOWN = 50

RepairOption = Annotated[
    bool, typer.Option("--repair", help="First do what a start does; the node must not run. Nothing whole is deleted.")
]
QuickOption = Annotated[bool, typer.Option("--quick", help="Look at names only and read no file.")]


def verify(
    config: ConfigOption = None, as_json: JsonOption = False, repair: RepairOption = False, quick: QuickOption = False
) -> None:
    """Hold the index against the disks: each instance there once, its digest, its folder, its marker; nothing else.

    Exit code 0 when everything is in order and 1 when anything is not; then each finding stands on a line of its own.
    It may run beside the node: what is just on its way is not reported then.
    """
    settings = load(config)
    if not settings.index_path.exists():
        raise refuse(f"{settings.index_path}: no node has run here yet", NOT_FOUND)
    repaired = build.repair(settings) if repair else None
    audit = build.audit(settings, digests=not quick)
    with _progress() as told:
        report = audit.run(told)
    _say(report, repaired, as_json=as_json)
    if report.findings:
        raise typer.Exit(NOT_FOUND)


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar on a terminal, a line now and then elsewhere; on stderr, so that the answer can be piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("instances"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("instances", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._said > _SECONDS:
            self._said = time.monotonic()
            sys.stderr.write(f"{done}/{total} instances\n")


def _say(report: Report, repaired: Recovered | None, *, as_json: bool) -> None:
    fields: dict[str, object] = {
        "instances": report.instances,
        "bytes": report.bytes,
        "visits": report.visits,
        "sealed": report.sealed,
        "lost": report.lost,
    }
    if repaired is not None:
        names = ("resumed", "adopted", "sealed", "listed")
        fields["repaired"] = {name: getattr(repaired, name) for name in names}
    if as_json:
        found = [{"kind": finding.kind.label, "where": finding.where} for finding in report.findings]
        typer.echo(json.dumps({**fields, "counts": report.counts, "findings": found}, indent=2))
        return
    record({**fields, "findings": report.counts or "none"}, as_json=False)
    for finding in report.findings[:_SHOWN]:
        typer.echo(f"{finding.kind.label} {finding.where}: {finding.kind.meaning}")
    if len(report.findings) > _SHOWN:
        typer.echo(f"and {len(report.findings) - _SHOWN} more; --json lists all")
