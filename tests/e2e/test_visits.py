"""An operator's day with visits: what is held, approved, rejected and reported, and a day that is closed."""

import json
from datetime import datetime

import pydicom
import pytest
from acceptance import violations
from factories import mr
from running import Node, wait

from scp.retrieve.send import send


def push(node, *datasets, calling="PACS"):
    assert set(send(datasets, host="127.0.0.1", port=node.port, called="CLOAKROOM", calling=calling, attempts=3)) == {0}


def slices(count, **attributes):
    """Slices of one made-up study; the needles in them are those of the factory."""
    return [
        mr(
            SOPInstanceUID=f"2.25.4711{number}",
            InstanceNumber=str(number),
            ImagePositionPatient=["-10", "-20", str(number)],
            SliceLocation=str(number),
            SeriesDescription="T1 MPRAGE",
            **attributes,
        )
        for number in range(1, count + 1)
    ]


def visits(node):
    return json.loads(node.command("visit", "list", "--json").stdout)


def states(node, number):
    shown = json.loads(node.command("visit", "show", number, "--json").stdout)
    return [row["state"] for row in shown["in_states"]]


@pytest.fixture
def node(tmp_path):
    """A node whose visits wait for approval."""
    node = Node(tmp_path, visit_approval="true", gates__consistent="quarantine")
    node.start()
    yield node
    node.stop()


def held(node, state):
    return wait(lambda: [visit for visit in visits(node) if visit["state"] == state], f"a visit is {state}")[0]


def test_nothing_is_published_before_a_person_has_seen_it(node, tmp_path):
    push(node, *slices(3))
    number = held(node, "held")["scan_research_id"]
    assert node.metric('cloakroom_visits{state="held"}') == 1
    assert node.metric('cloakroom_visits{state="quarantined"}') == 0
    assert not list(node.export.glob("DICOM/**/*.dcm"))

    report = node.command("visit", "report", number).stdout
    assert "no T1 series has 40 slices" in report
    assert node.metric('cloakroom_gate_findings_total{gate="slices",verdict="warn"}') == 1
    page = tmp_path / "page.html"
    node.command("visit", "report", number, "--html", str(page))
    assert "data:image/png" in page.read_text()

    done = node.command("visit", "publish", number, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"cloakroom: visit {number} is held: waits for approval"
    assert "published" in node.command("visit", "approve", number, "--reason", "three slices are enough").stdout
    assert len(node.published(3)) == 3
    assert states(node, number)[-4:] == ["held", "approved", "publishing", "published"]
    assert "three slices are enough" in node.command("visit", "show", number).stdout
    assert "data:image/png" in page.read_text()
    node.command("visit", "report", number, "--html", str(page))  # from the export tree now
    assert "data:image/png" in page.read_text()


def test_a_person_may_say_no(node):
    push(node, *slices(2))
    number = held(node, "held")["scan_research_id"]
    assert node.command("visit", "reject", number, "--reason", "moved").stdout == f"rejected {number}\n"
    assert held(node, "rejected")["scan_research_id"] == number
    done = node.command("visit", "reject", number, "--reason", "again", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        f"cloakroom: visit {number} is rejected, so it cannot be rejected\n",
    )
    assert node.command("visit", "approve", number, "--reason", " ", check=False).returncode == 2
    assert node.command("visit", "approve", "4711", "--reason", "none", check=False).returncode == 1
    assert node.command("visit", "report", "4711", check=False).returncode == 1


def test_a_closed_day_gets_nothing_more(tmp_path):
    node = Node(tmp_path)
    node.start()
    try:
        assert "nothing was published" in node.command("day", "close", "2001-02-03", check=False).stderr
        push(node, *slices(1))
        (file,) = node.published(1)
        today = f"{datetime.strptime(file.parents[1].name, '%Y%m%d'):%Y-%m-%d}"  # noqa: DTZ007  a folder has no zone
        assert node.command("day", "close", today).stdout == f"closed {file.parents[1]}\n"
        assert (file.parents[1] / ".ready").exists()
        push(node, *slices(2)[1:])
        late = wait(lambda: [one for one in visits(node) if one["state"] == "approved"], "the late slice waits")[0]
        assert late["deliveries"] == 2
        assert sorted(path.name for path in file.parents[1].rglob("*.dcm")) == [file.name]
        assert pydicom.dcmread(file).StudyID == late["scan_research_id"]
    finally:
        node.stop()


def test_exports_are_made_seen_and_made_again(tmp_path):
    node = Node(tmp_path, exports="catalog,nifti")
    node.start()
    try:
        push(node, *slices(6))
        (number,) = {path.parent.name for path in node.published(6)}

        def listed():
            found = json.loads(node.command("export", "list", "--json").stdout)
            return {row["name"]: row["state"] for row in found}

        wait(lambda: listed() == {"catalog": "done", "nifti": "done"}, "both exports are made")
        (volume,) = node.export.glob(f"NIFTI/*/*/{number}/*.nii")
        assert (volume.parent / ".ready").exists()
        (table,) = node.export.glob("EHR/*/*/mri_visits.csv")
        assert number in table.read_text()
        assert violations(node.export) == []
        assert node.metric('cloakroom_exports_total{end="done",export="nifti"}') == 1

        volume.unlink()
        assert "will be made again" in node.command("export", "run", "nifti", number).stdout
        wait(volume.exists, "the volume is made again")
        assert node.command("export", "run", "nifti", "4711", check=False).returncode == 1
        assert node.command("export", "run", "bids", number, check=False).returncode == 1
    finally:
        node.stop()
