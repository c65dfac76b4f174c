from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from doubles import VISIT, clean
from visiting import approve
from writing import writing

from scp.db.commit import FreeCommit, WriterCommit
from scp.db.engine import DatabaseError
from scp.db.index import Delivery, Index, Missed
from scp.instance import Source
from scp.outcome import Failure, Outcome
from scp.state import State


@pytest.fixture(params=["own", "writer", "free"])
def index(request, tmp_path):
    """The same contract for all who may commit: this process, the index writer, and whoever is free."""
    index = Index(tmp_path / "index.db")
    index.open("node-a")
    if request.param == "own":
        yield index
        return
    with writing(tmp_path / "index.db", tmp_path / "run" / "index.sock"):
        writer = WriterCommit(tmp_path / "run" / "index.sock")
        free = request.param == "free"
        index = Index(tmp_path / "index.db", lambda engine: FreeCommit(engine, writer) if free else writer)
        yield index
        index.close()


def source(number=1, content=b"content"):
    return Source(f"uid {number}".encode(), content)


def store(index, instance, origin=None):
    return index.record(instance, origin, f"{instance.instance_number}.dcm", index.open_delivery(instance))


def publish(index, delivery):
    approve(index, delivery)
    assert index.begin_publishing(delivery, "DICOM/x")
    assert index.finish_publishing(delivery)


def test_it_belongs_to_one_linkage(index, tmp_path):
    Index(tmp_path / "index.db").open("node-a")
    with pytest.raises(DatabaseError, match="belongs to another linkage"):
        Index(tmp_path / "index.db").open("node-b")


def test_a_new_instance_is_stored_and_known(index):
    assert not index.unchanged(source())
    assert store(index, clean(), source()).outcome is Outcome.STORED
    assert index.unchanged(source())
    assert index.agrees(clean(), source())
    assert index.files(Delivery(VISIT, 1)) == {"1.dcm": clean().digest}


def test_an_instance_nobody_knows_agrees_with_nothing(index):
    assert not index.agrees(clean(), source())


def test_other_wrapping_of_the_same_content_is_unchanged(index):
    store(index, clean(), source(content=b"explicit"))
    rewrapped = source(content=b"implicit")
    assert not index.unchanged(rewrapped)
    assert index.agrees(clean(), rewrapped)
    assert store(index, clean(), rewrapped).outcome is Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("instance", "origin"),
    [
        (clean(body=b"other"), source(content=b"other")),  # the same UID, other pixels
        (clean(2, body=b"content"), source(1)),  # the same original UID under another patient
    ],
)
def test_the_same_uid_with_other_content_conflicts(index, instance, origin):
    store(index, clean(), source())
    for act in (lambda: index.agrees(instance, origin), lambda: store(index, instance, origin)):
        with pytest.raises(Failure) as caught:
            act()
        assert caught.value.outcome is Outcome.CONFLICTING
    assert index.listing("totals")[0]["instances"] == 1


def test_an_instance_without_known_source_gets_it_on_the_next_send(index):
    store(index, clean(), None)
    assert store(index, clean(), source()).outcome is Outcome.UNCHANGED
    assert index.unchanged(source())


def test_deliveries_open_one_after_the_other(index):
    first = index.open_delivery(clean())
    assert first == index.open_delivery(clean(2)) == Delivery(VISIT, 1)
    assert first.folder == f"{VISIT}-1"
    assert index.is_receiving(first)
    publish(index, first)
    assert not index.is_receiving(first)
    assert index.open_delivery(clean(3)) == Delivery(VISIT, 2)
    assert not index.is_receiving(Delivery("nobody", 1))


def test_the_answer_names_the_delivery_that_holds_it(index):
    store(index, clean(), source())
    publish(index, Delivery(VISIT, 1))
    recorded = index.record(clean(), source(), "1.dcm", index.open_delivery(clean(2)))
    assert (recorded.outcome, recorded.delivery) == (Outcome.UNCHANGED, Delivery(VISIT, 1))


