import dataclasses
import errno
import os
import stat
import subprocess
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import PurePosixPath

import pytest
from doubles import VISIT, clean
from visiting import approve

from scp.db.index import Delivery, Index
from scp.layouts import LAYOUTS
from scp.outcome import Failure, Outcome
from scp.state import State
from scp.steward import publish
from scp.steward.manifest import Manifests
from scp.steward.publish import Publisher, close_day
from scp.store import files
from scp.store.staging import Staging

TODAY = date(2031, 2, 3)
PLACE = PurePosixPath("DICOM/2031/20310203", VISIT)
FIRST = Delivery(VISIT, 1)


@pytest.fixture
def index(tmp_path):
    index = Index(tmp_path / "index.db")
    index.open("node")
    return index


@pytest.fixture
def publisher(tmp_path, index):
    staging = Staging(tmp_path / "export")
    staging.prepare()
    return Publisher(tmp_path / "export", staging, index, LAYOUTS["dated"], today=lambda: TODAY)


def store(publisher, instance):
    name = f"{instance.instance_number}.dcm"
    delivery = publisher.index.open_delivery(instance)
    with publisher.staging.adding(delivery.folder) as folder:
        files.place(folder, name, instance.parts, instance.digest)
    publisher.index.record(instance, None, name, delivery)
    return delivery


def publish_(publisher, delivery):
    approve(publisher.index, delivery)
    return publisher.publish(delivery)


def tree(root):
    """Every file and every folder without files, relative to the root, staging left out."""
    found = [path for path in root.rglob("*") if not any(path.iterdir() if path.is_dir() else ())]
    return sorted(str(path.relative_to(root)) for path in found if ".tmp" not in path.parts)


def visit_tree(*names):
    return sorted(str(PLACE / name) for name in (".ready", *names))


def test_a_visit_appears_whole_with_its_marker(publisher):
    store(publisher, clean(1))
    store(publisher, clean(2))
    assert publish_(publisher, FIRST) == PLACE
    assert tree(publisher.export) == visit_tree("1.dcm", "2.dcm")
    assert publisher.index.state(FIRST) == "published"
    assert sorted(path.name for path in publisher.staging.root.iterdir()) == [".publishing"]


def test_the_world_reads_nothing(publisher):
    store(publisher, clean(1))
    publish_(publisher, FIRST)
    for path in publisher.export.rglob("*"):
        if ".tmp" not in path.parts:
            assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640)


def test_a_second_visit_joins_the_day(publisher):
    store(publisher, clean(1))
    store(publisher, clean(1, visit="999999999999"))
    publish_(publisher, FIRST)
    assert publish_(publisher, Delivery("999999999999", 1)) == PLACE.with_name("999999999999")
    assert len(tree(publisher.export)) == 4


def test_late_instances_join_the_visit_on_the_same_day(publisher):
    store(publisher, clean(1))
    publish_(publisher, FIRST)
    second = store(publisher, clean(2))
    assert publish_(publisher, second) == PLACE
    assert tree(publisher.export) == visit_tree("1.dcm", "2.dcm")


def test_late_instances_on_a_later_day_never_touch_the_past(publisher, tmp_path):
    store(publisher, clean(1))
    publish_(publisher, FIRST)
    before = {path: path.stat().st_mtime_ns for path in (publisher.export / PLACE.parent).rglob("*")}
    second = store(publisher, clean(2))
    tomorrow = dataclasses.replace(publisher, today=lambda: date(2031, 2, 4))
    assert publish_(tomorrow, second) == PurePosixPath("DICOM/2031/20310204", VISIT)
    assert {path: path.stat().st_mtime_ns for path in (publisher.export / PLACE.parent).rglob("*")} == before


def test_nothing_is_published_while_a_worker_adds(publisher):
    store(publisher, clean(1))
    with publisher.staging.adding(FIRST.folder):
        assert publish_(publisher, FIRST) is None
    assert publisher.index.state(FIRST) == "approved"
    assert publisher.publish(FIRST) == PLACE


