"""`cloakroom config`: what the node is told, and whether it can be."""

import typer

from scp import build, handover
from scp.cli import inbox
from scp.cli.output import ConfigOption, JsonOption, listing
from scp.cli.signs import token
from scp.config import find, load, rows
from scp.receive import credentials
from scp.store import keys

app = typer.Typer(
    help="What the node is told: cloakroom.toml with CLOAKROOM_* variables over it.", no_args_is_help=True
)


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every setting, its value and where that came from. Keys are files and never stand here."""
    found = [row._asdict() for row in rows(load(config))]
    columns = list(found[0]) if as_json else ["key", "value", "origin"]
    listing(found, columns, as_json=as_json, nothing="")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check configuration, certificates, folders, keys and recipe as `serve` would, and change nothing."""
    settings = load(config)
    credentials.read(settings)
    token(settings)
    inbox.check(settings)
    handover.check(settings)
    plan = build.recipe_of(settings)
    build.layout_of(settings)
    if keys.missing(settings.keys):
        typer.echo(f"no keys yet in {settings.keys}; `cloakroom serve` makes them on its first start")
    else:
        held = keys.load(settings.keys)
        if held.private_half is not None:
            typer.echo(f"warning: {held.private_half} opens the quarantine; move it to the data-protection officer")
    for warning in build.warnings(settings):
        typer.echo(f"warning: {warning}")
    origin = find(config) or "defaults and environment"
    typer.echo(f"{origin}: in order; recipe {settings.recipe} ({plan.digest[:16]})")
