import threading
from datetime import date

import pytest
from doubles import VISIT, clean, metrics

from scp.db.index import Delivery, Index
from scp.layouts import LAYOUTS
from scp.outcome import Failure, Outcome
from scp.steward.publish import Publisher
from scp.steward.steward import Steward
from scp.store import files
from scp.store.staging import Staging

OTHER = "999999999999"


@pytest.fixture
def clock(monkeypatch):
    clock = {"now": 1000.0}
    monkeypatch.setattr("scp.db.index.time.time", lambda: clock["now"])
    return clock


@pytest.fixture
def steward(tmp_path, clock):
    index = Index(tmp_path / "index.db")
    index.open("node")
    staging = Staging(tmp_path / "export")
    staging.prepare()
    publisher = Publisher(tmp_path / "export", staging, index, LAYOUTS["dated"], lambda: date(2031, 2, 3))
    return Steward(index, publisher, metrics(), 60.0, now=lambda: clock["now"])


def store(steward, instance):
    name = f"{instance.instance_number}.dcm"
    delivery = steward.index.open_delivery(instance)
    with steward.publisher.staging.adding(delivery.folder) as folder:
        files.place(folder, name, instance.parts, instance.digest)
    steward.index.record(instance, None, name, delivery)


def published(steward):
    return {entry.delivery for entry in steward.index.in_state("published")}


def value(counter):
    return counter._value.get()


def test_a_visit_is_published_once_it_is_quiet_and_not_before(steward, clock):
    store(steward, clean())
    clock["now"] = 1059.9
    assert steward.round() == 0
    clock["now"] = 1060.0
    assert steward.round() == 1
    assert published(steward) == {Delivery(VISIT, 1)}
    assert steward.round() == 0


def test_each_arrival_starts_the_waiting_anew(steward, clock):
    store(steward, clean(1))
    clock["now"] = 1050.0
    store(steward, clean(2))
    clock["now"] = 1100.0
    assert steward.round() == 0
    clock["now"] = 1110.0
    assert steward.round() == 1
    assert value(steward.metrics.published_instances) == 2
    assert value(steward.metrics.published_visits) == 1


def test_one_visit_that_fails_holds_no_other_up(steward, clock, monkeypatch):
    store(steward, clean())
    store(steward, clean(visit=OTHER))
    clock["now"] = 2000.0
    real = Publisher.publish

    def publish(self, delivery):
        if delivery.scan_research_id == VISIT:
            raise Failure(Outcome.OUT_OF_RESOURCES, "full")
        return real(self, delivery)

    monkeypatch.setattr(Publisher, "publish", publish)
    assert steward.round() == 1
    assert published(steward) == {Delivery(OTHER, 1)}
    monkeypatch.undo()
    monkeypatch.setattr("scp.db.index.time.time", lambda: 2000.0)
    assert steward.round() == 1


def test_what_was_begun_is_finished_first(steward, clock):
    store(steward, clean())
    steward.index.begin_publishing(Delivery(VISIT, 1), f"DICOM/2031/20310203/{VISIT}")
    assert steward.round() == 1
    assert published(steward) == {Delivery(VISIT, 1)}


def test_a_database_that_does_not_answer_ends_the_round_only(steward, monkeypatch):
    def busy(_self, _state):
        raise Failure(Outcome.OUT_OF_RESOURCES, "busy")

    monkeypatch.setattr(Index, "in_state", busy)
    assert steward.round() == 0


def test_an_operator_need_not_wait(steward):
    store(steward, clean())
    store(steward, clean(visit=OTHER))
    assert not steward.publish_now("000000000000")
    assert steward.publish_now(VISIT)
    assert not steward.publish_now(VISIT)
    assert published(steward) == {Delivery(VISIT, 1)}


def test_it_runs_until_told_to_stop(steward, clock):
    store(steward, clean())
    clock["now"] = 2000.0
    stop, beats = threading.Event(), []

    def alive():
        beats.append(1)
        if len(beats) == 3:
            stop.set()

    steward.run(stop, 0.0, alive)
    assert len(beats) == 3
    assert published(steward) == {Delivery(VISIT, 1)}
