"""What dcm2niix makes of an exported visit is what it makes of the files that were pushed: voxels, affine, scale."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from imaging import volume, volumes
from running import Node, wait

from scp import phantom
from scp.retrieve.send import send

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "ge-t1-head"
VALIDATOR = Path(sys.executable).parent / "bids-validator-deno"


def studies(folder):
    """The files of each study that is pushed: the phantom's two series, and a real head where its files are present."""
    made = folder / "phantom"
    made.mkdir()
    for number, dataset in enumerate(phantom.study()):
        dataset.save_as(made / f"{number}.dcm", enforce_file_format=True)
    real = sorted(SAMPLES.rglob("*.dcm"))
    return [study for study in (sorted(made.iterdir()), real) if study]


class Exported:
    """One node that exports everything, what was pushed, and what dcm2niix makes of it."""

    def __init__(self, folder):
        self.node = Node(folder, exports="bids,catalog,nifti", bids='{"*": "anat/T1w"}')
        self.studies = studies(folder)
        self.expected = sorted(
            made for number, study in enumerate(self.studies) for made in volumes(study, folder / f"sent{number}")
        )
        self.node.start()
        sent = [pydicom.dcmread(path) for study in self.studies for path in study]
        done = send(sent, host="127.0.0.1", port=self.node.port, called="CLOAKROOM", calling="PACS", attempts=3)
        assert set(done) == {0}
        self.files = self.node.published(len(sent))
        self.visits = sorted({path.parent for path in self.files})
        wait(lambda: self.made("bids") == self.made("nifti") == len(self.visits), "both exports are made", 100)

    def made(self, name):
        return self.node.metric(f'cloakroom_exports_total{{end="done",export="{name}"}}')


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    exported = Exported(tmp_path_factory.mktemp("exported"))
    yield exported
    exported.node.stop()


def test_a_published_visit_converts_as_its_originals_do(exported, tmp_path):
    assert len(exported.visits) == len(exported.studies)
    assert len(exported.expected) == len(exported.studies) + 1
    found = [
        made
        for visit in exported.visits
        for made in volumes([path for path in exported.files if path.parent == visit], tmp_path / visit.name)
    ]
    assert sorted(found) == exported.expected


def test_the_exports_volumes_are_those(exported):
    plain = sorted(volume(path) for path in exported.node.export.glob("NIFTI/*/*/*/*.nii"))
    zipped = sorted(volume(path) for path in exported.node.export.glob("BIDS/sub-*/ses-*/anat/*.nii.gz"))
    assert plain == zipped == exported.expected


def test_the_nodes_dataset_is_valid(exported, tmp_path):
    dataset = exported.node.export / "BIDS"
    command = [VALIDATOR, dataset, "--ignoreWarnings", "--format", "json"]
    environment = {**os.environ, "DENO_DIR": str(tmp_path), "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=100)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["summary"]["subjects"]
    assert len(list(dataset.glob("sub-*/ses-*"))) == len(exported.visits)


def test_status_says_how_far_the_exports_are(exported):
    told = json.loads(exported.node.command("status", "--json").stdout)["exports"]
    count = len(exported.visits)
    assert told == {"bids done": count, "catalog done": count, "nifti done": count}
    assert f"bids done {count}" in exported.node.command("status").stdout