def test_nothing_is_published_that_nobody_approved(publisher):
    store(publisher, clean(1))
    assert publisher.publish(FIRST) is None
    approve(publisher.index, FIRST)
    store(publisher, clean(2))  # and so it is not approved any more
    assert publisher.publish(FIRST) is None
    assert tree(publisher.export) == []


def test_nothing_is_published_twice(publisher):
    store(publisher, clean(1))
    publish_(publisher, FIRST)
    assert publisher.publish(FIRST) is None
    assert publisher.resume(FIRST, str(PLACE)) is None


def test_files_never_acknowledged_are_set_aside_not_published_nor_deleted(publisher):
    store(publisher, clean(1))
    (publisher.staging.root / FIRST.folder / "orphan.dcm").write_bytes(b"orphan")
    publish_(publisher, FIRST)
    assert tree(publisher.export) == visit_tree("1.dcm")
    assert (publisher.staging.root / "unclaimed" / "orphan.dcm").read_bytes() == b"orphan"


class Crash(BaseException):
    pass


CALLS = ("rename", "link", "unlink", "open", "fsync", "mkdir", "rmdir")


@contextmanager
def fault_at(nth, error):
    """The nth system call that changes or syncs something never happens; yields a count of all such calls."""
    calls = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for call in CALLS:

            def maybe(*args, _real=getattr(os, call), **options):
                calls["all"] += 1
                if calls["all"] == nth:
                    raise error
                return _real(*args, **options)

            patch.setattr(os, call, maybe)
        yield calls


@pytest.mark.parametrize("already", [False, True], ids=["new visit", "late instances"])
@pytest.mark.parametrize("error", [Crash(), OSError(errno.EIO, "EIO")], ids=["crash", "EIO"])
def test_a_crash_at_every_call_is_finished_by_the_next_round(tmp_path_factory, already, error):
    for nth in range(1, 200):
        root = tmp_path_factory.mktemp("crash")
        index = Index(root / "index.db")
        index.open("node")
        staging = Staging(root / "export")
        staging.prepare()
        publisher = Publisher(root / "export", staging, index, LAYOUTS["dated"], today=lambda: TODAY)
        delivery, names = FIRST, ["1.dcm", "2.dcm"]
        if already:
            store(publisher, clean(9))
            publish_(publisher, FIRST)
            delivery, names = Delivery(VISIT, 2), ["1.dcm", "2.dcm", "9.dcm"]
        store(publisher, clean(1))
        store(publisher, clean(2))
        approve(index, delivery)
        with suppress(Crash, Failure), fault_at(nth, error) as calls:
            publisher.publish(delivery)
        days = [path for path in (root / "export").glob("DICOM/*/*") if not any(path.iterdir())]
        assert days == [], f"an empty day after call {nth}"
        for entry in index.in_state(State.PUBLISHING):
            publisher.resume(entry.delivery, entry.path)
        if index.state(delivery) == "approved":
            publisher.publish(delivery)
        assert index.state(delivery) == "published", nth
        assert tree(root / "export") == visit_tree(*names), nth
        left = {path.name for path in staging.root.iterdir()}
        assert left <= {".publishing"}, nth
        if calls["all"] < nth:
            assert nth > 10
            return
    pytest.fail("the fault never stopped firing")


def test_a_publication_begun_yesterday_and_never_seen_goes_to_today(publisher, monkeypatch):
    store(publisher, clean(1))
    approve(publisher.index, FIRST)
    publisher.index.begin_publishing(FIRST, "DICOM/2031/20310202/" + VISIT)
    assert publisher.resume(FIRST, "DICOM/2031/20310202/" + VISIT) == PLACE
    assert tree(publisher.export) == visit_tree("1.dcm")


NEXT_DAY = date(2031, 2, 4)
NEXT_PLACE = PurePosixPath("DICOM/2031/20310204", VISIT)


