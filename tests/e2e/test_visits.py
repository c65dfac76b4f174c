"""An operator's day with visits: what is held, approved, rejected and reported, and a day that is closed."""

import json
from datetime import datetime
from functools import partial

import pydicom
import pytest
from acceptance import violations
from factories import mr
from running import Node, wait

from scp.db.moves import Move, Moves
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
    told = node.command("visit", "report", number, "--html", str(page), "--json")  # from the export tree now
    assert json.loads(told.stdout) == {"wrote": str(page)}
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


def two_studies(node):
    """Two studies of one person, which wait for approval as two visits; their numbers, the first one's first."""
    studies = []
    for study in (1, 2):
        push(node, *of_study(study, 1, 2))
        found = wait(partial(waiting, node, study), "they wait")
        studies += {visit["scan_research_id"] for visit in found} - set(studies)
    return studies


def waiting(node, count):
    found = [visit for visit in visits(node) if visit["state"] == "held"]
    return found if len(found) == count else None


def of_study(study, *numbers):
    """Slices of one of two studies of the factory's person."""
    return [
        mr(
            StudyInstanceUID=f"2.25.90{study}",
            SeriesInstanceUID=f"2.25.91{study}",
            SOPInstanceUID=f"2.25.92{study}{number}",
            SeriesNumber=str(study),
            InstanceNumber=str(number),
            ImagePositionPatient=["-10", "-20", str(number)],
            SliceLocation=str(number),
            SeriesDescription="T1 MPRAGE",
        )
        for number in numbers
    ]


def test_two_visits_are_merged_and_what_comes_late_comes_to_the_one(node):
    kept, gone = two_studies(node)
    done = node.command("visit", "merge", kept, gone, "--reason", "one examination")
    assert done.stdout == f"merged {gone} into {kept}: 2 instances\n"
    assert states(node, gone)[-2:] == ["moving", "merged"]
    assert node.metric('cloakroom_visits{state="merged"}') == 1
    wait(lambda: states(node, kept)[-1] == "held", "its gates are asked again")
    assert "published" in node.command("visit", "approve", kept, "--reason", "seen").stdout
    published = node.published(4)
    assert {path.parent.name for path in published} == {kept} == {pydicom.dcmread(path).StudyID for path in published}
    push(node, *of_study(2, 3))
    late = wait(lambda: waiting(node, 1), "the late slice waits")[0]
    assert (late["scan_research_id"], late["deliveries"]) == (kept, 2)
    assert node.command("verify").returncode == 0


@pytest.mark.parametrize("stopped", [True, False])
def test_a_merge_that_was_begun_is_finished_by_the_steward_or_by_a_start(node, stopped):
    kept, gone = two_studies(node)
    if stopped:
        node.kill()
    moves = Moves(node.state / "index.db")
    moves.begin(Move(gone, kept, (), "killed behind this"))
    if stopped:
        node.start()
        assert states(node, gone)[-1] == "merged"
    wait(lambda: states(node, gone)[-1] == "merged", "it is finished")
    assert moves.unfinished() == []
    moves.close()
    wait(lambda: states(node, kept)[-1] == "held", "its gates are asked again")
    node.command("visit", "approve", kept, "--reason", "seen")
    assert {path.parent.name for path in node.published(4)} == {kept}
    assert node.command("verify").returncode == 0


def test_a_study_is_split_off_and_what_comes_late_comes_to_its_own_visit(tmp_path):
    node = Node(tmp_path, visit_approval="true", grouping="day")
    node.start()
    try:
        push(node, *of_study(1, 1, 2), *of_study(2, 1))
        visit = wait(lambda: waiting(node, 1), "one visit waits")[0]["scan_research_id"]
        studies = json.loads(node.command("visit", "split", visit, "--json").stdout)
        study = next(row["study_uid"] for row in studies if row["instances"] == 1)
        done = node.command("visit", "split", visit, "--study", study, "--reason", "two examinations")
        number = done.stdout.split()[1]
        assert done.stdout == f"split {number} off {visit}: 1 instances\n"
        push(node, *of_study(2, 2))
        wait(lambda: waiting(node, 2), "two visits wait")
        for each in (visit, number):
            node.command("visit", "approve", each, "--reason", "seen")
        published = node.published(4)
        assert sorted(path.parent.name for path in published) == sorted([visit, visit, number, number])
        assert all(pydicom.dcmread(path).StudyID == path.parent.name for path in published)
        assert {pydicom.dcmread(path).StudyInstanceUID for path in published if path.parent.name == number} == {study}
        assert node.command("verify").returncode == 0
    finally:
        node.stop()
