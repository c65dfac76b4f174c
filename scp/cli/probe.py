"""`cloakroom probe`: would the PACS be served? Asked from where the PACS stands, or by `helm test`."""

from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import typer

from scp import phantom
from scp.cli.output import NOT_FOUND, refuse
from scp.retrieve import probe as door
from scp.retrieve.probe import Peer, ProbeError


def probe(  # noqa: PLR0913, PLR0917  typer reads options from parameters
    host: Annotated[str, typer.Argument(help="Address of the node; without it only its status is asked.")] = "",
    port: Annotated[int, typer.Argument(min=1, max=65535, help="Its DICOM port.")] = 11112,
    called: Annotated[str, typer.Option(help="Its AE title.")] = "CLOAKROOM",
    calling: Annotated[str, typer.Option(help="The AE title to call as.")] = "PROBE",
    stranger: Annotated[bool, typer.Option("--stranger", help="Expect that this title is rejected.")] = False,
    status: Annotated[
        str, typer.Option(help="Base address of its status port, http://..., asked first and last.")
    ] = "",
) -> None:
    """Ask a node whether it would take a push: C-ECHO, and a C-STORE that is aborted before its end.

    The store leaves nothing behind, on any receiver: neither file nor quarantine. Exit code 1 says that something is
    not as expected.
    """
    try:
        _ready(status)
        if host:
            _ask(Peer(host, port, called, calling), stranger=stranger)
        _ready(status)
    except ProbeError as error:
        raise refuse(str(error), NOT_FOUND) from error


def _ask(peer: Peer, *, stranger: bool) -> None:
    if stranger:
        if not door.rejects(peer):
            raise ProbeError(
                f"{peer.called} at {peer.host}:{peer.port} accepts {peer.calling}, which was to be rejected"
            )
        typer.echo(f"{peer.called} at {peer.host}:{peer.port} answers, and rejects {peer.calling} as it should")
        return
    door.echo(peer)
    typer.echo(f"{peer.called} at {peer.host}:{peer.port} answers C-ECHO")
    door.begin_store(peer, phantom.study()[0])
    typer.echo("it takes MR images; nothing was left behind")


def _ready(status: str) -> None:
    if not status:
        return
    if not status.startswith("http://"):
        raise ProbeError("--status begins with http://")
    try:
        with urlopen(f"{status.rstrip('/')}/readyz", timeout=door.SECONDS):  # noqa: S310  http only, see above
            typer.echo(f"{status} is ready")
    except (URLError, OSError, ValueError) as error:
        raise ProbeError(f"{status} is not ready ({getattr(error, 'code', type(error).__name__)})") from None
