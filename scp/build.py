"""The only place where parts are put together; everything is checked here before a port answers or a process forks."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from scp import handover, walks
from scp.admission import RULES, Admission
from scp.bounds import Bounds
from scp.config import Config
from scp.db.backup import node_of
from scp.db.channel import listen
from scp.db.commit import FreeCommit, WriterCommit
from scp.db.engine import Engine
from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.db.writer import Writer
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.glance import free_bytes
from scp.grouping import whose
from scp.intake import Intake
from scp.layouts import LAYOUTS, Layout
from scp.metrics import Metrics
from scp.recovery import Recovered, Recovery
from scp.steward.steward import Steward
from scp.store import keys
from scp.store.belonging import claim
from scp.store.files import FOLDER_MODE, sync_folder
from scp.store.quarantine import Quarantine
from scp.store.staging import Staging

_LOCK_SECONDS = 5.0
_SEVERAL = "recipe.renewed"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class StartError(ValueError):
    """The node cannot start as it is configured; its text is one sentence that says what and where."""


@dataclass(frozen=True, slots=True)
class Node:
    """What has been read and checked before the fork: no connection is open in it, and it is never changed."""

    config: Config
    keys: keys.Keys
    plan: Plan
    layout: Layout
    id: str
    made: Sequence[Path]
    lock: int = field(repr=False)
    recovered: Recovered = field(default_factory=Recovered, repr=False)


def prepare(config: Config) -> Node:
    """Check everything, make what a first start needs, and hold the node's lock.

    Raises StartError, KeyFileError, RecipeError, DatabaseError or ForeignFolderError, each with one sentence for the
    operator.
    """
    plan = recipe_of(config)
    layout = layout_of(config)
    handover.check(config)
    for folder in (config.state, config.export):
        _make(folder)
    lock = _lock(config.state / "node.lock")
    made = _keys(config)
    held = keys.load(config.keys)
    linkage = Linkage(config.linkage_path, held.linkage)
    index = Index(config.index_path)
    try:
        node = linkage.open()
        index.open(node)
        with walks.no_instance(config.state):
            recovered = recover(config, index, held.officer)
        index.set_recipe(plan.name)
        (config.state / _SEVERAL).unlink(missing_ok=True)
    finally:
        linkage.close()
        index.close()
    return Node(config, held, plan, layout, node, made, lock, recovered)


def recover(config: Config, index: Index, officer: str) -> Recovered:
    """Put right what the last end left half done; call it when no process of the node runs.

    Raises ForeignFolderError before anything is touched in an export folder that is not this node's, and Failure.
    """
    claim(config.export, config.state, node_of(config.index_path))
    staging, quarantine = Staging(config.export), Quarantine(config.quarantine, officer)
    staging.prepare()
    quarantine.prepare()
    publisher = handover.publisher(config, layout_of(config), index)
    handover.resume(config, index, bounds(config))
    recipe = None if (config.state / _SEVERAL).exists() else index.recipe()
    return Recovery(config.export, index, quarantine, publisher, recipe, bounds(config)).run()


def renew(config: Config) -> None:
    """Write down, before it is so, that what has no row may be by another recipe than the index names; raises OSError.

    The next start, which cannot tell which, adopts nothing then.
    """
    mark = config.state / _SEVERAL
    if not mark.exists():
        mark.touch(mode=0o600)
        sync_folder(config.state)


def recipe_of(config: Config) -> Plan:
    """The compiled plan of the configured recipe; raises RecipeError with file and line."""
    return compile_plan(load(config.recipe), Policy(dict(config.protocols), dict(config.variables)))


def intake(node: Node, metrics: Metrics, index: Index | None = None) -> Intake:
    """The walk, for one worker process; opens the databases, so call it after the fork.

    On SQLite its rows are committed by whoever finds nobody else writing, and by the node's one index writer where
    many do, unless another `index` is given; a server database would take `OwnCommit`.
    """
    config = node.config
    admission = Admission(config=config, free_bytes=partial(free_bytes, config))
    walk = Intake(
        rules=tuple(rule(admission) for rule in RULES.values()),
        identity=node.plan.identity,
        deidentify=node.plan.deidentify,
        linkage=Linkage(config.linkage_path, node.keys.linkage),
        index=index
        or Index(
            config.index_path,
            lambda engine: FreeCommit(engine, WriterCommit(config.index_socket), metrics.commit_rows.observe),
        ),
        staging=Staging(config.export),
        quarantine=Quarantine(config.quarantine, node.keys.officer),
        metrics=metrics,
        bounds=bounds(config),
        streams=node.plan.streams,
    )
    return replanned(walk, node)


def replanned(intake: Intake, node: Node) -> Intake:
    """The same walk with the recipe that the node has now."""
    identity = whose(node.plan.identity, node.config.grouping, node.config.grouping_hours)
    return replace(intake, identity=identity, deidentify=node.plan.deidentify, streams=node.plan.streams)


def bounds(config: Config) -> Bounds:
    """What a data set may hold at most."""
    limits = config.limits
    return Bounds(limits.max_depth, limits.max_elements, limits.max_values, limits.max_header_bytes)


def inbox(config: Config) -> socket.socket:
    """Where the index writer takes its work: made before the fork, so that it outlives every writer."""
    try:
        return listen(config.index_socket)
    except OSError as error:
        raise StartError(f"{config.index_socket}: cannot be listened on ({type(error).__name__})") from error


def writer(config: Config, listener: socket.socket) -> Writer:
    """The index writer, for a process of its own; call it after the fork."""
    engine = Engine(config.index_path, "index")
    return Writer(listener, engine, most=config.commit_instances, seconds=config.commit_seconds)


def steward(config: Config, metrics: Metrics) -> Steward:
    """The steward, for a process of its own or an operator's command."""
    return handover.steward(config, layout_of(config), metrics, bounds(config))


