"""What an operator does to a node's state beside serving: look through it, put it right, rekey it, walk files in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from scp import build, handover, walks
from scp.config import Config
from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.glance import free_bytes
from scp.instance import Arrival
from scp.intake import Intake
from scp.metrics import declare
from scp.outcome import Outcome
from scp.recovery import Recovered
from scp.store import keys
from scp.verify import Audit
from scp.volumes import Volume, Walk


def audit(config: Config, *, digests: bool) -> Audit:
    """What `cloakroom verify` looks with."""
    return Audit(config.export, config.quarantine, Index(config.index_path), digests, running=build.is_running(config))


def repair(config: Config) -> Recovered:
    """What a start does before it serves, at an operator's word; raises StartError while a node runs."""
    with build.alone(config):
        index = Index(config.index_path)
        try:
            return build.recover(config, index, keys.load(config.keys).officer)
        finally:
            index.close()


def rotate(config: Config) -> int:
    """Bring the linkage under a new key, wherever an earlier attempt stopped; returns how many subjects there are.

    Raises StartError while a node runs, KeyFileError, DatabaseError and Failure.
    """
    with build.alone(config):
        before, index = Linkage(config.linkage_path, keys.load(config.keys).linkage), Index(config.index_path)
        after = Linkage(config.linkage_path, key := keys.next_linkage(config.keys))
        try:
            if not after.fits():
                before.open()
                index.forget_sources()
                before.rekey(key)
            subjects, _ = after.counts()
            keys.rotated(config.keys)
        finally:
            for held in (before, after, index):
                held.close()
    return subjects


def key_troubles(config: Config) -> list[str]:
    """What is wrong with the keys beyond what `keys.load` refuses, one sentence each."""
    held, found = keys.load(config.keys), []
    if config.linkage_path.exists():
        linkage = Linkage(config.linkage_path, held.linkage)
        if not linkage.fits():
            found.append(f"{config.linkage_path} was made with another linkage.key")
        linkage.close()
    if keys.rotating(config.keys):
        found.append("a rotation was begun and not finished: run `cloakroom keys rotate` again")
    if held.private_half is not None:
        found.append(f"{held.private_half} opens the quarantine; move it to the data-protection officer")
    return found


@contextmanager
def importing(config: Config) -> Iterator[Intake]:
    """The walk for an import, beside a node that runs or without one; raises what `build.prepare` raises.

    Its rows are committed by itself, in the queue of all writers. Without a node, what a start makes and puts right is
    made first. While it goes on nobody repairs, restores or takes other keys; a node may start and stop.
    """
    config.state.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        with walks.importing(config.state):
            if not build.is_running(config):
                os.close(build.prepare(config).lock)
            with _walking(config) as intake:
                yield intake
    except walks.Busy:
        raise build.StartError(f"{config.state}: a command that changes keys or databases runs here") from None


@contextmanager
def _walking(config: Config) -> Iterator[Intake]:
    held = keys.load(config.keys)
    layout, linkage, index = (
        build.layout_of(config),
        Linkage(config.linkage_path, held.linkage),
        Index(config.index_path),
    )
    try:
        index.open(identifier := linkage.open())
        node = build.Node(config, held, build.recipe_of(config), layout, identifier, (), -1)
        if node.plan.name != index.recipe():  # a node that runs beside has another one
            build.renew(config)
        intake = build.intake(node, declare(), index)
        try:
            yield intake
        finally:
            intake.linkage.close()
    finally:
        linkage.close()
        index.close()


def alongside(config: Config, intake: Intake, arrival: Arrival) -> Outcome:
    """The walk of one instance while a node may start, which waits for it before it puts right what a crash left."""
    with walks.instance(config.state):
        return intake.take(arrival)


def volumes(config: Config, intake: Intake) -> Walk:
    """The walk of volumes beside that of instances."""
    return handover.volumes(config, intake, partial(free_bytes, config))


def volume_alongside(config: Config, walk: Walk, volume: Volume) -> Outcome:
    """The same as `alongside` for a volume."""
    with walks.instance(config.state):
        return walk.take(volume)