def test_only_what_is_quiet_and_holds_something_is_quiet(index, monkeypatch):
    monkeypatch.setattr("scp.db.index.time.time", lambda: 1000.0)
    store(index, clean(), source())
    index.open_delivery(clean(visit="999999999999"))  # opened, nothing recorded
    assert index.quiet(999.0) == []
    assert [entry.delivery for entry in index.quiet(1000.0)] == [Delivery(VISIT, 1)]
    monkeypatch.setattr("scp.db.index.time.time", lambda: 2000.0)
    store(index, clean(2), source(2))
    assert index.quiet(1999.0) == []


def test_states_go_forward_only(index):
    delivery = index.open_delivery(clean())
    assert not index.finish_publishing(delivery)
    assert not index.begin_publishing(delivery, "DICOM/a")  # nobody approved it
    approve(index, delivery)
    assert index.begin_publishing(delivery, "DICOM/a")
    assert [entry.path for entry in index.in_state(State.PUBLISHING)] == ["DICOM/a"]
    assert index.begin_publishing(delivery, "DICOM/b")  # planned anew after a crash
    assert index.finish_publishing(delivery)
    assert not index.begin_publishing(delivery, "DICOM/c")
    assert [entry.path for entry in index.in_state(State.PUBLISHED)] == ["DICOM/b"]
    assert index.state(delivery) == "published"


def test_listings(index):
    store(index, clean(), source())
    store(index, clean(2), source(2))
    publish(index, Delivery(VISIT, 1))
    store(index, clean(3), source(3))
    (visit,) = index.listing("visits")
    assert (visit["instances"], visit["deliveries"], visit["state"], visit["series"]) == (3, 2, "reopened", 1)
    assert [row["instances"] for row in index.listing("visit_deliveries", scan_research_id=VISIT)] == [2, 1]
    assert index.listing("visits_by_state") == [{"state": "reopened", "visits": 1}]
    assert index.listing("visit_series", scan_research_id=VISIT)[0]["instances"] == 3


def test_quarantine_rows_are_one_for_each_content_and_reason(index):
    failure = Failure(Outcome.INCOMPLETE, "ends in an element")
    assert index.record_quarantine("a", failure, b"f", 10)
    assert not index.record_quarantine("b", failure, b"f", 10)
    assert index.record_quarantine("c", Failure(Outcome.MALFORMED, "no"), b"f", 10)
    assert index.quarantined(Outcome.INCOMPLETE, b"f")
    assert not index.quarantined(Outcome.INCOMPLETE, b"g")
    by_outcome = {row["outcome"]: row["instances"] for row in index.listing("quarantine_by_outcome")}
    assert by_outcome == {"incomplete": 1, "malformed": 1}
    assert index.listing("quarantine_entry", id="a")[0]["why"] == "ends in an element"


def test_nothing_joins_a_delivery_that_is_being_published(index):
    delivery = index.open_delivery(clean())
    store(index, clean(), source())
    approve(index, delivery)
    assert index.begin_publishing(delivery, "DICOM/x")
    with pytest.raises(Failure) as caught:
        index.record(clean(2), source(2), "2.dcm", delivery)
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    assert index.listing("totals")[0]["instances"] == 1
    assert index.record(clean(), source(), "1.dcm", delivery).outcome is Outcome.UNCHANGED


def stored_at(index):
    return index.listing("places", source_uid=source().uid, sop_instance_uid="")[0]["stored_at"]


def test_a_lost_one_moves_its_row_from_where_it_was_looked_for(index):
    store(index, clean(), source())
    publish(index, Delivery(VISIT, 1))
    lost = Missed(Delivery(VISIT, 1), stored_at(index))
    late = index.open_delivery(clean())
    found = index.record(clean(), source(), "1.dcm", late, lost=lost)
    assert (found.outcome, found.delivery) == (Outcome.STORED, late)
    assert (index.names(Delivery(VISIT, 1)), list(index.names(late))) == ({}, ["1.dcm"])


