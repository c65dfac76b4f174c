"""`cloakroom doctor`: what is not as it should be, each finding with its remedy."""

import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from scp import build, handover
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing
from scp.config import Config, ConfigError, load
from scp.db import backup
from scp.db.engine import BUSY_SECONDS, DatabaseError
from scp.db.turn import Turn, holder, locker
from scp.deidentify.recipe import RecipeError
from scp.glance import Publishing
from scp.receive import credentials, expiry
from scp.receive.watched import SecretFileError
from scp.retrieve.probe import Peer, ProbeError, echo
from scp.store import keys
from scp.store.staging import LOCK, STAGING

SYNCS = 20
SLOW_SYNC_SECONDS = 0.05
SOON_SECONDS = 30 * 86_400.0
FIRST_SECONDS = 1_735_689_600.0  # 2025: no clock that is right is before this release
FREE_SHARE = 0.1


class Mark(Enum):
    """How bad it is."""

    GOOD = "good"
    LOOK = "look"
    WRONG = "wrong"


class Finding(NamedTuple):
    """What was looked at, how it is, and what to do about it."""

    what: str
    mark: Mark
    says: str
    remedy: str = ""


Check = Callable[[Config], Iterator[Finding]]


def doctor(
    config: ConfigOption = None,
    peer: Annotated[
        list[str] | None, typer.Option("--peer", metavar="TITLE@HOST:PORT", help="A peer that has to answer C-ECHO.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at ports, folders, disks, clock, keys, databases, recipe, certificates and peers; change nothing.

    Beside a running node or before its first start. Exit code 1 says that something is wrong, which is: the node would
    not start, or not keep what it promises.
    """
    settings = load(config)
    found = [finding for check in CHECKS for finding in check(settings)]
    found += [finding for name in peer or () for finding in _peer(settings, name)]
    rows = [{**finding._asdict(), "mark": finding.mark.value} for finding in found]
    listing(rows, ["what", "mark", "says", "remedy"], as_json=as_json, nothing="nothing was looked at")
    if any(finding.mark is Mark.WRONG for finding in found):
        raise typer.Exit(NOT_FOUND)


def _ports(config: Config) -> Iterator[Finding]:
    running = build.is_running(config)
    wanted = [("http_port", config.http_host, config.http_port)]
    if config.tls.plain_port:
        wanted.append(("port", config.host, config.port))
    if config.tls.enabled:
        wanted.append(("tls.port", config.host, config.tls.port))
    for name, host, port in wanted:
        taken = _taken(host, port)
        if running == taken:
            yield Finding(name, Mark.GOOD, f"{port} is the node's" if taken else f"{port} is free")
        elif taken:
            yield Finding(
                name, Mark.WRONG, f"{host}:{port} is not to be had", f"stop what listens there, or set {name}"
            )
        else:
            yield Finding(name, Mark.WRONG, f"the node runs, but {port} is not its", "restart the node")


def _taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return True
    return False


def _folders(config: Config) -> Iterator[Finding]:
    for name in ("state", "export"):
        folder: Path = getattr(config, name)
        if not folder.exists():
            yield Finding(name, Mark.GOOD, f"{folder} is made at the first start")
            continue
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield Finding(name, Mark.WRONG, f"{folder} cannot be written to", f"chown {os.getuid()} {folder}")
        elif name == "state" and mode & 0o007:
            yield Finding(name, Mark.LOOK, f"{folder} is open to everybody ({mode:04o})", f"chmod 0750 {folder}")
        else:
            yield Finding(name, Mark.GOOD, f"{folder} can be written to")
    if config.state.exists() and config.export.exists() and config.state.stat().st_dev == config.export.stat().st_dev:
        yield Finding("volumes", Mark.LOOK, "state and export are on one disk", "give each a volume of its own")


def _disks(config: Config) -> Iterator[Finding]:
    for name in ("state", "export"):
        folder = _existing(getattr(config, name))
        free, whole = _room(folder)
        says = f"{free / 1e9:.1f} GB of {whole / 1e9:.1f} GB free"
        if free < config.min_free_bytes:
            yield Finding(f"{name} room", Mark.WRONG, says, "docs/how-to/disk-full.md")
        else:
            yield Finding(f"{name} room", Mark.GOOD if free > whole * FREE_SHARE else Mark.LOOK, says)
        if os.access(folder, os.W_OK):
            try:
                yield _sync(f"{name} fsync", folder)
            except OSError as error:
                remedy = "docs/how-to/disk-full.md, or the disk"
                yield Finding(f"{name} fsync", Mark.WRONG, f"failed: {error.strerror}", remedy)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _room(folder: Path) -> tuple[int, int]:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _sync(what: str, folder: Path) -> Finding:
    """The median time for 64 KiB to become durable."""
    taken = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(bytes(65536))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    middle = sorted(taken)[SYNCS // 2]
    says = f"{middle * 1000:.1f} ms for 64 KiB, so at most {1 / middle:.0f} instances a second on one association"
    if middle > SLOW_SYNC_SECONDS:
        return Finding(what, Mark.LOOK, says, "a local SSD; network file systems are slow at this")
    return Finding(what, Mark.GOOD, says)


def _clock(config: Config) -> Iterator[Finding]:
    now = time.time()
    if now < FIRST_SECONDS:
        yield Finding("clock", Mark.WRONG, "it is before this release was made", "set the clock; use NTP")
        return
    newest = max(
        (path.stat().st_mtime for path in (config.index_path, config.linkage_path) if path.exists()), default=0
    )
    if newest > now + 60:
        yield Finding("clock", Mark.WRONG, "the databases are from the future", "set the clock; use NTP")
    else:
        yield Finding("clock", Mark.GOOD, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now)))


def _keys(config: Config) -> Iterator[Finding]:
    used = config.linkage_path.exists() or config.index_path.exists()
    if keys.missing(config.keys) and not used:
        yield Finding("keys", Mark.GOOD, "are made at the first start")
        return
    try:
        held = keys.load(config.keys)
    except keys.KeyFileError as error:
        yield Finding("keys", Mark.WRONG, str(error), "docs/how-to/restore.md")
        return
    if held.private_half is not None:
        remedy = "move it to the data-protection officer"
        yield Finding("keys", Mark.LOOK, f"{held.private_half} opens the quarantine", remedy)
    else:
        yield Finding("keys", Mark.GOOD, "linkage.key and officer.pub are as they must be")


def _databases(config: Config) -> Iterator[Finding]:
    there = [path for path in (config.index_path, config.linkage_path) if path.exists()]
    if not there:
        yield Finding("databases", Mark.GOOD, "are made at the first start")
        return
    try:
        nodes = set()
        for path in (config.index_path, config.linkage_path):
            backup.check(path)
            nodes.add(backup.node_of(path))
    except DatabaseError as error:
        yield Finding("databases", Mark.WRONG, str(error), "docs/how-to/restore.md")
        return
    if len(nodes) > 1:
        yield Finding("databases", Mark.WRONG, "index and linkage do not belong together", "docs/how-to/restore.md")
    else:
        yield Finding("databases", Mark.GOOD, "are whole and belong together")
    for path in there:
        if not Turn(path, path.stem).comes(BUSY_SECONDS):
            yield _held_up(path)


def _held_up(path: Path) -> Finding:
    """Nobody has a turn to write: the process that keeps it, where the system knows it."""
    process = holder(path)
    who = "whoever holds its lock" if process is None else f"process {process}, which holds its lock,"
    remedy = "a command that was stopped: let it go on (SIGCONT), or end it"
    return Finding(path.stem, Mark.WRONG, f"cannot be written to: {who} does not give it back", remedy)


def _recipe(config: Config) -> Iterator[Finding]:
    try:
        plan = build.recipe_of(config)
        build.layout_of(config)
    except (RecipeError, build.StartError) as error:
        yield Finding("recipe", Mark.WRONG, str(error), "docs/how-to/recipe.md")
    else:
        yield Finding("recipe", Mark.GOOD, f"{config.recipe} ({plan.digest[:16]})")


def _peers(config: Config) -> Iterator[Finding]:
    for warning in build.warnings(config):
        yield Finding("peers", Mark.LOOK, warning)
    try:
        credentials.read(config)
    except SecretFileError as error:
        yield Finding("TLS and identities", Mark.WRONG, str(error), "docs/how-to/tls.md")
        return
    for name, end in expiry.ends(config).items():
        days = (end - time.time()) / 86_400
        mark = Mark.WRONG if days < 0 else Mark.LOOK if end < time.time() + SOON_SECONDS else Mark.GOOD
        says = f"ends in {days:.0f} days" if days >= 0 else "has ended"
        yield Finding(f"tls.{name}", mark, says, "" if mark is Mark.GOOD else "docs/how-to/tls.md")


def _handover(config: Config) -> Iterator[Finding]:
    try:
        handover.check(config)
    except ConfigError as error:
        yield Finding("handover", Mark.WRONG, str(error), "docs/visits.md")
    else:
        yield Finding("handover", Mark.GOOD, "the group may be given, and what gates and exports run is there")


def _publishing(config: Config) -> Iterator[Finding]:
    lock = config.export / STAGING / LOCK
    if Publishing(lock, "publishing", BUSY_SECONDS).comes(2 * BUSY_SECONDS):
        return
    process = locker(lock)
    who = "a process" if process is None else f"process {process}"
    says = f"waits for {BUSY_SECONDS:.0f} s already: {who} holds {lock} and does not give it back"
    yield Finding("publishing", Mark.WRONG, says, "a command that was stopped: let it go on (SIGCONT), or end it")


def _peer(config: Config, name: str) -> Iterator[Finding]:
    title, _, address = name.rpartition("@")
    host, _, port = address.rpartition(":")
    if not (title and host and port.isdecimal()):
        yield Finding(name, Mark.WRONG, "is not TITLE@HOST:PORT")
        return
    try:
        echo(Peer(host, int(port), title, config.ae_title))
    except ProbeError as error:
        yield Finding(name, Mark.WRONG, str(error), "the peer's address, port, titles, and the firewall between")
    else:
        yield Finding(name, Mark.GOOD, "answers C-ECHO")


CHECKS: tuple[Check, ...] = (
    _ports,
    _folders,
    _disks,
    _clock,
    _keys,
    _databases,
    _recipe,
    _handover,
    _publishing,
    _peers,
)
"""In the order in which a start would meet them."""
