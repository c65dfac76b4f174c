"""`cloakroom status`: the node at a glance."""

from typing import Any

from scp import build, handover
from scp.cli.output import ConfigOption, JsonOption, record, when
from scp.config import Config, load
from scp.db.engine import BUSY_SECONDS
from scp.glance import free_bytes, look
from scp.store import keys


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the node at a glance: whether it runs, what it took, visits by state, quarantine, exports, disk left."""
    record(_glance(load(config)), as_json=as_json)


def _glance(config: Config) -> dict[str, Any]:
    glance: dict[str, Any] = {
        "ae_title": config.ae_title,
        "address": f"{config.host}:{config.port}",
        "status_url": f"http://{config.http_host}:{config.http_port}/",
        "running": build.is_running(config),
        "recipe": f"{config.recipe} ({build.recipe_of(config).digest[:16]})",
        **_held(config),
    }
    if config.state.exists() and config.export.exists():
        glance["free_bytes"] = free_bytes(config)
    if config.index_path.exists():
        glance["troubles"] = look(config).troubles(BUSY_SECONDS)
    if not keys.missing(config.keys) and (private := keys.load(config.keys).private_half) is not None:
        glance["warning"] = f"{private} opens the quarantine; move it to the data-protection officer"
    return glance


def _held(config: Config) -> dict[str, Any]:
    if not config.index_path.exists():
        return {"instances": 0, "visits": {}, "quarantine": {}, "exports": {}}
    glance = look(config)
    totals = glance.index.listing("totals")[0]
    return {
        "instances": totals["instances"],
        "bytes": totals["bytes"],
        "last_stored": when(totals["last_stored"]),
        "visits": glance.visits(),
        "quarantine": glance.quarantined(),
        "exports": handover.exports(config),
    }
