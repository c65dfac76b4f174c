"""The command `cloakroom`, one file a verb.

Exit codes: 0 done; 1 what was asked for is not there or did not come about; 2 the command, the configuration, a key,
the recipe or a database is not as it must be, and nothing was started or changed.
"""

import sys
from io import TextIOWrapper

import typer

from scp import __version__, log
from scp.build import StartError
from scp.cli import (
    config,
    day,
    db,
    demo,
    doctor,
    export,
    import_,
    keys,
    move,
    probe,
    quarantine,
    recipe,
    retention,
    serve,
    status,
    verify,
    visit,
)
from scp.cli.output import REFUSED
from scp.config import ConfigError
from scp.db.engine import DatabaseError
from scp.deidentify.recipe import RecipeError
from scp.outcome import Failure
from scp.receive.watched import SecretFileError
from scp.store.belonging import ForeignFolderError
from scp.store.keys import KeyFileError
from scp.store.opened import SealedFileError

REFUSALS = (
    ConfigError,
    DatabaseError,
    Failure,
    ForeignFolderError,
    KeyFileError,
    RecipeError,
    SealedFileError,
    SecretFileError,
    StartError,
)

app = typer.Typer(
    name="cloakroom",
    help="A DICOM node that de-identifies what a PACS pushes and hands whole visits to the MIP Data Factory.",
    epilog="Exit codes: 0 done, 1 not there or not come about, 2 refused before anything was started or changed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they print local variables, and those hold patients
    add_completion=False,
)

VERBS = (
    ("serve", serve.serve),
    ("demo", demo.demo),
    ("import", import_.import_),
    ("status", status.status),
    ("verify", verify.verify),
    ("probe", probe.probe),
    ("doctor", doctor.doctor),
)
GROUPS = (
    ("visit", visit.app),
    ("day", day.app),
    ("export", export.app),
    ("quarantine", quarantine.app),
    ("retention", retention.app),
    ("recipe", recipe.app),
    ("config", config.app),
    ("keys", keys.app),
    ("db", db.app),
)

for _name, _verb in VERBS:
    app.command(_name)(_verb)
visit.app.command("merge")(move.merge)
visit.app.command("split")(move.split)
for _name, _group in GROUPS:
    app.add_typer(_group, name=_name)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cloakroom {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version
    log.configure()  # before anything is read: what libraries warn of, and raise, holds values of elements


def main() -> None:
    """Run the command line; what is refused is one sentence on stderr and exit code 2."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a terminal may not have every character
    try:
        app()
    except REFUSALS as error:
        typer.echo(f"cloakroom: {error}", err=True)
        sys.exit(REFUSED)