@pytest.fixture
def joining(publisher):
    """Late instances of a visit that was published today, on their way into its folder."""
    store(publisher, clean(1))
    publish_(publisher, FIRST)
    second = store(publisher, clean(2))
    approve(publisher.index, second)
    assert publisher.index.begin_publishing(second, str(PLACE))
    return second


def test_late_instances_of_yesterday_that_nobody_saw_go_to_today(publisher, joining):
    """The folder that they were to join is of a past day by now, which the Data Factory does not read again."""
    tomorrow = dataclasses.replace(publisher, today=lambda: NEXT_DAY)
    assert tomorrow.resume(joining, str(PLACE)) == NEXT_PLACE
    later = [str(NEXT_PLACE / name) for name in (".ready", "2.dcm")]
    assert tree(publisher.export) == [*visit_tree("1.dcm"), *later]
    (entry,) = [each for each in publisher.index.of_visit(VISIT) if each.delivery == joining]
    assert (entry.state, entry.path) == (State.PUBLISHED, str(NEXT_PLACE))


def test_late_instances_that_nobody_saw_join_no_day_that_was_closed_since(publisher, joining):
    close_day(publisher.export, publisher.staging, PLACE.parent)
    closed = tree(publisher.export)
    assert publisher.resume(joining, str(PLACE)) is None
    assert (tree(publisher.export), publisher.index.state(joining)) == (closed, "publishing")
    assert dataclasses.replace(publisher, today=lambda: NEXT_DAY).resume(joining, str(PLACE)) == NEXT_PLACE


def half_done(publisher, joining, monkeypatch, moment):
    """The joining, which ends at the failpoint as if the node died there."""

    def died(point):
        if point == moment:
            raise Crash

    with monkeypatch.context() as patch, suppress(Crash):
        patch.setattr(publish.faults, "point", died)
        publisher.resume(joining, str(PLACE))


@pytest.mark.parametrize("moment", ["publish.unmarked", "publish.joining", "publish.shown"])
def test_a_day_is_not_closed_over_a_visit_that_stands_there_by_half(publisher, joining, monkeypatch, moment):
    """The Data Factory would take it as it is, and never again."""
    half_done(publisher, joining, monkeypatch, moment)

    def begun():
        return [entry.path for entry in publisher.index.in_state(State.PUBLISHING)]

    def close():
        return close_day(publisher.export, publisher.staging, PLACE.parent, begun=begun)

    with pytest.raises(publish.HalfADayError, match=f"visit {VISIT} stands in it by half"):
        close()
    assert str(PLACE.parent / ".ready") not in tree(publisher.export)
    publisher.resume(joining, str(PLACE))
    assert close()


@pytest.mark.parametrize("moment", ["publish.unmarked", "publish.joining", "publish.shown", "publish.marked"])
def test_late_instances_that_began_to_join_end_where_they_began(publisher, joining, monkeypatch, moment):
    """Half of them in one folder and half in another would be two visits, neither of them whole."""
    half_done(publisher, joining, monkeypatch, moment)
    tomorrow = dataclasses.replace(publisher, today=lambda: NEXT_DAY)
    assert tomorrow.resume(joining, str(PLACE)) == PLACE
    assert tree(publisher.export) == visit_tree("1.dcm", "2.dcm")


def test_a_failed_disk_says_so(publisher, monkeypatch):
    store(publisher, clean(1))

    def broken(_path, _group):
        raise OSError(errno.EIO, "EIO")

    monkeypatch.setattr(publish, "_write_ready", broken)
    with pytest.raises(Failure) as caught:
        publish_(publisher, FIRST)
    assert caught.value.outcome is Outcome.STORAGE_FAULT
    assert publisher.index.state(FIRST) == "publishing"


