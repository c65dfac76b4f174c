"""`cloakroom keys`: the node's keys."""

from pathlib import Path
from typing import Annotated

import typer

from scp import upkeep
from scp.cli.output import NOT_FOUND, ConfigOption, refuse
from scp.config import load
from scp.store import keys

app = typer.Typer(
    help="The linkage key and the data-protection officer's pair, which are files below <state>/keys.",
    no_args_is_help=True,
)


@app.command()
def init(config: ConfigOption = None) -> None:
    """Make the keys a new node needs, and overwrite none.

    linkage.key binds pseudonyms to patients: keep a copy offline, without it the same patient becomes another subject.
    officer.pub seals the quarantine. officer.key opens it and does not belong on the node: move it to the
    data-protection officer. To use the officer's own pair, put its public half there as officer.pub beforehand.
    """
    folder = load(config).keys
    try:
        made = keys.init(folder)
    except OSError as error:
        raise refuse(f"{folder}: cannot be made or written to: {error.strerror}", NOT_FOUND) from None
    for path in made:
        typer.echo(f"made {path}")
    if not made:
        typer.echo(f"all keys are there in {folder}; nothing was changed")
    private = keys.load(folder).private_half
    if private is not None:
        typer.echo(f"move {private} away from this machine, to the data-protection officer: it opens the quarantine")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check that every key is there, closed to others, and the one that this node's linkage was made with.

    Exit code 0 when all is in order, 1 when something should be done, 2 when a key cannot be used.
    """
    settings = load(config)
    troubles = upkeep.key_troubles(settings)
    for trouble in troubles:
        typer.echo(trouble)
    if troubles:
        raise typer.Exit(NOT_FOUND)
    typer.echo(f"the keys in {settings.keys} are in order")


@app.command()
def rotate(config: ConfigOption = None) -> None:
    """Seal the linkage anew under a new linkage.key; the node must not run.

    Pseudonyms and visit numbers stay. The old key is gone from the node afterwards: keep its escrow as long as there
    are backups that were made with it, and escrow the new one. Stopped half-way, it goes on when it is run again.
    """
    settings = load(config)
    subjects = upkeep.rotate(settings)
    typer.echo(f"the linkage of {subjects} subjects is sealed under a new {settings.keys / 'linkage.key'}")


@app.command()
def escrow(
    to: Annotated[list[str], typer.Option("--to", help="An age public key (age1...); any of them gets the key back.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to be made.")],
    config: ConfigOption = None,
) -> None:
    """Seal a copy of linkage.key to one or more recovery keys, to be kept away from the node.

    `age --decrypt --identity RECOVERY.KEY FILE` gives back the text of linkage.key.
    """
    folder = load(config).keys
    try:
        keys.escrow(folder, to, out)
    except OSError as error:
        raise refuse(f"{out}: cannot be made: {error.strerror}", NOT_FOUND) from None
    typer.echo(f"sealed linkage.key to {len(to)} recovery keys in {out}")
