"""`cloakroom quarantine`: what was sealed, and why; opening it is the officer's, on another machine."""

from typing import Annotated, Any

import typer

from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, record, refuse, when
from scp.cli.visit import index_of
from scp.config import load
from scp.outcome import Outcome

app = typer.Typer(
    help="Originals that failed for their content, sealed to the data-protection officer; the node cannot read them.",
    no_args_is_help=True,
)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List what is in quarantine: a random id, the outcome, when and how large, and why in words without a value."""
    found = [_dated(row) for row in index_of(load(config)).listing("quarantine")]
    columns = ["id", "outcome", "received_at", "size", "why"]
    listing(found, columns, as_json=as_json, nothing="the quarantine is empty")


@app.command()
def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="The random id, as `quarantine list` prints it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one entry and the sealed file, which `age --decrypt --identity officer.key FILE` opens elsewhere.

    Inside is one line of JSON (who sent it, its UIDs, why it failed) and behind it the data set as it came.
    """
    settings = load(config)
    found = index_of(settings).listing("quarantine_entry", id=entry)
    if not found:
        raise refuse(f"there is no {entry} in quarantine", NOT_FOUND)
    outcome = Outcome[found[0]["outcome"].upper()]
    file = settings.quarantine / outcome.label / f"{entry}.age"
    record({**_dated(found[0]), "meaning": outcome.meaning, "file": str(file)}, as_json=as_json)


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "received_at": when(row["received_at"])}
