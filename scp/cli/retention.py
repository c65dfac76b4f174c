"""`cloakroom retention`: what has been kept as long as it is to be kept, and taking it away now."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scp import build, handover, log, walks
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, record, when
from scp.cli.visit import index_of
from scp.config import Config, load
from scp.metrics import EXPIRED, declare
from scp.retention import Done, Due, Retention

_SECONDS: Final = 10.0  # between two lines where there is no terminal
_COLUMNS: Final = ["kind", "name", "since", "instances", "bytes"]

app = typer.Typer(
    help="What the settings of retention take away: visits, sealed originals, reports, manifests.", no_args_is_help=True
)


@app.command()
def plan(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what is due now, the oldest of each kind first, and change nothing: a dry run of `retention run`.

    `since` is when a visit was published or came to where it waits, when an original was sealed, when a file was
    written.
    """
    settings = load(config)
    found = [_shown(each) for each in _retention(settings).plan()]
    listing(found, _COLUMNS, as_json=as_json, nothing=_nothing(settings))


@app.command()
def run(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take away what is due, beside a running node or without one; it does so itself once a day.

    Exit code 0 when all of it is gone, 1 when something stays for now, each on a line of its own with the reason.
    Stopped at any moment, the next run, or the next start of the node, finishes what was begun.
    """
    settings = load(config)
    retention = _retention(settings)
    log.configure(settings.log_format, "error")
    try:
        with walks.importing(settings.state), _progress(len(retention.plan())) as told:
            done = [told(each) for each in retention.run()]
    except walks.Busy:
        raise build.StartError(
            f"{settings.state}: the node, or another command, is taking away what is due, or changes keys or databases"
        ) from None
    _say(done, as_json=as_json)


def _retention(config: Config) -> Retention:
    return handover.retention(config, index_of(config), declare())


def _nothing(config: Config) -> str:
    if any(config.retention.model_dump().values()):
        return "nothing is due"
    return "everything is kept for ever: no number of days is set in [retention]"


def _shown(due: Due) -> dict[str, Any]:
    return {name: getattr(due, name) for name in _COLUMNS} | {"since": when(due.since)}


def _say(done: Sequence[Done], *, as_json: bool) -> None:
    gone = Counter(each.due.kind for each in done if not each.why)
    stays = [{"kind": each.due.kind, "name": each.due.name, "why": each.why} for each in done if each.why]
    counts: dict[str, Any] = {kind: gone[kind] for kind in EXPIRED}
    if as_json:
        record({**counts, "stays": stays}, as_json=True)
    else:
        record({**counts, "stays": len(stays)}, as_json=False)
        for each in stays:
            typer.echo(f"{each['kind']} {each['name']} stays: {each['why']}")
    if stays:
        raise typer.Exit(NOT_FOUND)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Done], Done]]:
    """A bar on a terminal, a line now and then elsewhere; on stderr, so that the answer can be piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(total)
        return
    columns = (TextColumn("things"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("things", total=total)

        def told(done: Done) -> Done:
            bar.advance(task)
            return done

        yield told


class _Lines:
    def __init__(self, total: int) -> None:
        self._total, self._done, self._said = total, 0, time.monotonic()

    def __call__(self, done: Done) -> Done:
        self._done += 1
        if time.monotonic() - self._said > _SECONDS:
            self._said = time.monotonic()
            sys.stderr.write(f"{self._done}/{self._total}\n")
        return done
