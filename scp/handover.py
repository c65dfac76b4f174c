"""What `build` puts together behind the walk: steward, exporter, retention, and what they need of the machine."""

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

from scp.bounds import Bounds
from scp.config import Config, ConfigError
from scp.dataset import BOUNDS
from scp.db.engine import DatabaseError
from scp.db.expiry import Expiry
from scp.db.exports import Ledger
from scp.db.index import Index
from scp.db.moved import Moved
from scp.db.moves import Moves
from scp.db.volumes import Volumes
from scp.deidentify.functions.tokens import token
from scp.exports import Surroundings
from scp.exports.exporter import Exporter
from scp.intake import Intake
from scp.layouts import Layout
from scp.metrics import Metrics, declare
from scp.moving import Moving
from scp.outcome import Failure, Outcome
from scp.retention import Daily, Retention
from scp.retention.visits import Visits
from scp.steward.gates.converted import program
from scp.steward.manifest import Manifests
from scp.steward.publish import OWN, Publisher
from scp.steward.steward import Steward
from scp.store import keys
from scp.store.staging import Staging
from scp.volumes import Walk


def check(config: Config) -> None:
    """Raises ConfigError for a group that the node may not give, and where dcm2niix is wanted and missing."""
    group_of(config)
    converting = {"bids", "nifti"} & set(config.exports)
    wanted = "gates.dcm2niix" if config.gates.dcm2niix != "pass" else "exports" if converting else ""
    if wanted and program() is None:
        raise ConfigError(f"{config.origins.get(wanted, wanted)}: dcm2niix is not installed (pip install dcm2niix)")


def group_of(config: Config) -> int:
    """The group id that published files get, -1 for the node's own; ConfigError for one that the node may not give."""
    if config.export_group == "own":
        return OWN
    group = int(config.export_group)
    if os.geteuid() != 0 and group not in {os.getegid(), *os.getgroups()}:
        origin = config.origins.get("export_group", "export_group")
        raise ConfigError(f"{origin}: the node runs as no member of group {group}")
    return group


def publisher(config: Config, layout: Layout, index: Index) -> Publisher:
    """What moves visits into the export tree, for the steward and for recovery."""
    manifests = Manifests(config.manifests)
    return Publisher(config.export, Staging(config.export), index, layout, manifests, group_of(config))


def steward(config: Config, layout: Layout, metrics: Metrics, bounds: Bounds = BOUNDS) -> Steward:
    """The steward, for a process of its own or an operator's command."""
    index = Index(config.index_path)
    daily, begun = Daily(retention(config, index, metrics)), moving(config, index, bounds)

    def beside(alive: Callable[[], None]) -> None:
        begun.turn(alive)
        daily.turn(alive)

    return Steward(index, publisher(config, layout, index), metrics, config, beside=beside)


def moving(config: Config, index: Index, bounds: Bounds) -> Moving:
    """What merges and splits visits, for an operator's command, and for whoever finishes what one began."""
    staging = Staging(config.export)
    moves = Moves(config.index_path)
    return Moving(index, moves, partial(_linkage, config), staging, token, config.reports, bounds)


def _linkage(config: Config) -> Moved:
    try:
        linkage = Moved(config.linkage_path, keys.load(config.keys).linkage)
        linkage.open()
    except keys.KeyFileError as error:
        raise DatabaseError(str(error)) from error
    return linkage


def retention(config: Config, index: Index, metrics: Metrics) -> Retention:
    """What takes away what has been kept long enough: the steward's, an operator's, or a start's to finish."""
    staging, expiry = Staging(config.export), Expiry(config.index_path)
    return Retention(config, index, expiry, Visits(expiry, staging, _surroundings(config, staging)), metrics)


def resume(config: Config, index: Index, bounds: Bounds = BOUNDS) -> None:
    """Finish what retention, or an operator, had begun when the last end came; call it when no process runs."""
    held, begun = retention(config, index, declare()), moving(config, index, bounds)
    try:
        begun.turn()
        held.try_to_resume()
    finally:
        held.expiry.close()
        begun.moves.close()


def ledger(config: Config) -> Ledger:
    """The exports' rows of the index."""
    return Ledger(config.index_path)


def exports(config: Config) -> dict[str, int]:
    """Published deliveries by configured export and how far it is, as "nifti done" or "bids waiting"."""
    with closing(ledger(config)) as opened:
        rows = opened.listing("exports_by_state")
    return {f"{row['name']} {row['state']}": row["deliveries"] for row in rows if row["name"] in config.exports}


def exporter(config: Config, metrics: Metrics) -> Exporter:
    """The exporter, for a process of its own."""
    return Exporter(ledger(config), config.exports, _surroundings(config, Staging(config.export)), metrics)


def _surroundings(config: Config, staging: Staging) -> Surroundings:
    return Surroundings(config.export, staging.work, group_of(config), gzip=config.nifti_gzip, bids=config.bids)


def volumes(config: Config, intake: Intake, free_bytes: Callable[[], Mapping[str, int]]) -> Walk:
    """The walk of volumes beside that of instances, with its linkage, index and quarantine."""

    def room(size: int) -> None:
        try:
            free = min(free_bytes().values())
        except OSError:
            raise Failure(Outcome.OUT_OF_RESOURCES, "a disk does not say how much room it has") from None
        if free - size < config.min_free_bytes:
            raise Failure(Outcome.OUT_OF_RESOURCES, "the disk is filled up to min_free_bytes")

    return Walk(
        export=config.export,
        linkage=intake.linkage,
        index=intake.index,
        volumes=Volumes(config.index_path),
        staging=intake.staging,
        quarantine=intake.quarantine,
        metrics=intake.metrics,
        room=room,
        most=config.limits.max_instance_bytes,
        group=group_of(config),
        issuer=config.inbound.issuer,
        protocols=config.protocols,
    )
