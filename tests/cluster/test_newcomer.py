"""The README's first screen, followed to the letter in a Debian in which there is nothing but Python and make."""

import os
import subprocess

import containers
import pytest
from containers import ROOT, podman
from running import wait

from scp import phantom

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

BASE = "localhost/cloakroom-base:bookworm"  # minimal: Python without pip, and certificates
SLICES = 12


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A container of that Debian with a copy of what is committed and a folder of somebody's images."""
    containers.build()  # which makes the base where it is not there yet
    folder = tmp_path_factory.mktemp("newcomer")
    copy = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    (folder / "cloakroom").mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder / "cloakroom")], input=copy, check=True)
    (folder / "images").mkdir()
    for number, dataset in enumerate(phantom.study()[:SLICES]):
        dataset.save_as(folder / "images" / f"{number}.dcm", enforce_file_format=True)
    bundle = os.environ.get("PIP_CERT") or "/etc/ssl/certs/ca-certificates.crt"
    name = podman(
        "run", "--detach", "--network=host", f"--volume={folder}:/here", f"--volume={bundle}:/bundle.pem:ro",
        "--env=PIP_CERT=/bundle.pem", "--workdir=/here/cloakroom", BASE, "sleep", "3600",
    )  # fmt: skip
    try:
        yield name
    finally:
        podman("rm", "--force", "--time=0", name, check=False)


def said(machine, line):
    """What a line typed into the container's shell prints; it has to succeed."""
    done = subprocess.run(
        ["podman", "exec", machine, "bash", "-c", line],
        env=containers.environment(), check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_from_the_readme_to_a_published_visit(machine):
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "    make run " in readme
    assert "`make demo`" in readme
    assert ".venv/bin/cloakroom visit publish" in readme
    quiet = "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends"
    said(machine, f"apt-get -qq update && {quiet} make dcmtk >/dev/null")  # dcmtk stands for the PACS

    told = said(machine, "make demo")
    assert f"{len(phantom.study())} instances sent, all answered 0x0000" in told
    assert ".ready" in told

    said(machine, "nohup make run > /run.log 2>&1 &")

    def sending():
        lines = said(machine, "cat /run.log").splitlines()
        return next((line.removeprefix("send to it ") for line in lines if line.startswith("send to it")), "")

    command = wait(sending, "the node says how to send to it", 300)
    status = wait(lambda: said(machine, "cat /run.log").split("status     ")[1].split()[0], "and where to look")
    ask = f"python3 -c 'import urllib.request as r; print(r.urlopen(\"{status}\").status)' || true"
    wait(lambda: said(machine, ask).strip() == "200", "it is ready")
    said(machine, command.replace("FOLDER", "/here/images"))

    listed = said(machine, ".venv/bin/cloakroom visit list")
    visit = next(word for word in listed.split() if word.isdigit() and len(word) == 12)
    said(machine, f".venv/bin/cloakroom visit publish {visit}")
    tree = said(machine, "find var -path '*/DICOM/*' -type f").splitlines()
    assert sum(f"/{visit}/{visit}_" in path for path in tree) == SLICES
    assert any(path.endswith("/.ready") for path in tree)
    patient = str(phantom.study()[0].PatientName)
    assert patient not in said(machine, "cat /run.log; .venv/bin/cloakroom visit show " + visit)
    said(machine, ".venv/bin/cloakroom verify")  # which fails where it finds anything
