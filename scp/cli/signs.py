"""What a running node shows of itself: the questions of the status port, each asked of whoever knows."""

import shutil
import time
from functools import partial
from pathlib import Path

from scp import __version__, build, handover, web
from scp.cli.output import when
from scp.config import Config
from scp.glance import Glance, look
from scp.outcome import Outcome
from scp.receive import expiry
from scp.receive.board import Board, State
from scp.receive.watched import SecretFileError, secret
from scp.store import keys

OTHERS = WRITER, STEWARD, WEB, EXPORTER, INBOUND = (
    "writer",
    "steward",
    "web",
    "exporter",
    "inbound",
)  # processes besides the workers, in the order of their slots
SILENT_SECONDS = 10.0  # a worker shows each second that it lives
ARRIVALS = 10
SOON_SECONDS = 30 * 86_400.0


def signs(node: build.Node, board: Board) -> web.Signs:
    """Opens the index, so call it after the fork."""
    glance, config = look(node.config), node.config
    return web.Signs(
        version=__version__,
        recipe=node.plan.digest[:16],
        health=lambda: health(board, glance),
        visits=glance.visits_in_every_state,
        quarantined=lambda: {o.label: 0 for o in Outcome if o.quarantined} | glance.quarantined(),
        quarantine_bytes=glance.quarantine_bytes,
        free_bytes=glance.free_bytes,
        restarts=lambda: sum(child.restarts for child in board.children()),
        size_bytes=partial(sizes, config),
        last_stored=lambda: glance.index.listing("totals")[0]["last_stored"] or 0.0,
        workers=lambda: workers(board),
        certificates=partial(expiry.ends, config),
        keys_usable=lambda: usable(config.keys),
        exports=partial(handover.exports, config),
        arrivals=lambda: arrivals(glance),
        warnings=lambda: [*warnings(config), *glance.warnings()],
        about=about(node, time.time()),
    )


def token(config: Config) -> str:
    """What the status page asks for; nothing where no file is named. Raises SecretFileError."""
    if not config.http_token:
        return ""
    text = secret(Path(config.http_token)).strip()
    if not text:
        raise SecretFileError(f"{config.http_token}: is empty, and would let nobody in")
    return text


def health(board: Board, glance: Glance) -> web.Health:
    """Whether the node takes associations, and else why not."""
    if board.state is not State.READY:
        why = "the node is starting" if board.state is State.STARTING else "the node is being shut down"
        return web.Health(ready=False, reasons=(why,))
    alive = {child.name for child in board.children() if child.heartbeat > time.monotonic() - SILENT_SECONDS}
    if not alive - set(OTHERS):
        return web.Health(ready=False, reasons=("no worker serves",))
    if WRITER not in alive:
        return web.Health(ready=False, reasons=("the index writer does not serve",))
    troubles = tuple(glance.troubles())
    return web.Health(ready=not troubles, reasons=troubles)


def workers(board: Board) -> dict[str, int]:
    """How many serve and how many are missing, started again or silent."""
    since = time.monotonic() - SILENT_SECONDS
    beats = [child.heartbeat > since for child in board.children() if child.name not in OTHERS]
    return {"serving": sum(beats), "missing": len(beats) - sum(beats)}


def sizes(config: Config) -> dict[str, int]:
    """Size of the disk of each folder that is written to; raises OSError."""
    return {name: shutil.disk_usage(getattr(config, name)).total for name in ("export", "state")}


def usable(folder: Path) -> bool:
    """Whether a start would find its keys."""
    try:
        keys.load(folder)
    except keys.KeyFileError:
        return False
    return True


def arrivals(glance: Glance) -> list[web.Arrived]:
    """The visits to which something came last."""
    rows = glance.index.listing("recent_visits", most=ARRIVALS)
    return [web.Arrived(row["scan_research_id"], row["state"], row["instances"], row["last_arrival"]) for row in rows]


def warnings(config: Config) -> list[str]:
    """What works but should not stay so."""
    found = build.warnings(config)
    if not usable(config.keys):
        found.append("the key files are missing or not as they must be: the node would not start again")
    elif keys.load(config.keys).private_half is not None:
        found.append("officer.key opens the quarantine; move it to the data-protection officer")
    soon = time.time() + SOON_SECONDS
    found += [f"the TLS file {name} ends within thirty days" for name, end in expiry.ends(config).items() if end < soon]
    return found


def about(node: build.Node, started: float) -> dict[str, str]:
    """The node's lines on its page."""
    config = node.config
    lines = {"AE title": config.ae_title}
    if config.tls.plain_port:
        lines["address"] = f"{config.host}:{config.port}"
    if config.tls.enabled:
        lines["TLS"] = f"{config.host}:{config.tls.port}"
    names = ", ".join(peer.ae_title for peer in config.peers)
    return lines | {
        "peers": names or "any",
        "recipe": config.recipe,
        "digest": node.plan.digest[:16],
        "layout": config.layout,
        "quiet after": f"{config.visit_quiet_seconds:g} s",
        "since": str(when(started)).partition("+")[0].replace("T", " ") + " UTC",
    }
