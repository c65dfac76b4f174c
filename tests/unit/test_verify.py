"""The audit: each kind of finding made once, and nothing found where all is in order."""

import errno
import os
import re
from contextlib import nullcontext
from datetime import date
from pathlib import Path, PurePosixPath

import pytest
from doubles import VISIT, clean
from visiting import approve

from scp.db.index import Delivery, Index
from scp.layouts import LAYOUTS
from scp.outcome import Failure, Outcome
from scp.steward.publish import Publisher
from scp.store import files
from scp.store.staging import Staging
from scp.verify import Audit, Kind, Report

PLACE = PurePosixPath("DICOM/2031/20310203", VISIT)
OTHER = "223456789012"
SEALED = Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")


@pytest.fixture
def index(tmp_path):
    index = Index(tmp_path / "index.db")
    index.open("node")
    yield index
    index.close()


@pytest.fixture
def staging(tmp_path):
    staging = Staging(tmp_path / "export")
    staging.prepare()
    return staging


@pytest.fixture
def publisher(index, staging):
    return Publisher(staging.root.parent, staging, index, LAYOUTS["dated"], today=lambda: date(2031, 2, 3))


@pytest.fixture
def audit(tmp_path, index):
    (tmp_path / "quarantine" / "burned_in").mkdir(parents=True)
    return Audit(tmp_path / "export", tmp_path / "quarantine", index)


@pytest.fixture
def store(index, staging):
    def keep(instance):
        delivery = index.open_delivery(instance)
        name = f"{instance.scan_research_id}_{instance.instance_number}.dcm"
        with staging.adding(delivery.folder) as folder:
            files.place(folder, name, instance.parts, instance.digest)
        index.record(instance, None, name, delivery)
        return delivery

    return keep


@pytest.fixture
def tree(publisher, store, tmp_path, index):
    """A published visit of two, a visit that receives, a sealed original; the export folder."""
    delivery = [store(clean(1)), store(clean(2))][0]
    approve(index, delivery)
    publisher.publish(delivery)
    store(clean(1, visit=OTHER, sop_instance_uid="2.25.99"))
    index.record_quarantine("abc", SEALED, b"print", 5)
    (tmp_path / "quarantine" / "burned_in").mkdir(parents=True)
    (tmp_path / "quarantine" / "burned_in" / "abc.age").write_bytes(b"sealed")
    return tmp_path / "export"


@pytest.fixture
def looked(tree, tmp_path, index):
    return Audit(tree, tmp_path / "quarantine", index)


def found(audit):
    return [(finding.kind, finding.where) for finding in audit.run().findings]


def test_nothing_is_found_where_all_is_in_order(looked):
    said = []
    report = looked.run(lambda done, total: said.append((done, total)))
    assert report == Report(instances=3, bytes=report.bytes, visits=2, sealed=1, findings=[])
    assert report.bytes > 0
    assert said[-1] == (3, 3)
    assert (report.lost, report.counts) == (0, {})


def test_an_empty_node_is_in_order(audit):
    assert found(audit) == []


def test_a_missing_file(looked, tree):
    (tree / PLACE / f"{VISIT}_1.dcm").unlink()
    assert found(looked) == [(Kind.MISSING, f"{PLACE}/{VISIT}_1.dcm")]


def test_a_missing_visit(looked, tree):
    for path in (tree / PLACE).iterdir():
        path.unlink()
    (tree / PLACE).rmdir()
    kinds = [kind for kind, _ in found(looked)]
    assert kinds == [Kind.MISSING, Kind.MISSING, Kind.UNMARKED]


def test_an_altered_file(looked, tree):
    with (tree / PLACE / f"{VISIT}_2.dcm").open("ab") as file:
        file.write(b"!")
    assert found(looked) == [(Kind.ALTERED, f"{PLACE}/{VISIT}_2.dcm")]
    looked_quickly = Audit(tree, looked.quarantine, looked.index, digests=False)
    assert found(looked_quickly) == []


def test_a_file_that_is_a_link_is_not_followed(looked, tree):
    file = tree / PLACE / f"{VISIT}_2.dcm"
    file.rename(tree.parent / "elsewhere")
    file.symlink_to(tree.parent / "elsewhere")
    assert found(looked) == [(Kind.UNREADABLE, f"{PLACE}/{VISIT}_2.dcm")]


def test_a_folder_that_is_none(looked, tree):
    for path in (tree / PLACE).iterdir():
        path.unlink()
    (tree / PLACE).rmdir()
    (tree / PLACE).write_bytes(b"")
    assert (Kind.UNREADABLE, str(PLACE)) in found(looked)


def test_a_second_place(looked, tree):
    os.link(tree / PLACE / f"{VISIT}_2.dcm", tree / ".tmp" / f"{OTHER}-1" / f"{VISIT}_2.dcm")
    (tree / PLACE / f"{OTHER}_1.dcm").write_bytes(b"")
    assert {kind for kind, _ in found(looked)} == {Kind.ORPHAN, Kind.STRAY}
    (tree / PLACE / f"{OTHER}_1.dcm").unlink()
    (tree / ".tmp" / f"{OTHER}-1" / f"{VISIT}_2.dcm").unlink()
    (tree / ".tmp" / f"{OTHER}-1" / f"{OTHER}_1.dcm").rename(tree / PLACE / f"{OTHER}_1.dcm")
    assert {kind for kind, _ in found(looked)} == {Kind.MISSING, Kind.STRAY}


def test_an_instance_of_the_visit_that_stands_in_its_next_delivery(looked, tree, store):
    late = store(clean(3))
    os.link(tree / PLACE / f"{VISIT}_2.dcm", tree / ".tmp" / late.folder / f"{VISIT}_2.dcm")
    assert found(looked) == [(Kind.DOUBLED, f".tmp/{late.folder}/{VISIT}_2.dcm")]