@pytest.mark.parametrize(
    "change", [{"delivery": Delivery(VISIT, 2)}, {"delivery": Delivery("9", 1)}, {"stored_at": 1.0}]
)
def test_a_row_that_is_elsewhere_by_now_stays_there(index, change):
    store(index, clean(), source())
    publish(index, Delivery(VISIT, 1))
    lost = replace(Missed(Delivery(VISIT, 1), stored_at(index)), **change)
    found = index.record(clean(), source(), "1.dcm", index.open_delivery(clean()), lost=lost)
    assert (found.outcome, found.delivery) == (Outcome.UNCHANGED, Delivery(VISIT, 1))
    assert list(index.names(Delivery(VISIT, 1))) == ["1.dcm"]
    assert index.listing("totals")[0]["instances"] == 1


def test_a_lost_one_that_is_recorded_twice_because_the_answer_was_lost_is_stored_once(index, monkeypatch):
    store(index, clean(), source())
    publish(index, Delivery(VISIT, 1))
    lost = Missed(Delivery(VISIT, 1), stored_at(index))
    late = index.open_delivery(clean())
    monkeypatch.setattr("scp.db.index.time.time", lambda: 5.0)
    first = index.record(clean(), source(), "1.dcm", late, lost=lost)
    publish(index, late)
    assert index.record(clean(), source(), "1.dcm", late, lost=lost) == first
    assert (first.outcome, stored_at(index)) == (Outcome.STORED, 5.0)


def test_a_row_that_no_delivery_holds_is_a_defect_and_changes_nothing(index):
    with pytest.raises(Failure) as caught:
        index.record(clean(), source(), "1.dcm", Delivery("nobody", 1))
    assert caught.value.outcome is Outcome.FAILED
    assert index.listing("totals")[0]["instances"] == 0
    assert store(index, clean(), source()).outcome is Outcome.STORED


def test_many_at_once_are_each_answered_for_themselves(index):
    def act(number):
        """Twelve senders of six instances; the last has the first's UID and other content."""
        instance = clean(0, body=b"other") if number == 12 else clean(number % 6)
        try:
            return store(index, instance, None).outcome
        except Failure as failure:
            return failure.outcome

    assert store(index, clean(0), None).outcome is Outcome.STORED
    with ThreadPoolExecutor(13) as pool:
        outcomes = list(pool.map(act, range(13)))
    assert outcomes[12] is Outcome.CONFLICTING
    assert sorted(outcome.name for outcome in outcomes[:12]) == ["STORED"] * 5 + ["UNCHANGED"] * 7
    assert index.listing("totals")[0]["instances"] == 6


def gather(index, number=1, visit=VISIT):
    delivery = index.gathering(clean(number, visit=visit))
    return delivery, index.is_receiving(delivery)


def asked(index, monkeypatch):
    questions, real = [], index._engine.rows
    monkeypatch.setattr(index._engine, "rows", lambda query, *rest: questions.append(query) or real(query, *rest))
    return questions


def test_where_the_last_instance_of_a_visit_went_is_not_asked_again(index, monkeypatch):
    first = gather(index)
    questions = asked(index, monkeypatch)
    assert gather(index, 2) == gather(index, 3) == first == (Delivery(VISIT, 1), True)
    assert questions == ["delivery_state"] * 2


def test_another_visit_is_asked_for(index, monkeypatch):
    other = "999999999999"
    assert [gather(index, visit=visit)[0] for visit in (VISIT, other, VISIT)] == [
        Delivery(VISIT, 1), Delivery(other, 1), Delivery(VISIT, 1)
    ]  # fmt: skip


def test_a_delivery_that_was_closed_meanwhile_is_left_for_the_next_one(index):
    delivery, _ = gather(index)
    store(index, clean())
    publish(index, delivery)
    assert gather(index, 2) == (delivery, False)
    assert gather(index, 2) == (Delivery(VISIT, 2), True)
    assert gather(index, 3) == (Delivery(VISIT, 2), True)


def test_what_one_thread_knows_another_one_asks(index, monkeypatch):
    gather(index)
    questions = asked(index, monkeypatch)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(gather, index, 2).result() == (Delivery(VISIT, 1), True)
    assert "open_delivery" in questions
