"""`cloakroom quarantine`: what was sealed, and why; opening it is the officer's, on another machine."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from pydicom.errors import InvalidDicomError

from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, record, refuse, when
from scp.cli.visit import index_of
from scp.config import load
from scp.deidentify import part10
from scp.outcome import Outcome
from scp.retrieve.send import SendError, send
from scp.store import opened
from scp.store.quarantine import forget

_UID = re.compile(r"[0-9.]{1,64}")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The sealed file, *.age.", exists=True, dir_okay=False)]
Key = Annotated[Path, typer.Option("--key", "-k", help="The officer's private key, a file closed to others.")]
Target = Annotated[Path, typer.Option("--out", "-o", help="The file to be made.")]
Entry = Annotated[str, typer.Argument(metavar="ID", help="The random id, as `quarantine list` prints it.")]

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
    entry: Entry,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one entry, the sealed file, and how the officer opens it elsewhere; `age --decrypt --identity` does too.

    Inside is one line of JSON (who sent it, its UIDs, why it failed) and behind it the data set as it came.
    """
    settings = load(config)
    found = index_of(settings).listing("quarantine_entry", id=entry)
    if not found:
        raise refuse(f"there is no {entry} in quarantine", NOT_FOUND)
    outcome = Outcome[found[0]["outcome"].upper()]
    file = settings.quarantine / outcome.label / f"{entry}.age"
    command = f"cloakroom quarantine open {file.name} --key officer.key --out original.dcm"
    told = {"meaning": outcome.meaning, "file": str(file), "the_officer_opens_it_with": command}
    record({**_dated(found[0]), **told}, as_json=as_json)


@app.command("open")
def open_(file: File, key: Key, target: Target) -> None:
    """Open a sealed file with the officer's private key, on the officer's machine: a DICOM file, identified.

    Needs no configuration and no node. OUT must not exist; only its owner can read it. Who sent it, when, and why it
    failed is printed.
    """
    identity = opened.officer(key)
    try:
        head = opened.open_sealed(file, identity, target, _file_meta)
    except OSError as error:
        raise refuse(f"{file.name} cannot be opened into {target}: {error.strerror}", NOT_FOUND) from None
    record({**head, "received_at": when(head.get("received_at")), "file": str(target)}, as_json=False)


@app.command()
def release(  # noqa: PLR0913, PLR0917  file, key, host, port and two titles are what it takes
    file: File,
    key: Key,
    host: Annotated[str, typer.Option(help="The node's address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The node's DICOM port.")] = 11112,
    called: Annotated[str, typer.Option(help="The node's AE title.")] = "CLOAKROOM",
    calling: Annotated[str, typer.Option(help="The AE title to send as; the node must take it.")] = "OFFICER",
) -> None:
    """Send a sealed original to the node again, which walks it through the recipe that it has now.

    Needs the officer's private key. If the node stores it, `quarantine reject` makes it forget the sealed file.
    """
    identity = opened.officer(key)
    with TemporaryDirectory(prefix="cloakroom-release-") as folder:
        original = Path(folder) / "original.dcm"
        opened.open_sealed(file, identity, original, _file_meta)
        try:
            (status,) = send([original], host=host, port=port, called=called, calling=calling, attempts=3)
        except SendError as error:
            raise refuse(f"{file.name} could not be sent: {error}", NOT_FOUND) from None
        except (InvalidDicomError, AttributeError, ValueError, OSError) as error:
            raise refuse(f"{file.name} could not be sent ({type(error).__name__})", NOT_FOUND) from None
    named = " or ".join(outcome.label for outcome in Outcome if outcome.status == status)
    typer.echo(f"answered 0x{status:04X}" + (f", {named}" if named else ""))
    if status:
        raise typer.Exit(NOT_FOUND)


@app.command()
def reject(entry: Entry, config: ConfigOption = None) -> None:
    """Forget a sealed original for good: its row and its file. The next time it is sent, it is sealed again."""
    settings = load(config)
    index = index_of(settings)
    found = index.listing("quarantine_entry", id=entry)
    if not found or not index.forget_quarantine(entry):
        raise refuse(f"there is no {entry} in quarantine", NOT_FOUND)
    # The row goes first: stopped here, the next start lists the file again.
    forget(settings.quarantine, found[0]["outcome"], entry)
    typer.echo(f"forgot {entry}")


def _file_meta(head: dict[str, Any]) -> bytes:
    """What makes a DICOM file of the data set; nothing where it is a file already, or its UIDs are none."""
    words = [str(head.get(key, "")) for key in ("sop_class_uid", "sop_instance_uid", "transfer_syntax")]
    return part10.head(*words) if all(_UID.fullmatch(word) for word in words) else b""


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "received_at": when(row["received_at"])}
