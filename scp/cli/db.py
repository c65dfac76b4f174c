"""`cloakroom db`: copies of the two databases that can be trusted, and back again."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from scp import __version__, build, walks
from scp.cli.output import ConfigOption, JsonOption, record, when
from scp.config import Config, load
from scp.db import backup as copies
from scp.db.engine import DatabaseError
from scp.db.linkage import Linkage
from scp.store import keys
from scp.store.files import sync_folder

MANIFEST = "manifest.json"
NAMES = ("index.db", "linkage.db")  # in this order: a subject is in the linkage before its instance is in the index
BESIDE = ("-wal", "-shm")

app = typer.Typer(help="The databases: what has come, and whose pseudonym is whose.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]


@app.command()
def backup(folder: Folder, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Copy both databases into a new folder while the node goes on, and check the copies.

    The keys are not among them: keep linkage.key elsewhere, because the two together name the patients.
    """
    settings = load(config)
    _make(folder)
    for name in NAMES:
        copies.copy(settings.state / name, folder / name)
    node = _verified(folder)
    manifest = {"node": node, "version": __version__, "made_at": when(time.time()), "sha256": _digests(folder)}
    _write(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    sync_folder(folder)
    size = sum((folder / name).stat().st_size for name in NAMES)
    record({"folder": str(folder), "bytes": size, **manifest}, as_json=as_json)


@app.command()
def restore(
    folder: Folder,
    config: ConfigOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Set databases aside that are there.")] = False,
) -> None:
    """Put the databases of a backup into the state folder of a node that does not run.

    Checked first: every byte against the manifest, both databases, that they belong together, and that linkage.key made
    them. What was there is kept beside, under the time of the restore.
    """
    settings = load(config)
    if build.is_running(settings):
        raise DatabaseError(f"{settings.state}: a node runs here; stop it first")
    _whole(folder)
    _unlocks(settings, folder)
    try:
        # The checks may take minutes, and whatever restarts a node does not wait for them.
        with build.stopped(settings), walks.no_import(settings.state):
            _put_back(settings, folder, replace=replace)
    except walks.Busy:
        raise DatabaseError(f"{settings.state}: an import runs here; let it end first") from None
    typer.echo(f"restored {folder} into {settings.state}; ask the PACS to send again what came after it was made")


def _put_back(settings: Config, folder: Path, *, replace: bool) -> None:
    present = [settings.state / name for name in NAMES if (settings.state / name).exists()]
    if present and not replace:
        raise DatabaseError(f"{present[0]}: is there already; --replace keeps it beside and goes on")
    _set_aside(present)
    for name in reversed(NAMES):  # an index without its linkage would not start; a linkage without its index would
        copies.copy(folder / name, settings.state / name)
    sync_folder(settings.state)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DatabaseError(f"{folder}: is not empty; each backup has a folder of its own")
    except OSError as error:
        raise DatabaseError(f"{folder}: cannot be made ({error.strerror})") from error


def _verified(folder: Path) -> str:
    """The node both databases belong to, once they are known to be whole."""
    for name in NAMES:
        copies.check(folder / name)
    nodes = {copies.node_of(folder / name) for name in NAMES}
    if len(nodes) != 1:
        raise DatabaseError(f"{folder}: the two databases do not belong together")
    return nodes.pop()


def _whole(folder: Path) -> None:
    """Raises DatabaseError unless the backup is as it was made."""
    manifest = _manifest(folder / MANIFEST)
    for name in NAMES:
        if not (folder / name).is_file():
            raise DatabaseError(f"{folder / name}: is missing")
    if manifest.get("sha256") != _digests(folder):
        raise DatabaseError(f"{folder}: a database is not the one that was backed up; its SHA-256 differs")
    if _verified(folder) != manifest.get("node"):
        raise DatabaseError(f"{folder}: the manifest is of another node")


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DatabaseError(f"{path}: cannot be read; this is no backup ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise DatabaseError(f"{path}: is no manifest")
    return found


def _unlocks(config: Config, folder: Path) -> None:
    """The node's own key has to be the one that made the linkage; asked of a copy, because asking writes."""
    held = keys.load(config.keys)
    trial = config.state / f"trial-{os.getpid()}.db"
    try:
        copies.copy(folder / "linkage.db", trial)
        linkage = Linkage(trial, held.linkage)
        try:
            linkage.open()
        finally:
            linkage.close()
    finally:
        for suffix in ("", *BESIDE):
            trial.with_name(trial.name + suffix).unlink(missing_ok=True)
        trial.with_suffix(".lock").unlink(missing_ok=True)


def _set_aside(paths: list[Path]) -> None:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for path in paths:
        for suffix in ("", *BESIDE):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(beside.with_name(f"{path.stem}.{stamp}.db{suffix}"))


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for name in NAMES:
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
