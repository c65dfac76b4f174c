"""`cloakroom export`: what was made of published visits besides, and having it made again."""

from typing import Annotated

import typer

from scp import handover
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, refuse, when
from scp.cli.visit import Visit, index_of
from scp.config import load
from scp.exports import EXPORTS, ExportError
from scp.exports.protocols import structural
from scp.steward.report import Reports

app = typer.Typer(
    help="Exports of published visits, as `exports` in the configuration names them.", no_args_is_help=True
)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List exports, the latest change first: waiting, done, or failed for good, and why it last failed."""
    settings = load(config)
    index_of(settings)
    found = [{**row, "changed_at": when(row["changed_at"])} for row in handover.ledger(settings).listing("exports")]
    columns = ["name", "scan_research_id", "number", "state", "tries", "changed_at", "why"]
    listing(found, columns, as_json=as_json, nothing="nothing has been exported yet")


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(EXPORTS)}.")],
    visit: Visit,
    config: ConfigOption = None,
) -> None:
    """Have an export of a visit made again, whether it is done or failed; the running node does it."""
    settings = load(config)
    index_of(settings)
    if name not in settings.exports:
        raise refuse(f"{name} is not in the setting exports", NOT_FOUND)
    if not handover.ledger(settings).again(name, visit):
        raise refuse(f"visit {visit} has not been published, or {name} has not come to it yet", NOT_FOUND)
    typer.echo(f"{name} of {visit} will be made again")


@app.command()
def protocols(config: ConfigOption = None) -> None:
    """Print the section of Protocols_definition.txt by which the Data Factory's pipeline finds this site's T1 images.

    Its names are those of [protocols] and of all series that were checked so far, where [bids] places them as T1w.
    """
    settings = load(config)
    names = {*settings.protocols.values(), *Reports(settings.reports).descriptions()}
    try:
        typer.echo(structural(names, settings.bids), nl=False)
    except ExportError as error:
        raise refuse(str(error), NOT_FOUND) from None
