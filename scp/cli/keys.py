"""`cloakroom keys`: the node's keys."""

import typer

from scp.cli.output import ConfigOption
from scp.config import load
from scp.store import keys

app = typer.Typer(
    help="The linkage key and the data-protection officer's pair, which are files below <state>/keys.",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keep `init` a verb of its own."""


@app.command()
def init(config: ConfigOption = None) -> None:
    """Make the keys a new node needs, and overwrite none.

    linkage.key binds pseudonyms to patients: keep a copy offline, without it the same patient becomes another subject.
    officer.pub seals the quarantine. officer.key opens it and does not belong on the node: move it to the
    data-protection officer. To use the officer's own pair, put its public half there as officer.pub beforehand.
    """
    folder = load(config).keys
    made = keys.init(folder)
    for path in made:
        typer.echo(f"made {path}")
    if not made:
        typer.echo(f"all keys are there in {folder}; nothing was changed")
    private = keys.load(folder).private_half
    if private is not None:
        typer.echo(f"move {private} away from this machine, to the data-protection officer: it opens the quarantine")
