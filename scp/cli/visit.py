"""`cloakroom visit`: what has arrived, where it stands, and publishing by an operator's word."""

from typing import Annotated, Any

import typer

from scp import build
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, record, refuse, when
from scp.config import Config, load
from scp.db.index import Index
from scp.metrics import declare

app = typer.Typer(help="Visits by their scan_research_id; no name of a patient is known here.", no_args_is_help=True)

Visit = Annotated[
    str, typer.Argument(metavar="SCAN_RESEARCH_ID", help="The visit's number, as `visit list` prints it.")
]


def index_of(config: Config) -> Index:
    """The index of a node that has run; exits with 1 where there is none yet."""
    if not config.index_path.exists():
        raise refuse(f"{config.index_path}: no node has run here yet", NOT_FOUND)
    return Index(config.index_path)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List visits, the latest arrival first.

    State: receiving (not yet quiet), publishing, published. A visit to which instances came after it was published is
    receiving again; `deliveries` counts how often it was opened.
    """
    found = [_dated(row) for row in index_of(load(config)).listing("visits")]
    columns = ["scan_research_id", "pseudonym", "state", "series", "instances", "deliveries", "last_arrival", "path"]
    listing(found, columns, as_json=as_json, nothing="no visit has arrived yet")


@app.command()
def show(visit: Visit, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one visit: its deliveries, each with its folder below the export root, and its series."""
    index = index_of(load(config))
    found = next((row for row in index.listing("visits") if row["scan_research_id"] == visit), None)
    if found is None:
        raise refuse(f"there is no visit {visit}", NOT_FOUND)
    deliveries = [_dated(row) for row in index.listing("visit_deliveries", scan_research_id=visit)]
    series = index.listing("visit_series", scan_research_id=visit)
    if as_json:
        record({**_dated(found), "in_deliveries": deliveries, "in_series": series}, as_json=True)
        return
    record(_dated(found), as_json=False)
    typer.echo()
    listing(deliveries, ["number", "state", "instances", "last_arrival", "path"], as_json=False, nothing="")
    typer.echo()
    listing(series, ["series_uid", "instances", "bytes", "transfer_syntax", "recipe"], as_json=False, nothing="")


@app.command()
def publish(visit: Visit, config: ConfigOption = None) -> None:
    """Publish a visit now, without waiting until it has been quiet for visit_quiet_seconds."""
    settings = load(config)
    index = index_of(settings)
    if not build.steward(settings, declare()).publish_now(visit):
        raise refuse(f"visit {visit} has nothing to publish, or an instance is just arriving", NOT_FOUND)
    found = next(row for row in index.listing("visits") if row["scan_research_id"] == visit)
    typer.echo(f"published {settings.export / found['path']}")


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    times = ("first_arrival", "last_arrival", "published_at")
    return {name: when(value) if name in times else value for name, value in row.items()}
