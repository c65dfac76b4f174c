"""`cloakroom demo`: a node, a made-up patient's head study sent to it, and what became of both."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import urlopen

import pydicom
import typer
from pydicom import Dataset
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.tree import Tree

from scp import phantom
from scp.cli.output import NOT_FOUND, refuse
from scp.config import ConfigError
from scp.outcome import Outcome
from scp.receive.supervisor import bind
from scp.retrieve.send import send

READY_SECONDS = 30.0
PUBLISHED_SECONDS = 30.0
AE_TITLE = "CLOAKROOM"


def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the demo's node keeps everything; emptied first.")
    ] = Path("var/demo"),
    quiet: Annotated[float, typer.Option("--quiet-seconds", min=0.1, help="When its visit counts as complete.")] = 1.0,
) -> None:
    """Start a node, send it a made-up patient's T1 head study, and show the visit it publishes.

    The study is drawn on the spot: two series, full headers, and an identity planted in some thirty places. At the
    end stands the tree that the Data Factory would read, and what became of each part of the identity.
    """
    console = Console()
    _empty(folder)
    port, http_port = _free_port(), _free_port()
    with Progress(console=console, transient=True) as progress, _node(folder, port, http_port, quiet):
        task = progress.add_task("drawing a head", total=None)
        study = phantom.study()
        progress.update(task, description="starting a node")
        _wait(lambda: _ready(http_port), READY_SECONDS, f"the node did not start; its log is {folder / 'node.log'}")
        progress.update(task, description="sending", total=len(study))
        statuses = send(
            study,
            host="127.0.0.1",
            port=port,
            called=AE_TITLE,
            calling="DEMO-MODALITY",
            attempts=3,
            progress=lambda done, _all: progress.update(task, completed=done),
        )
        progress.update(task, description="waiting until the visit is quiet", total=None)
        _wait(lambda: _published(folder), PUBLISHED_SECONDS, f"no visit was published; see {folder / 'node.log'}")
    refused = [status for status in statuses if status != Outcome.STORED.status]
    if refused:
        raise refuse(f"{len(refused)} of {len(statuses)} instances were refused; see {folder / 'node.log'}", NOT_FOUND)
    console.print(f"[bold]{len(statuses)} instances sent, all answered 0x0000; the visit the Data Factory reads:[/]")
    console.print(_tree(folder / "export"))
    console.print()
    console.print(_identity(study, folder))
    console.print(f"\nEverything of this demo lies in {folder}; the log of its node is {folder / 'node.log'}.")


def _empty(folder: Path) -> None:
    """Only what a demo made may be emptied."""
    marker = folder / "demo.json"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise ConfigError(f"{folder}: is not empty and was not made by a demo; name another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.write_text(json.dumps({"made_by": "cloakroom demo"}) + "\n", encoding="utf-8")


def _free_port() -> int:
    with bind("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def _node(folder: Path, port: int, http_port: int, quiet: float) -> Iterator[None]:
    """A node of its own, as an operator would start it, configured by a file."""
    file = folder / "cloakroom.toml"
    file.write_text(
        f'ae_title = "{AE_TITLE}"\nport = {port}\nhttp_port = {http_port}\nvisit_quiet_seconds = {quiet}\n'
        f"steward_seconds = 0.2\nstate = {json.dumps(str(folder / 'state'))}\n"
        f"export = {json.dumps(str(folder / 'export'))}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "scp.cli", "serve", "--config", str(file)]
    with (folder / "node.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)  # noqa: S603  our own interpreter and arguments
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait(come: Any, seconds: float, otherwise: str) -> None:  # noqa: ANN401
    deadline = time.monotonic() + seconds
    while not come():
        if time.monotonic() > deadline:
            raise refuse(otherwise, NOT_FOUND)
        time.sleep(0.05)


def _ready(http_port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{http_port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004
    except (URLError, ConnectionError):
        return False


def _published(folder: Path) -> bool:
    return any((folder / "export" / "DICOM").glob("*/*/*/.ready"))


def _tree(export: Path) -> Tree:
    """The export tree; of many files the first and the last."""
    root = Tree(f"{export}/")

    def grow(branch: Tree, folder: Path) -> None:
        inside = sorted(folder.iterdir())
        for path in (path for path in inside if path.is_dir() and path.name != ".tmp"):
            grow(branch.add(f"{path.name}/"), path)
        files = [path.name for path in inside if path.is_file()]
        shown = files if len(files) <= 5 else [*files[:3], f"... {len(files) - 4} more", files[-1]]  # noqa: PLR2004
        for name in shown:
            branch.add(name)

    grow(root, export)
    return root


def _identity(study: list[Dataset], folder: Path) -> Table:
    """Each planted part of the identity, what the published header says instead, and whether it is anywhere at all."""
    published = sorted((folder / "export" / "DICOM").rglob("*.dcm"))
    header = pydicom.dcmread(published[0], stop_before_pixels=True)
    everything = [path.read_bytes() for path in (*published, *folder.glob("state/index.db*"), folder / "node.log")]
    table = Table(title="What became of the identity", title_justify="left", box=None, header_style="bold")
    for column in ("attribute", "as sent", "as published", "found anywhere"):
        table.add_column(column, overflow="fold")
    for keyword, value in phantom.identity(study).items():
        spellings = {str(value).encode(charset, "ignore") for charset in ("utf-8", "latin-1")}
        found = sum(any(word in content for word in spellings) for content in everything)
        after = header.get(keyword)
        written = "(removed)" if after is None else str(after) or "(empty)"
        table.add_row(keyword, str(value), written, f"[red]in {found} files[/]" if found else "[green]nowhere[/]")
    return table
