"""How a listing is printed: a table for a person, JSON for a program, the same fields in both."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

DONE, NOT_FOUND, REFUSED = 0, 1, 2
_WIDE = 240

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration file; without it CLOAKROOM_CONFIG, else ./cloakroom.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table for a person.")]


def when(seconds: float | None) -> str | None:
    """A point in time as ISO 8601 in UTC, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def listing(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, nothing: str) -> None:
    """Print rows with these columns, or the sentence `nothing` when there are none."""
    kept = [{column: row[column] for column in columns} for row in rows]
    if as_json:
        typer.echo(json.dumps(kept, indent=2))
        return
    if not kept:
        typer.echo(nothing)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        right = all(isinstance(row[column], int | float) for row in kept)
        table.add_column(column.replace("_", " "), justify="right" if right else "left", overflow="fold")
    for row in kept:
        table.add_row(*["" if value is None else _shown(value) for value in row.values()])
    _print(table)


def record(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing's fields."""
    if as_json:
        typer.echo(json.dumps(fields, indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")  # a path or a number is broken rather than cut
    for name, value in fields.items():
        shown = ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, dict) else value
        shown = "; ".join(shown) if isinstance(shown, list) else shown
        table.add_row(name.replace("_", " "), "" if shown in (None, "") else _shown(shown))
    _print(table)


def _shown(value: object) -> str:
    """As plain text on one line: what a stranger sent can neither steer the terminal nor look like another line."""
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(value))
    return escape(text)


def _print(table: Table) -> None:
    """On a terminal as wide as it is; elsewhere as wide as it takes, so that no number is broken."""
    console = Console()
    console.print(table) if console.is_terminal else Console(width=_WIDE).print(table)


def refuse(sentence: str, code: int) -> typer.Exit:
    """Say a sentence on stderr; raise what this returns."""
    typer.echo(f"cloakroom: {sentence}", err=True)
    return typer.Exit(code)
