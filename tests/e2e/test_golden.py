"""A phantom's study, and real scans where they are, through DCMTK's storescu: the tree, against a golden listing."""

import json
import subprocess
from itertools import groupby
from pathlib import Path

import pytest
from acceptance import violations
from running import Node, wait

from scp import phantom

pytestmark = pytest.mark.debian

REAL = Path(__file__).parents[3] / "shared" / "data"
GOLDEN = Path(__file__).parent / "golden"
STUDIES = ("enhanced-mixed", "ge-siemens-epi", "ge-t1-head", "philips-epi-dwi", "siemens-mosaic", "siemens-xa-enhanced")
SOURCES = ["phantom", *(["shared-data"] if all((REAL / name).is_dir() for name in STUDIES) else [])]
# What was taken out of those scans before they were given away, and what an enhanced image says of each frame only.
UNKNOWN = {"the birth date is not the year's", "the age becomes NULL", "a mandatory attribute is missing"}
BROKEN = {"phantom": set(), "shared-data": UNKNOWN}


@pytest.fixture(params=SOURCES)
def source(request, tmp_path):
    """A name, and a folder of all its files, called by numbers."""
    folder = tmp_path / "push"
    folder.mkdir()
    if request.param == "phantom":
        for number, dataset in enumerate(phantom.study()):
            dataset.save_as(folder / f"{number:06d}", enforce_file_format=True)
        return request.param, folder
    paths = (path for name in STUDIES for path in sorted((REAL / name).rglob("*")) if path.is_file())
    for number, path in enumerate(paths):
        (folder / f"{number:06d}").symlink_to(path)
    return request.param, folder


def runs(numbers):
    """`00001-00004 00006` for these numbers, which are in order."""
    parts = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: int(pair[1]) - pair[0]):
        *_, (_, last) = several = list(group)
        parts.append(several[0][1] if len(several) == 1 else f"{several[0][1]}-{last}")
    return " ".join(parts)


def listing(root):
    """One line a series: how many files its visit has, its number, and its files' numbers; no token that is drawn."""
    visits = []
    for folder in root.glob("DICOM/*/*/*"):
        names = sorted(path.stem.split("_") for path in folder.glob("*.dcm"))
        assert {name[0] for name in names} == {folder.name}
        assert (folder / ".ready").exists()
        series = [(number, [name[2] for name in group]) for number, group in groupby(names, key=lambda name: name[1])]
        visits.append([f"visit of {len(names)}: {number}: {runs(numbers)}\n" for number, numbers in series])
    return "".join(line for visit in sorted(visits) for line in visit)


def test_the_listing_is_what_it_says():
    assert runs(["00001", "00002", "00003", "00005", "00007", "00008"]) == "00001-00003 00005 00007-00008"
    assert runs(["00009"]) == "00009"
    assert {path.stem for path in GOLDEN.iterdir()} == {"phantom", "shared-data"}


def test_what_storescu_sends_is_published_as_the_golden_listing_says(source, tmp_path):
    name, push = source
    node, count = Node(tmp_path, visit_quiet_seconds=2), len(list(push.iterdir()))
    node.start()
    try:
        command = ["storescu", "-aec", "CLOAKROOM", "-R", "+sd", "+r", "127.0.0.1", str(node.port), str(push)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        wait(lambda: len(list(node.export.glob("DICOM/**/*.dcm"))) >= count, "all is published", seconds=120)
        wait(lambda: not unpublished(node), "every visit is published", seconds=120)
        assert listing(node.export) == (GOLDEN / f"{name}.txt").read_text("utf-8")
        published = sorted(node.export.glob("DICOM/**/*.dcm"))
        told = subprocess.run(["file", "--brief", *published], check=True, capture_output=True, text=True, timeout=60)
        assert told.stdout.splitlines() == ["DICOM medical imaging data"] * count
        assert {rule for rule, _ in violations(node.export)} == BROKEN[name]
        assert json.loads(node.command("quarantine", "list", "--json").stdout) == []
        assert node.command("verify").returncode == 0
    finally:
        node.stop()


def unpublished(node):
    """Visits of which something is still in staging."""
    return [
        visit for visit in json.loads(node.command("visit", "list", "--json").stdout) if visit["state"] != "published"
    ]