@pytest.mark.parametrize("where", ["DICOM/note", "DICOM/2031/20310203/note", f"{PLACE}/note"])
def test_a_stray(looked, tree, where):
    (tree / where).write_bytes(b"")
    assert found(looked) == [(Kind.STRAY, where)]


def test_an_empty_day(looked, tree):
    (tree / "DICOM/2031/20310204").mkdir()
    assert found(looked) == [(Kind.STRAY, "DICOM/2031/20310204")]


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("DICOM/lost+found", Kind.STRAY),
        ("DICOM/2031/20310204", Kind.STRAY),
        ("NIFTI/2031/lost+found", Kind.STRAY),
        (".tmp/lost+found", Kind.STRAY),
        ("DICOM/2031", Kind.UNREADABLE),
    ],
)
def test_a_folder_that_cannot_be_looked_into_ends_nothing(looked, tree, monkeypatch, where, kind):
    (tree / where / "inside").mkdir(parents=True)
    look = os.scandir

    def scandir(path):
        if Path(path) == tree / where:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert found(looked) == [(kind, where)]


def test_beside_a_running_node_a_folder_may_be_gone_when_it_is_looked_into(tree, tmp_path, index, monkeypatch):
    look = os.scandir

    def scandir(path):
        entries = list(look(path))
        if Path(path) == tree / ".tmp":
            (tree / ".tmp" / "7-1").rmdir()  # published
        return nullcontext(entries)

    (tree / ".tmp" / "7-1").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    assert found(Audit(tree, tmp_path / "quarantine", index, running=True)) == []


@pytest.mark.parametrize("where", [f".tmp/{OTHER}-1/x.dcm", ".tmp/unclaimed/x.dcm", ".tmp/7-1/x.dcm", ".tmp/x.dcm"])
def test_an_orphan(looked, tree, where):
    (tree / where).parent.mkdir(exist_ok=True)
    (tree / where).write_bytes(b"")
    assert found(looked) == [(Kind.ORPHAN, where)]


@pytest.mark.parametrize("where", [f".tmp/{OTHER}-1/.tmp-7-7", ".tmp/.tmp-7-7"])
def test_a_temporary(looked, tree, where):
    (tree / where).write_bytes(b"")
    assert found(looked) == [(Kind.TEMPORARY, where)]


def test_markers(looked, tree):
    (tree / PLACE / ".ready").rename(tree / ".tmp" / f"{OTHER}-1" / ".ready")
    assert found(looked) == [(Kind.MARKED, f".tmp/{OTHER}-1"), (Kind.UNMARKED, str(PLACE))]


def test_a_publication_that_was_begun(looked, index):
    approve(index, Delivery(OTHER, 1))
    index.begin_publishing(Delivery(OTHER, 1), "DICOM/2031/20310203/" + OTHER)
    kinds = {kind for kind, _ in found(looked)}
    assert kinds == {Kind.UNFINISHED, Kind.MISSING, Kind.ORPHAN}  # it is in neither place whole


def test_the_quarantine(looked, tmp_path):
    folder = tmp_path / "quarantine" / "burned_in"
    (folder / "abc.age").rename(folder / "def.age")
    (folder / ".tmp-1-1").write_bytes(b"")
    (folder / "note").write_bytes(b"")
    (tmp_path / "quarantine" / "nothing").mkdir()
    (tmp_path / "quarantine" / "nothing" / "x.age").write_bytes(b"")
    assert sorted((kind.label, Path(where).name) for kind, where in found(looked)) == [
        ("stray", "note"),
        ("stray", "x.age"),
        ("temporary", ".tmp-1-1.age"),
        ("unlisted", "def.age"),
        ("unsealed", "abc.age"),
    ]


def test_a_damaged_index(looked, index):
    index._engine._database().execute("PRAGMA foreign_keys=off")
    index._engine._database().execute("UPDATE instance SET scan_research_id = '1' WHERE sop_instance_uid = '2.25.99'")
    assert (Kind.CORRUPT, "index.db") in found(looked)


def test_beside_a_running_node_only_what_stays_is_told(looked, tree):
    running = Audit(tree, looked.quarantine, looked.index, running=True)
    (tree / ".tmp" / ".tmp-9-9").write_bytes(b"")
    (tree / ".tmp" / f"{OTHER}-1" / "x.dcm").write_bytes(b"")
    assert found(running) == []
    gone = tree / PLACE / f"{VISIT}_1.dcm"
    gone.unlink()
    assert found(running) == [(Kind.MISSING, f"{PLACE}/{VISIT}_1.dcm")]


def test_beside_a_running_node_what_passes_is_not_told(tree, tmp_path, index):
    (tree / PLACE / ".ready").rename(tmp_path / "marker")

    def published(done, _total):
        if done == 3 and (tmp_path / "marker").exists():
            (tmp_path / "marker").rename(tree / PLACE / ".ready")

    running = Audit(tree, tmp_path / "quarantine", index, running=True)
    assert running.run(published).findings == []
    assert (tree / PLACE / ".ready").exists()


def test_every_finding_is_documented_and_none_else():
    page = (Path(__file__).parents[2] / "docs" / "recovery.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| (yes|no) \| (.*) \|$", page, re.MULTILINE)
    words = {True: "yes", False: "no"}
    assert rows == [(kind.label, words[kind.lost], words[kind.value.repaired], kind.meaning) for kind in Kind]


def test_counts_are_in_the_order_of_the_table():
    report = Report()
    report.add(Kind.STRAY, "a")
    report.add(Kind.MISSING, "b")
    report.add(Kind.STRAY, "c")
    assert list(report.counts.items()) == [("missing", 1), ("stray", 2)]
    assert report.lost == 1
