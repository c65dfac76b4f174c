"""`cloakroom serve`: the node, until it is told to stop."""

import signal
import socket
import sys
import threading
from collections import deque
from dataclasses import replace
from functools import partial

import typer

from scp import admission, build, handover, log, memory, web
from scp.cli import inbox
from scp.cli.output import ConfigOption
from scp.cli.reload import Current
from scp.cli.signs import EXPORTER, INBOUND, OTHERS, STEWARD, WEB, WRITER, signs, token
from scp.config import Config, load, prepare_process
from scp.config.fields import variable
from scp.db.writer import run_writer
from scp.glance import closed
from scp.metrics import Metrics, declare_node
from scp.receive import credentials
from scp.receive.board import Board
from scp.receive.credentials import Credentials
from scp.receive.door import FrontDoor
from scp.receive.identity import Users
from scp.receive.negotiation import STORAGE_CLASSES
from scp.receive.supervisor import Child, Watch, bind, supervise
from scp.receive.worker import Entrance, run_worker
from scp.stop import Stop, renewing


def serve(config: ConfigOption = None) -> None:
    """Start the node and serve until SIGTERM or ^C, which let associations end before it goes.

    Everything is checked before a port answers: configuration, keys (made on the very first start), recipe, databases
    and ports. What is not in order is one sentence, and nothing is started. The log goes to stderr.
    """
    settings = load(config)
    memory.close()
    log.configure(settings.log_format, settings.log_level)
    held = credentials.read(settings)
    token(settings)
    entrances = _entrances(settings, held)
    status = _bound(settings, "http_host", "http_port", settings.http_port)
    inbox.prepare(settings)
    node = build.prepare(settings)
    _announce(node)
    raise typer.Exit(_run(Current(node, config), entrances, held.users, status))


def _entrances(config: Config, held: Credentials) -> list[Entrance]:
    """The ports for associations, bound."""
    entrances = []
    if held.contexts is not None:
        entrances.append(Entrance(_bound(config, "host", "tls.port", config.tls.port), held.contexts))
    if config.tls.plain_port:
        entrances.append(Entrance(_bound(config, "host", "port", config.port)))
    return entrances


def _bound(config: Config, host: str, port: str, number: int) -> socket.socket:
    address = getattr(config, host)
    try:
        return bind(address, number)
    except OSError as error:
        origin = config.origins.get(port) or config.origins.get(host) or variable(tuple(port.split(".")))
        raise build.StartError(f"{origin}: {address}:{number} cannot be listened on ({error.strerror})") from error


def _announce(node: build.Node) -> None:
    config = node.config
    for path in node.made:
        typer.echo(f"made {path}")
    if node.keys.private_half is not None:
        typer.echo(f"warning: {node.keys.private_half} opens the quarantine; move it to the data-protection officer")
    for warning in build.warnings(config):
        typer.echo(f"warning: {warning}")
    typer.echo(f"AE title   {config.ae_title}")
    if config.tls.plain_port:
        typer.echo(f"address    {config.host}:{config.port}")
        typer.echo(f"send to it storescu -aec {config.ae_title} -R +sd +r {config.host} {config.port} FOLDER")
    if config.tls.enabled:
        typer.echo(f"TLS        {config.host}:{config.tls.port}")
    typer.echo(f"status     http://{config.http_host}:{config.http_port}/readyz and /metrics")
    typer.echo(f"recipe     {config.recipe} ({node.plan.digest[:16]})")
    typer.echo(f"visits     {config.export / 'DICOM'}, each once it was quiet for {config.visit_quiet_seconds:g} s")
    sys.stdout.flush()


