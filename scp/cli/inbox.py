"""What files walk through: the front door's own net around the walk; and the process that watches `in/`."""

import os
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from scp import build, inbound, upkeep
from scp.cli.reload import Current
from scp.config import Config
from scp.instance import Arrival, Peer
from scp.metrics import Metrics
from scp.outcome import Outcome
from scp.receive.door import FrontDoor
from scp.receive.negotiation import STORAGE_CLASSES, quieten
from scp.receive.storage import take
from scp.stop import Stop, renewing
from scp.store.quarantine import Quarantine
from scp.volumes import Volume


def importer(
    config: Config,
    walk: Callable[[Arrival], Outcome],
    metrics: Metrics,
    calling: str,
    volumes: Callable[[Volume], Outcome],
) -> inbound.Import:
    """What takes files in the name of `calling`; a defect of the node is an answer there too."""
    door = FrontDoor(
        limits=config.limits, sop_classes=STORAGE_CLASSES, admit=lambda _peer: None, take=walk, metrics=metrics
    )
    peer = Peer(calling=calling, called=config.ae_title, address="127.0.0.1")
    nothing = Arrival(peer, "", "", "", "", b"")

    def take_volume(volume: Volume) -> Outcome:
        """Through the same net."""
        return take(replace(door, take=lambda _arrival: volumes(volume)), nothing)

    return inbound.Import(partial(take, door), peer, config.limits, build.bounds(config), config.inbound, take_volume)


def prepare(config: Config) -> None:
    """Make the watched folders; raises StartError where they cannot be, or as `check` does."""
    check(config)
    if not config.inbound.folder:
        return
    try:
        inbound.prepare(_root(config), sealed=config.inbound.layout == "fedehr")
    except OSError as error:
        raise build.StartError(
            f"{_origin(config)}: the watched folders cannot be made ({type(error).__name__})"
        ) from error


def check(config: Config) -> None:
    """Raises StartError where the watched folders lie where the node writes itself, or not where their layout wants."""
    if not config.inbound.folder:
        return
    root, origin = _root(config), _origin(config)
    for name in ("state", "export"):
        ours = Path(os.path.realpath(getattr(config, name)))
        for theirs in (root / "in", root / "done", root / "quarantine"):
            if ours == theirs or ours in theirs.parents or theirs in ours.parents:
                raise build.StartError(f"{origin}: {name} and the watched folders must not lie inside each other")
    if config.inbound.layout == "fedehr" and Path(os.path.realpath(config.export)) != root / "out":
        raise build.StartError(f"{origin}: with inbound.layout fedehr, export has to be the folder out/ in it")


def _root(config: Config) -> Path:
    return Path(os.path.realpath(config.inbound.folder))


def _origin(config: Config) -> str:
    return str(config.origins.get("inbound.folder", "inbound.folder"))


def watch(current: Current, metrics: Metrics, alive: Callable[[], None]) -> None:
    """Watch until SIGTERM, in a process of its own; on SIGHUP files that come next go by the new recipe."""
    stop, config = Stop(), current.node.config
    told: deque[int] = deque()  # what a handler may add to, whatever it has interrupted
    intake = build.intake(current.node, metrics)
    settings = config.inbound
    volumes = upkeep.volumes(config, intake).take
    run = importer(config, intake.take, metrics, settings.ae_title, volumes)
    running = inbound.Watch(Path(settings.folder), run, settings.settle_seconds, settings.after)
    if settings.layout == "fedehr":
        beside = Quarantine(Path(settings.folder) / "quarantine", current.node.keys.officer)
        beside.prepare()
        running.seal = inbound.Sealing(beside, intake.linkage.fingerprinting)

    def renew() -> None:
        if current.renew():
            walk = build.replanned(intake, current.node).take
            running.run = importer(config, walk, metrics, settings.ae_title, volumes)

    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())

    def look() -> None:
        alive()
        if told:
            told.clear()
            renew()

    renewing(lambda: told.append(signal.SIGHUP))
    quieten()
    running.loop(stop, look)
