"""The receivers compared: this node, and its peers as Debian and PyPI install them and as a careful site tunes them."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import wire

ROOT = Path(__file__).parents[1]
NODELAY = {"TCP_NODELAY": "1"}  # DCMTK's variable, which Orthanc hears too
Command = Callable[[Path, int, int], Sequence[str]]


class BenchError(Exception):
    """Something could not be measured."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """How one is started: its command from folder, port and number of associations, and its environment."""

    name: str
    title: str
    command: Command
    environ: Mapping[str, str] = field(default_factory=dict)
    keeps: str = "nothing"  # what is durable when it says success


@dataclass(frozen=True, slots=True)
class Running:
    """A receiver that answers."""

    port: int
    pid: int


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to connections: none takes it meanwhile."""
    while True:
        port = secrets.choice(range(2_000, 8_000))
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(receiver: Receiver, folder: Path, associations: int = 1, **settings: object) -> Iterator[Running]:
    """The receiver with a fresh folder, from its first C-ECHO on; `settings` are a node's."""
    folder.mkdir()
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLOAKROOM_")}
    environ |= dict(receiver.environ) | _environ(folder, port, settings)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            receiver.command(folder, port, associations), stdout=log, stderr=log, env=environ, cwd=ROOT
        )
    try:
        _await(receiver, process, port)
        yield Running(port, process.pid)
    finally:
        _stop(process)


def _environ(folder: Path, port: int, settings: Mapping[str, object]) -> dict[str, str]:
    node = {
        "host": "127.0.0.1",
        "port": port,
        "http_port": free_port(),
        "state": folder / "state",
        "export": folder / "export",
        "log_format": "json",
        **settings,
    }
    return {f"CLOAKROOM_{name.upper()}": str(value) for name, value in node.items()}


def _await(receiver: Receiver, process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError, wire.WireError):
            wire.echo(port)
            return
        time.sleep(0.05)
    raise BenchError(f"{receiver.title} did not start")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cloakroom(module: str) -> Command:
    return lambda _folder, _port, _associations: [sys.executable, "-m", module, "serve"]


def _storescp(*options: str) -> Command:
    """It serves one association after the other unless it forks, so it forks for more than one."""

    def command(folder: Path, port: int, associations: int) -> list[str]:
        (folder / "received").mkdir()
        fork = ["--fork"] if associations > 1 else []
        return ["storescp", *fork, *options, "-aet", wire.CALLED, "-od", str(folder / "received"), str(port)]

    return command


def _orthanc(**more: object) -> Command:
    def command(folder: Path, port: int, _associations: int) -> list[str]:
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "DicomAet": wire.CALLED,
            "DicomPort": port,
            "HttpPort": free_port(),
            **more,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
        return [shutil.which("Orthanc") or "/usr/sbin/Orthanc", str(folder / "orthanc.json")]

    return command


def _pynetdicom(folder: Path, port: int, _associations: int) -> list[str]:
    (folder / "received").mkdir()
    return [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-od", str(folder / "received")]


def _promise(how: str) -> Command:
    return lambda folder, port, _associations: [sys.executable, "-m", "bench.promise", str(port), str(folder), how]


CLOAKROOM = Receiver("cloakroom", "Cloakroom", _cloakroom("scp.cli"), keeps="file, folder and index row")
RECEIVERS = (
    CLOAKROOM,
    Receiver("unsynced", "Cloakroom, fsync off", _cloakroom("bench.unsynced")),
    Receiver("dcmtk", "DCMTK storescp, as installed", _storescp()),
    Receiver("dcmtk-tuned", "DCMTK storescp, tuned", _storescp("-pdu", str(wire.MAX_PDU)), NODELAY),
    Receiver("dcmtk-bit", "DCMTK storescp, tuned, +B", _storescp("-pdu", str(wire.MAX_PDU), "+B"), NODELAY),
    Receiver("orthanc", "Orthanc, as installed", _orthanc(), keeps="file's data"),
    Receiver("orthanc-tuned", "Orthanc, tuned", _orthanc(MaximumPduLength=wire.MAX_PDU), NODELAY, "file's data"),
    Receiver("pynetdicom", "pynetdicom storescp", _pynetdicom),
)
BARE = (  # no receivers that anybody could use
    Receiver("promise", "the bare promise", _promise("synced")),
    Receiver("promise-logged", "the bare promise, with a log", _promise("logged")),
    Receiver("promise-unsynced", "the bare promise, fsync off", _promise("unsynced")),
)
BY_NAME = {receiver.name: receiver for receiver in RECEIVERS + BARE}