def warnings(config: Config) -> list[str]:
    """What works but should not stay so, one sentence each."""
    if config.host in _LOOPBACK:
        return []
    found = []
    proven = config.tls.enabled and config.tls.require_client_certificate and not config.tls.plain_port
    if not config.peers and not config.networks and not proven:
        found.append("any calling AE title from any address may push: name the PACS in [[peers]], or set networks")
    if config.user_identity.check == "password" and config.tls.plain_port:
        found.append("passwords of user identities cross the network in clear: set tls.plain_port = false")
    return found


def is_running(config: Config) -> bool:
    """Whether a node holds the lock of this state folder."""
    path = config.state / "node.lock"
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def layout_of(config: Config) -> Layout:
    """The configured layout; raises StartError for a name that no layout has."""
    if config.layout not in LAYOUTS:
        origin = config.origins.get("layout", "layout")
        raise StartError(f'{origin}: there is no layout "{config.layout}"; there are {", ".join(LAYOUTS)}')
    return LAYOUTS[config.layout]


def _make(folder: Path) -> None:
    try:
        new = not folder.exists()
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if new:
            folder.chmod(FOLDER_MODE)  # whatever the umask; one that stood there is its maker's
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError
    except OSError as error:
        raise StartError(f"{folder}: cannot be made or written to ({type(error).__name__})") from error


def _keys(config: Config) -> Sequence[Path]:
    """Keys are made on the very first start only: with a database there, missing keys are lost keys."""
    if not config.linkage_path.exists() and not config.index_path.exists():
        return keys.init(config.keys)
    return ()


@contextmanager
def alone(config: Config) -> Iterator[None]:
    """Hold the node's lock, so that none runs meanwhile; raises StartError where one does, or none ever did."""
    if not config.index_path.exists():
        raise StartError(f"{config.index_path}: no node has run here yet")
    try:
        with stopped(config), walks.no_import(config.state):
            yield
    except walks.Busy:
        raise StartError(f"{config.state}: an import runs on this state folder") from None


@contextmanager
def stopped(config: Config) -> Iterator[None]:
    """Hold the node's lock, so that none starts meanwhile; raises StartError where one runs."""
    lock = _lock(config.state / "node.lock")
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path, waiting: Callable[[float], None] = time.sleep) -> int:
    """Held by the supervisor and inherited by its children: a second node on the same state would publish twice."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise StartError(f"{path.parent}: another node runs on this state folder") from None
            waiting(0.05)  # the workers of one that was killed are just going
        else:
            return descriptor