def test_a_row_that_comes_at_the_last_moment_is_looked_at_first(publisher, monkeypatch):
    """Its worker gave up waiting for the index writer and holds no lock; what was approved was less than there is."""
    store(publisher, clean(1))
    late = clean(2)
    with publisher.staging.adding(FIRST.folder) as folder:
        files.place(folder, "2.dcm", late.parts, late.digest)
    close = publisher.index.begin_publishing

    def after_the_row(delivery, path):
        publisher.index.record(late, None, "2.dcm", delivery)
        return close(delivery, path)

    with monkeypatch.context() as patch:
        patch.setattr(publisher.index, "begin_publishing", after_the_row)
        assert publish_(publisher, FIRST) is None
    assert publisher.index.state(FIRST) == "receiving"
    assert publish_(publisher, FIRST) == PLACE
    assert tree(publisher.export) == visit_tree("1.dcm", "2.dcm")
    with pytest.raises(Failure, match="was being published"):
        publisher.index.record(clean(3), None, "3.dcm", FIRST)


def test_what_is_published_belongs_to_the_data_factorys_group(publisher, monkeypatch):
    given = {}
    monkeypatch.setattr(
        os, "chown", lambda path, owner, group: given.update({PurePosixPath(path).name: (owner, group)})
    )
    monkeypatch.setattr(os, "fchown", lambda _descriptor, owner, group: given.update({".ready": (owner, group)}))
    store(publisher, clean(1))
    factory = dataclasses.replace(publisher, group=1011)
    assert publish_(factory, FIRST) == PLACE
    assert set(given) == {"1.dcm", ".ready", f"{VISIT}-1", f"{VISIT}-1.out", "DICOM", "2031", "20310203"}
    assert {*given.values()} == {(-1, 1011)}  # the folder of the delivery is renamed, the shell is gone


def test_the_manifest_lists_what_is_in_the_tree_and_stands_outside(publisher, tmp_path):
    store(publisher, clean(1))
    store(publisher, clean(2))
    manifests = Manifests(tmp_path / "manifests")
    publish_(dataclasses.replace(publisher, manifests=manifests), FIRST)
    check = ["sha256sum", "--check", "--strict", "--quiet", manifests.path(FIRST)]
    assert subprocess.run(check, cwd=publisher.export, check=False).returncode == 0
    assert len(manifests.path(FIRST).read_text().splitlines()) == 2
    (publisher.export / PLACE / "1.dcm").write_bytes(b"changed")
    done = subprocess.run(check, cwd=publisher.export, check=False, capture_output=True)
    assert done.returncode == 1


def test_a_closed_day_is_a_past_day(publisher):
    store(publisher, clean(1))
    assert not close_day(publisher.export, publisher.staging, PLACE.parent)  # there is no such day, and none is made
    assert tree(publisher.export) == []
    publish_(publisher, FIRST)
    assert close_day(publisher.export, publisher.staging, PLACE.parent)
    closed = tree(publisher.export)
    assert str(PLACE.parent / ".ready") in closed
    second = store(publisher, clean(2))
    assert publish_(publisher, second) is None
    assert (tree(publisher.export), publisher.index.state(second)) == (closed, "approved")
    tomorrow = dataclasses.replace(publisher, today=lambda: date(2031, 2, 4))
    assert tomorrow.publish(second) == PurePosixPath("DICOM/2031/20310204", VISIT)


def test_a_publication_that_was_begun_does_not_join_a_closed_day_either(publisher):
    store(publisher, clean(1, visit="999999999999"))
    publish_(publisher, Delivery("999999999999", 1))
    store(publisher, clean(1))
    approve(publisher.index, FIRST)
    publisher.index.begin_publishing(FIRST, str(PLACE))
    close_day(publisher.export, publisher.staging, PLACE.parent)
    assert publisher.resume(FIRST, str(PLACE)) is None
    tomorrow = dataclasses.replace(publisher, today=lambda: date(2031, 2, 4))
    assert tomorrow.resume(FIRST, str(PLACE)) == PurePosixPath("DICOM/2031/20310204", VISIT)