def _run(current: Current, entrances: list[Entrance], users: Users | None, status: socket.socket) -> int:
    config = current.node.config
    prepare_process(config)
    metrics = declare_node(config.metrics_dir)
    metrics.lost.set(current.node.recovered.report.lost)
    beside = [name for name in OTHERS if name != INBOUND or config.inbound.folder]
    names = [*(f"worker-{number}" for number in range(1, config.workers + 1)), *beside]
    board = Board(names, config.limits.max_associations)
    work = partial(_work, current, metrics, board, entrances, users)
    children = [
        Child(name, partial(work, slot), listens=True, watched=True, renews=True)
        for slot, name in enumerate(names[: config.workers])
    ]
    inbox = build.inbox(config)
    others = {
        WRITER: partial(_writer, current.node, metrics, board, config.workers, inbox),
        STEWARD: partial(_steward, current.node, metrics, board, config.workers + 1),
        WEB: partial(_web, current, metrics, board, config.workers + 2, status),
        EXPORTER: partial(_exporter, current.node, metrics, board, config.workers + 3),
        INBOUND: partial(_inbound, current, metrics, board, config.workers + 4),
    }
    children += [Child(name, others[name], watched=name == WRITER, renews=name in {WEB, INBOUND}) for name in beside]
    watch = Watch(config.limits.hung_seconds, metrics.limits.labels("hung_seconds").inc)
    listeners = [entrance.listener for entrance in entrances]
    renew = partial(_renew, current, metrics)
    drain_timeout = config.limits.drain_seconds
    return supervise(listeners, children, board, drain_timeout=drain_timeout, watch=watch, renew=renew)


def _renew(current: Current, metrics: Metrics) -> bool:
    """The supervisor's look at the recipe; where it is refused the node goes on with the one it has."""
    done = current.renew()
    metrics.recipe_reloads.labels("loaded" if done else "refused").inc()
    return done


def _work(  # noqa: PLR0913, PLR0917  a process is handed everything at once
    current: Current, metrics: Metrics, board: Board, entrances: list[Entrance], users: Users | None, slot: int
) -> None:
    metrics.identify(f"worker-{slot + 1}")
    config = current.node.config
    intake = build.intake(current.node, metrics)

    def renew(door: FrontDoor) -> FrontDoor:
        return replace(door, take=build.replanned(intake, current.node).take) if current.renew() else door

    door = FrontDoor(
        limits=config.limits,
        sop_classes=frozenset(config.sop_classes) or STORAGE_CLASSES,
        admit=admission.admit(config),
        take=intake.take,
        metrics=metrics,
        users=users,
        transfer_syntaxes=config.transfer_syntaxes,
        closed=partial(closed, config),
    )
    run_worker(entrances, door, board, slot, renew)


def _writer(node: build.Node, metrics: Metrics, board: Board, slot: int, inbox: socket.socket) -> None:
    metrics.identify(WRITER)
    run_writer(build.writer(node.config, inbox), partial(board.beat, slot), metrics.commit_rows.observe)


def _steward(node: build.Node, metrics: Metrics, board: Board, slot: int) -> None:
    metrics.identify(STEWARD)
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    build.steward(node.config, metrics).run(stop, node.config.steward_seconds, partial(board.beat, slot))


def _exporter(node: build.Node, metrics: Metrics, board: Board, slot: int) -> None:
    metrics.identify(EXPORTER)
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    handover.exporter(node.config, metrics).run(stop, node.config.steward_seconds, partial(board.beat, slot))


def _inbound(current: Current, metrics: Metrics, board: Board, slot: int) -> None:
    metrics.identify(INBOUND)
    inbox.watch(current, metrics, partial(board.beat, slot))


def _web(current: Current, metrics: Metrics, board: Board, slot: int, status: socket.socket) -> None:
    metrics.identify(WEB)
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    pages = web.Pages(metrics.registry, signs(current.node, board), token(current.node.config))

    told: deque[int] = deque()  # the handler may find this thread starting another one, and could start none itself

    def renew() -> None:
        if current.renew():
            pages.show(signs(current.node, board))

    def alive() -> None:
        board.beat(slot)
        if told:
            told.clear()
            threading.Thread(target=renew, daemon=True).start()

    renewing(lambda: told.append(signal.SIGHUP))
    web.run(status, pages, stop, alive)
