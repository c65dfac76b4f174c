"""`cloakroom import`: files, folders, ZIPs and media taken in as if a peer had pushed them."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scp import build, inbound, log, memory, upkeep
from scp.cli.inbox import importer
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, record, refuse
from scp.config import Config, load
from scp.inbound import Answer, Entry
from scp.metrics import declare
from scp.receive.negotiation import quieten

CALLING: Final = "IMPORT"
_TITLE: Final = 16
_SECONDS: Final = 10.0  # between two lines where there is no terminal


def _title(text: str) -> str:
    """PS3.5 6.2, AE."""
    plain = text.strip(" ")
    if not plain or len(plain) > _TITLE or not plain.isascii() or not plain.isprintable() or "\\" in plain:
        raise typer.BadParameter("an AE title is 1-16 ASCII characters without a backslash")
    return plain


Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders, ZIPs, media with a DICOMDIR.")]
Calling = Annotated[
    str, typer.Option("--calling", help="AE title that the files are said to come from.", callback=_title)
]
Names = Annotated[
    bool, typer.Option("--names", help="Name files besides their positions; on a terminal only: names name patients.")
]


def import_(
    paths: Paths,
    calling: Calling = CALLING,
    names: Names = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take files in through the same walk as what peers push, beside a running node or without one.

    The files stay as and where they are. Run it again after whatever stopped it: what is stored already is answered
    `unchanged`. Exit code 0 when all instances are stored, 1 when one is not, or when it ended early, 2 when nothing
    was begun. Files are told by their positions in sorted order, because names of files hold names of patients.
    """
    if names and not sys.stderr.isatty():
        raise refuse("--names is for a person at a terminal: names of files hold names of patients", 2)
    settings = load(config)
    memory.close()
    log.configure(settings.log_format, settings.log_level)
    quieten()
    _apart(settings, paths)
    try:
        entries = inbound.entries(paths, build.bounds(settings))
    except OSError as error:
        raise refuse(f"what is to be imported cannot be looked into: {error.strerror}", 2) from None
    with upkeep.importing(settings) as intake, _progress(len(entries)) as told:
        volumes = partial(upkeep.volume_alongside, settings, upkeep.volumes(settings, intake))
        run = importer(settings, partial(upkeep.alongside, settings, intake), declare(), calling, volumes)
        summary = _run(run, entries, told, names=names)
    _say(summary, as_json=as_json)


class _Summary:
    """What became of the files, counted, and the positions of those that are not in order."""

    def __init__(self, files: int) -> None:
        self.files = files
        self.results: Counter[str] = Counter()
        self.refused: list[dict[str, str]] = []
        self.ended: str | None = None

    def add(self, answer: Answer) -> None:
        self.results[answer.result.label] += 1
        if not answer.fine:
            self.refused.append({"file": answer.entry.where, "result": answer.result.label})
        if answer.last:
            self.ended = answer.entry.where


Told = Callable[[str], None]


def _run(run: inbound.Import, entries: Sequence[Entry], told: Told, *, names: bool) -> _Summary:
    summary = _Summary(len(entries))
    for entry in entries:
        for answer in run.answers(entry):
            summary.add(answer)
            if not answer.fine:
                told(_line(answer, names=names))
            if answer.last:
                return summary
        told("")
    return summary


def _line(answer: Answer, *, names: bool) -> str:
    named = f" {json.dumps('/'.join(answer.entry.parts))}" if names else ""  # escaped: names may hold anything
    return f"file {answer.entry.where}{named}: {answer.result.label}, {answer.result.meaning}"


@contextmanager
def _progress(total: int) -> Iterator[Told]:
    """A bar on a terminal, a line now and then elsewhere; on stderr, so that the answer can be piped."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(total)
        return
    columns = (TextColumn("files"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("files", total=total)

        def told(line: str) -> None:
            """A file that is not in order is a line; any other, a step."""
            console.print(line, markup=False, highlight=False) if line else bar.advance(task)

        yield told


class _Lines:
    def __init__(self, total: int) -> None:
        self._total, self._done, self._said = total, 0, time.monotonic()

    def __call__(self, line: str) -> None:
        if line:
            sys.stderr.write(f"{line}\n")
            return
        self._done += 1
        if time.monotonic() - self._said > _SECONDS:
            self._said = time.monotonic()
            sys.stderr.write(f"{self._done}/{self._total} files\n")


def _apart(config: Config, paths: Sequence[Path]) -> None:
    """What the node wrote is nothing to import: pseudonyms would get pseudonyms."""
    given = [Path(os.path.realpath(path)) for path in paths]  # which takes a loop of links as it is
    for ours in (Path(os.path.realpath(config.state)), Path(os.path.realpath(config.export))):
        for path in given:
            if path == ours or ours in path.parents or path in ours.parents:
                raise refuse("what is imported, and the node's own state and export, must not lie inside each other", 2)


def _say(summary: _Summary, *, as_json: bool) -> None:
    results = dict(sorted(summary.results.items()))
    if as_json:
        typer.echo(
            json.dumps(
                {"files": summary.files, "results": results, "refused": summary.refused, "ended_at": summary.ended},
                indent=2,
            )
        )
    else:
        record({"files": summary.files, **results}, as_json=False)
    if summary.ended is not None:
        typer.echo(f"cloakroom: ended at file {summary.ended}; when the node has room, run it again", err=True)
    if summary.refused:
        raise typer.Exit(NOT_FOUND)
