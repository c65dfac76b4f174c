"""The image, built and run as hardened as a cluster would: a push, a visit, metrics, and SIGTERM in the middle."""

import json
import subprocess
import sys
from pathlib import Path

import containers
import pytest
from containers import Contained
from running import wait

from scp import phantom
from scp.retrieve.send import send

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

TOOLS = ("pip", "pip3", "gcc", "cc", "make", "git", "curl", "wget")


@pytest.fixture(scope="module", autouse=True)
def image():
    containers.build()


@pytest.fixture
def node(tmp_path):
    node = Contained(tmp_path)
    yield node
    node.stop()


def push(node, instances):
    return send(instances, host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)


def test_a_study_becomes_a_visit_on_the_volume(node):
    node.start()
    done = containers.run("probe", "127.0.0.1", str(node.port), "--status", f"http://127.0.0.1:{node.http_port}")
    assert "answers C-ECHO" in done
    study = phantom.study()[:12]
    assert push(node, study) == [0] * 12
    files = node.published(12)
    name = str(study[0].PatientName).encode()
    assert not [file for file in files if name in file.read_bytes()]
    assert {file.stat().st_uid for file in files} == {containers.USER}
    assert node.metric('cloakroom_instances_total{outcome="stored"}') == 12
    assert node.stop() == 0


def test_exports_are_made_in_it(node):
    node.settings["exports"] = "bids,catalog,nifti"
    node.start()
    study = phantom.study()[:12]
    assert push(node, study) == [0] * 12
    made = {"BIDS": "*.nii.gz", "NIFTI": "*.nii", "EHR": "mri_visits.csv"}
    for folder, pattern in made.items():
        (file,) = wait(lambda folder=folder, pattern=pattern: [*(node.export / folder).rglob(pattern)], folder)
        assert str(study[0].PatientName).encode() not in file.read_bytes()
    assert node.stop() == 0


def test_sigterm_in_the_middle_of_a_push_loses_nothing(node):
    node.settings["limits__drain_seconds"] = 1
    node.start()
    pusher = [sys.executable, "tests/crash/sigterm.py", "push", str(node.port), "0"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(pusher, cwd=containers.ROOT, **pipes) as sender:
        sender.stdin.write(b"go\n")
        sender.stdin.flush()
        wait(lambda: (node.metric('cloakroom_instances_total{outcome="stored"}') or 0) > 20, "twenty are stored")
        assert node.stop() == 0
        acknowledged = sender.communicate(timeout=60)[0].split()  # it ends when its association does
    stored = {path.name: path.read_bytes() for path in node.export.rglob("*.dcm")}
    assert len(acknowledged) >= 20
    assert len(node.instances()) >= len(acknowledged)
    assert len(stored) >= len(acknowledged)
    assert node.get("/readyz")[0] == 0


def test_the_root_is_read_only_and_the_user_nobody():
    assert containers.run("-c", "import os; print(os.getuid(), os.getgid())", entrypoint="python3") == "65532 65532"
    script = "import pathlib\ntry: pathlib.Path('/var/lib/cloakroom/x').touch()\nexcept OSError as e: print(e.strerror)"
    assert containers.run("-c", script, entrypoint="python3") == "Read-only file system"


def test_nothing_that_installs_or_compiles_is_in_it():
    script = f"import shutil; print([tool for tool in {TOOLS!r} if shutil.which(tool)])"
    assert containers.run("-c", script, entrypoint="python3") == "[]"
    script = (
        "import importlib.util as u; print([m for m in ('pip', 'setuptools', 'hatchling', 'pytest') if u.find_spec(m)])"
    )
    assert containers.run("-c", script, entrypoint="python3") == "[]"


def test_what_the_image_says_of_itself():
    config = containers.inspect()["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["cloakroom"]
    assert config["Cmd"] == ["serve"]
    assert config["StopSignal"] == "SIGTERM"
    assert containers.inspect()["Healthcheck"]["Test"][0] == "CMD"
    labels = config["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert containers.run("--version") == f"cloakroom {labels['org.opencontainers.image.version']}"


def test_the_parts_are_those_that_are_declared():
    script = "print(open('/opt/cloakroom/parts.json').read())"
    parts = json.loads(containers.run("-c", script, entrypoint="python3"))
    assert {"cloakroom", "numpy", "pydicom", "cryptography"} <= set(parts)
    assert not {"pip", "matplotlib", "fonttools", "hatchling", "pytest"} & set(parts)
    assert sum(parts.values()) < 150_000_000


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "docker/Dockerfile"], cwd=containers.ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
