"""A real node in processes of its own, started as its operator starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from scp.db.index import Index

SECONDS = 90.0  # a deadline and no expectation: tests run side by side


def _bound(family, address):
    """A socket with this address, or nothing where somebody has it."""
    sock = socket.socket(family)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        return None
    return sock


def _ports():
    """Ports that no other process of tests chooses, round and round; below those that the kernel gives to connections.

    Tests run side by side, and a node binds its port some time after it was chosen: so who chooses takes, for life, a
    name in the kernel (unix(7), abstract sockets) that stands for the hundred it chooses from.
    """
    for first in range(10_000, 32_000, 100):
        if mine := _bound(socket.AF_UNIX, f"\0cloakroom tests {first}"):
            break
    else:
        raise AssertionError("every hundred of ports is somebody's")
    with mine:
        for port in cycle(range(first, first + 100)):
            if free := _bound(socket.AF_INET, ("127.0.0.1", port)):
                free.close()
                yield port


_ours = _ports()


def free_port():
    """A port that nobody listens on and that none but this process will take meanwhile."""
    return next(_ours)


def descriptors():
    """This process's open files by number and name; a socket's name is its own, so a new one is never an old one."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # what the folder was read by
            found.add((path.name, path.readlink()))
    return found


def wait(come, what, seconds=SECONDS):
    """Return what `come` returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := come():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain until {what}")


class Node:
    """One state and one export folder, and the processes that serve them; may be started again after it died."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.state, self.export, self.log = folder / "state", folder / "export", folder / "node.log"
        self.port, self.http_port = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.program = ["-m", "scp.cli"]
        self.settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "http_port": self.http_port,
            "workers": 2,
            "state": self.state,
            "export": self.export,
            "visit_quiet_seconds": 0.5,
            "steward_seconds": 0.1,
            "log_format": "json",
            **settings,
        }

    @property
    def environ(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOAKROOM_")}
        return kept | {f"CLOAKROOM_{name.upper()}": str(value) for name, value in self.settings.items()}

    def start(self):
        with self.log.open("ab") as log:
            command = [sys.executable, *self.program, "serve"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environ, cwd=self.folder)
        wait(self.ready, "the node is ready")

    def stop(self):
        """SIGTERM, and its exit code; whatever then still lives is killed."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()

    def kill(self):
        """The supervisor is killed, with -9."""
        self.process.kill()
        self.process.wait()

    def kill_a_worker(self):
        os.kill(self.workers()[0], signal.SIGKILL)

    def kill_the_writer(self):
        """Only one that lives: between a death and its restart there is none."""
        os.kill(wait(lambda: self.living("writer"), "there is a writer")[0], signal.SIGKILL)

    def workers(self):
        return self.living("worker-")

    def living(self, name):
        """Process ids of the living children so named, as the log and the kernel have them."""
        started = [json.loads(line) for line in self.log.read_text().splitlines() if '"child_started"' in line]
        pids = [entry["pid"] for entry in started if entry["name"].startswith(name)]
        return [pid for pid in pids if Path(f"/proc/{pid}").exists()]

    def command(self, *words, check=True):
        command = [sys.executable, "-m", "scp.cli", *words]
        return subprocess.run(
            command, env=self.environ, cwd=self.folder, check=check, capture_output=True, text=True, timeout=60
        )

    def get(self, path):
        try:
            with urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except URLError as error:
            status = getattr(error, "code", 0)
            return status, error.read().decode() if status else ""
        except ConnectionError:
            return 0, ""

    def ready(self):
        assert self.process.poll() is None, self.log.read_text()
        return self.get("/readyz")[0] == 200

    def metric(self, name):
        """Value of one series of /metrics, written as it stands there."""
        values = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(f"{name} ")]
        return float(values[0].split()[-1]) if values else None

    def published(self, count):
        """Wait until so many files are published, each in a visit that is ready, and return them."""

        def all_there():
            files = sorted((self.export / "DICOM").rglob("*.dcm"))
            return files if len(files) == count and all((file.parent / ".ready").exists() for file in files) else None

        return wait(all_there, f"{count} files are published")

    def instances(self):
        """Rows of the index: pseudonymised UID, file name, digest."""
        index = Index(self.state / "index.db")
        try:
            return index._engine._database().execute("SELECT * FROM instance").fetchall()
        finally:
            index.close()

    def clear(self):
        """Every byte that may hold nothing identified: export root, index, metrics, log."""
        paths = [path for path in self.export.rglob("*") if path.is_file()]
        paths += [path for path in self.state.rglob("*") if path.is_file() and "keys" not in path.parts]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in [*paths, self.log]}
