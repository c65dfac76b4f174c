"""A real node in a container, as a hospital's cluster would hold it: read-only, nobody's user, no capability."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from running import Node, wait

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/cloakroom:test"
USER = 65532
HARD = (
    "--network=host", f"--user={USER}:{USER}", "--read-only", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--tmpfs=/tmp",
)  # fmt: skip

# Some machines let nobody raise a limit, and not every one has the control groups that crun wants.
_CONF = '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]\n[engine]\nruntime = "runc"\n'


def environment():
    path = Path(tempfile.gettempdir()) / "cloakroom-test-containers.conf"
    path.write_text(_CONF)
    return os.environ | {"CONTAINERS_CONF": str(path)}


def podman(*words, check=True):
    done = subprocess.run(
        ["podman", *words], env=environment(), check=False, capture_output=True, text=True, timeout=300
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def build():
    """The image as `make image` makes it without a registry."""
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE", "")
    given = {"IMAGE": IMAGE, "BOOTSTRAP": "1", "CA_BUNDLE": bundle}
    done = subprocess.run(
        ["docker/image.sh"], cwd=ROOT, env=environment() | given, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def inspect():
    return json.loads(podman("image", "inspect", IMAGE))[0]


def run(*words, entrypoint=None):
    """Run something in the image and return what it prints."""
    first = ["--entrypoint", entrypoint] if entrypoint else []
    return podman("run", "--rm", *HARD, *first, IMAGE, *words)


def hand_over(folder):
    """Let the container's user own a folder of the test."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)


class Contained(Node):
    """The node of `running`, but in a container; volumes are folders of the test."""

    name = ""

    def start(self):
        for folder in (self.state, self.export):
            folder.mkdir(exist_ok=True)
            hand_over(folder)
        inside = {"state": "/var/lib/cloakroom/state", "export": "/var/lib/cloakroom/export"}
        variables = [f"--env=CLOAKROOM_{key.upper()}={value}" for key, value in (self.settings | inside).items()]
        volumes = [f"--volume={self.folder / key}:{place}" for key, place in inside.items()]
        self.begun = time.monotonic()
        self.name = podman("run", "--detach", *HARD, *variables, *volumes, IMAGE)
        wait(self.ready, "the container is ready")
        self.seconds = time.monotonic() - self.begun

    def ready(self):
        """As the supervisor says it; a container that ended says why."""
        assert self.state_of("Running") == "true", self.logged()
        return self.get("/readyz")[0] == 200

    def logged(self):
        words = ["podman", "logs", self.name]
        done = subprocess.run(words, env=environment(), check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.decode()

    def state_of(self, what):
        return podman("inspect", self.name, "--format", f"{{{{.State.{what}}}}}")

    def stop(self):
        """SIGTERM, and its exit code."""
        if not self.name:
            return None
        try:
            podman("kill", "--signal=TERM", self.name, check=False)
            podman("wait", self.name)
            return int(self.state_of("ExitCode"))
        finally:
            podman("rm", "--force", self.name, check=False)
            self.name = ""
