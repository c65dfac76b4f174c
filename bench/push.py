"""A study pushed by DCMTK's storescu to receivers on loopback, one after the other, each in a fresh folder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def missing() -> list[str]:
    """Programs of DCMTK that are not on the path."""
    return [program for program in ("storescu", "storescp") if shutil.which(program) is None]


def seconds(port: int, study: Path, *, nodelay: bool) -> float:
    """How long storescu takes for the study, its own start included, as installed or with Nagle's algorithm off."""
    environ = os.environ | ({"TCP_NODELAY": "1"} if nodelay else {})
    start = time.perf_counter()
    command = ["storescu", "-aec", "CLOAKROOM", "-R", "+sd", "127.0.0.1", str(port), str(study)]
    subprocess.run(command, check=True, capture_output=True, env=environ)
    return time.perf_counter() - start


@contextmanager
def cloakroom(folder: Path) -> Iterator[int]:
    """A node with everything on: plan, fsync of file and folder, index committed."""
    port, http_port = free_port(), free_port()
    config = folder / "cloakroom.toml"
    places = f"state = {json.dumps(str(folder / 'state'))}\nexport = {json.dumps(str(folder / 'export'))}\n"
    config.write_text(f"port = {port}\nhttp_port = {http_port}\n{places}", encoding="utf-8")
    with _running([sys.executable, "-m", "scp.cli", "serve", "--config", str(config)], port):
        yield port


@contextmanager
def dcmtk(folder: Path) -> Iterator[int]:
    """DCMTK's storescp as installed: it keeps the identity and syncs nothing."""
    port = free_port()
    with _running(["storescp", "-aet", "CLOAKROOM", "-od", str(folder), str(port)], port):
        yield port


@contextmanager
def pynetdicom(folder: Path) -> Iterator[int]:
    """The storescp application of pynetdicom: it keeps the identity and syncs nothing."""
    port = free_port()
    with _running([sys.executable, "-m", "pynetdicom", "storescp", str(port), "-od", str(folder)], port):
        yield port


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
