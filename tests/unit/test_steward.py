"""The steward's round over real files: how far each delivery goes, what holds it, and what a person may say."""

import json
import threading

import pytest
from doubles import VISIT, clean
from visiting import House, encoded, header, image

from scp.config.fields import PeerRule
from scp.db.index import Delivery, Index
from scp.outcome import Failure, Outcome
from scp.state import State
from scp.steward.publish import Publisher
from scp.steward.signals import SIGNALS
from scp.steward.steward import UnfitError

OTHER = "999999999999"
FIRST = Delivery(VISIT, 1)
WHOLE_WAY = ["receiving", "quiet", "checked", "approved", "publishing", "published"]


@pytest.fixture
def house(tmp_path, monkeypatch):
    return House(tmp_path, monkeypatch)


@pytest.fixture
def furnish(tmp_path, monkeypatch):
    return lambda **settings: House(tmp_path, monkeypatch, **settings)


def published(house):
    return {entry.delivery for entry in house.index.in_state(State.PUBLISHED)}


def value(counter):
    return counter._value.get()


def test_a_visit_is_published_once_it_is_quiet_and_not_before(house):
    house.store(image())
    assert house.later(59.9) == 0
    assert house.state(FIRST) is State.RECEIVING
    assert house.later(0.1) == 1
    assert published(house) == {FIRST}
    assert house.history() == [(1, state) for state in WHOLE_WAY]
    assert house.later() == 0


def test_a_place_beyond_all_numbers_holds_up_nothing(house):
    """A sender may write 9E999 (PS3.5 6.2, DS); publishing goes on, of that visit and of all others."""
    for number, place in enumerate(("0", "1", "2"), 1):
        house.store(image(number, ImagePositionPatient=["0", "0", place]))
    written = encoded(header(4, ImagePositionPatient=["0", "0", "77777"])).replace(b"77777", b"9E999")
    house.store(clean(4, visit=VISIT, body=written), image(5, visit=OTHER))
    assert house.later() == 2
    assert published(house) == {FIRST, Delivery(OTHER, 1)}


def test_each_arrival_starts_the_waiting_anew(house):
    house.store(image(1))
    house.now = 1050.0
    house.store(image(2))
    house.now = 1100.0
    assert house.steward.round() == 0
    assert house.later(10.0) == 1
    assert value(house.metrics.published_instances) == 2
    assert value(house.metrics.published_visits) == 1


def test_a_clock_that_was_ahead_and_was_set_back_keeps_no_visit_waiting_for_years(house):
    house.now = 1000.0 + 10 * 365 * 86_400
    house.store(image(1))
    house.now = 2000.0
    assert house.steward.round() == 0  # it is as if it had come now
    assert house.later(59.0) == 0
    assert house.later(1.0) == 1
    assert published(house) == {FIRST}


def test_a_clock_that_was_ahead_by_less_is_waited_for(house):
    house.now = 1030.0
    house.store(image(1))
    house.now = 1000.0
    assert house.steward.round() == 0
    assert house.later(89.0) == 0
    assert house.later(1.0) == 1


def test_a_title_has_a_quiet_time_of_its_own_and_the_most_patient_one_counts(furnish):
    house = furnish(peers=(PeerRule(ae_title="SLOW", quiet_seconds=600.0), PeerRule(ae_title="PACS")))
    house.store(image(1, calling="SLOW"), image(2, calling="PACS"))
    house.store(image(1, visit=OTHER, calling="PACS"))
    assert house.later(60.0) == 1
    assert published(house) == {Delivery(OTHER, 1)}
    assert house.later(539.0) == 0
    assert house.later(1.0) == 1


def test_every_signal_has_to_agree(house, monkeypatch):
    asked = []

    def counted(entry, now, config):
        asked.append((entry.delivery, now, config is house.config))
        return False

    monkeypatch.setattr("scp.steward.steward.SIGNALS", {**SIGNALS, "counted": counted})
    house.store(image())
    assert house.later(1000.0) == 0
    assert house.state(FIRST) is State.RECEIVING
    assert asked == [(FIRST, 2000.0, True)]


def test_late_instances_reopen_the_visit(house):
    house.store(image(1))
    house.later()
    assert house.store(image(2)) == Delivery(VISIT, 2)
    assert house.later() == 1
    assert house.history()[len(WHOLE_WAY) :] == [(2, state) for state in ["reopened", *WHOLE_WAY[1:]]]


def test_one_visit_that_fails_holds_no_other_up(house, monkeypatch):
    house.store(image())
    house.store(image(visit=OTHER))
    real = Publisher.publish

    def publish(self, delivery):
        if delivery.scan_research_id == VISIT:
            raise Failure(Outcome.OUT_OF_RESOURCES, "full")
        return real(self, delivery)

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", publish)
        assert house.later() == 1
    assert published(house) == {Delivery(OTHER, 1)}
    assert house.state(FIRST) is State.APPROVED
    assert house.steward.round() == 1


def test_a_file_that_cannot_be_read_holds_only_its_own_visit_up(house):
    house.store(image())
    house.store(image(visit=OTHER))
    (file,) = (house.staging.root / FIRST.folder).iterdir()
    content = file.read_bytes()
    file.write_bytes(b"no DICOM")
    assert house.later() == 1
    assert (house.state(FIRST), published(house)) == (State.QUIET, {Delivery(OTHER, 1)})
    file.write_bytes(content)
    assert house.steward.round() == 1


@pytest.mark.parametrize("state", [State.QUIET, State.CHECKED, State.APPROVED, State.PUBLISHING])
def test_what_was_begun_is_finished_wherever_it_stood(house, state):
    house.store(image())
    for step in (State.QUIET, State.CHECKED, State.APPROVED):
        house.index.enter(house.index.of_visit(VISIT)[0], step, "before the crash")
        if step is state:
            break
    if state is State.PUBLISHING:
        house.index.begin_publishing(FIRST, f"DICOM/2031/20310203/{VISIT}")
    assert house.state(FIRST) is state
    assert house.steward.round() == 1
    assert published(house) == {FIRST}


def test_a_database_that_does_not_answer_ends_the_round_only(house, monkeypatch):
    def busy(_self, _state):
        raise Failure(Outcome.OUT_OF_RESOURCES, "busy")

    monkeypatch.setattr(Index, "in_state", busy)
    assert house.steward.round() == 0


def test_it_runs_until_told_to_stop(house):
    house.store(image())
    house.now = 2000.0
    stop, beats = threading.Event(), []

    def alive():
        beats.append(1)
        if len(beats) == 4:  # once a round, and once a delivery
            stop.set()

    house.steward.run(stop, 0.0, alive)
    assert len(beats) == 4
    assert published(house) == {FIRST}


def test_an_operator_need_not_wait(house):
    house.store(image())
    house.store(image(visit=OTHER))
    with pytest.raises(UnfitError, match="there is no visit"):
        house.steward.publish_now("000000000000")
    assert house.steward.publish_now(VISIT) is State.PUBLISHED
    with pytest.raises(UnfitError, match="published already"):
        house.steward.publish_now(VISIT)
    assert published(house) == {FIRST}
    assert house.index.listing("visit_states", scan_research_id=VISIT)[1]["why"] == "an operator says so"


def test_what_the_gates_find_is_written_down_before_it_counts(house):
    house.store(image(1, PatientSex="F"), image(2, PatientSex="M"))
    assert house.later() == 0
    assert house.state(FIRST) is State.HELD
    assert house.why() == "hold by consistent"
    report = json.loads((house.config.reports / f"{VISIT}-1.json").read_text())
    assert (report["verdict"], report["delivery"], report["checked_at"]) == ("hold", 1, 1060.0)
    assert [(one["gate"], one["verdict"], len(one["files"])) for one in report["findings"]] == [
        ("consistent", "hold", 1)
    ]
    assert [len(one["files"]) for one in report["series"]] == [2]
    assert value(house.metrics.gate_findings.labels("consistent", "hold")) == 1
    assert house.published() == []


def test_a_warning_holds_nothing(house):
    house.store(image(ImageType=["DERIVED", "SECONDARY"]))
    assert house.later() == 1
    assert [row["why"] for row in house.index.listing("visit_states", scan_research_id=VISIT)][2] == "1 warnings"


def test_what_is_held_waits_for_a_person_and_for_nothing_else(house):
    house.store(image(1, PatientSex="F"), image(2, PatientSex="M"))
    house.later()
    assert house.later(10_000.0) == 0
    assert house.steward.publish_now(VISIT) is State.HELD  # asked again, and found the same
    assert house.steward.decide(VISIT, State.APPROVED, "sex was corrected during the study") is State.PUBLISHED
    words = [row["why"] for row in house.index.listing("visit_states", scan_research_id=VISIT)]
    assert "sex was corrected during the study" in words


def test_an_operator_waits_for_what_the_nodes_own_steward_has_begun(house):
    """Both carry the delivery: the command says what came of it, not how far the other one was."""
    house.store(image())
    other = threading.Thread(target=lambda: hold.wait(30) and house.steward.round())
    hold, took = threading.Event(), []

    def busy(_publisher, delivery):
        took.append(delivery)
        if len(took) == 1:
            hold.set()  # it is the other one's turn
            return None
        return publish(house.publisher, delivery)

    publish = Publisher.publish
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Publisher, "publish", busy)
        other.start()
        assert house.steward.publish_now(VISIT) is State.PUBLISHED
        other.join(30)
    assert len(took) > 1
    assert published(house) == {FIRST}
    assert house.history().count((1, "published")) == 1


def test_it_does_not_wait_for_ever(house, monkeypatch):
    monkeypatch.setattr("scp.steward.steward.PATIENCE_SECONDS", 0.1)
    house.store(image())
    monkeypatch.setattr(Publisher, "publish", lambda _publisher, _delivery: None)
    assert house.steward.publish_now(VISIT) is State.APPROVED


def test_approval_is_forgotten_when_more_comes(house, monkeypatch):
    monkeypatch.setattr("scp.steward.steward.PATIENCE_SECONDS", 0.1)
    house.store(image(1, PatientSex="F"), image(2, PatientSex="M"))
    house.later()
    with house.staging.adding(FIRST.folder):  # an instance is on its way
        assert house.steward.decide(VISIT, State.APPROVED, "looked at") is State.APPROVED
    house.store(image(3))
    assert house.later() == 0
    assert house.state(FIRST) is State.HELD


def test_what_is_quarantined_cannot_be_approved(furnish):
    house = furnish(gates={"consistent": "quarantine"})
    house.store(image(1, PatientBirthDate="19520101"), image(2, PatientBirthDate="19530101"))
    house.later()
    assert house.state(FIRST) is State.QUARANTINED
    with pytest.raises(UnfitError, match="is quarantined, so it cannot be approved"):
        house.steward.decide(VISIT, State.APPROVED, "please")
    assert house.steward.publish_now(VISIT) is State.QUARANTINED
    assert house.published() == []


def test_the_worst_finding_counts(furnish):
    house = furnish(gates={"consistent": "hold", "primary": "quarantine", "t1": "hold"})
    house.store(image(1, PatientSex="F"), image(2, PatientSex="M", ImageType=["DERIVED", "SECONDARY"]))
    house.later()
    assert (house.state(FIRST), house.why()) == (State.QUARANTINED, "quarantine by primary")


def test_with_approval_nothing_is_published_without_a_person(furnish):
    house = furnish(visit_approval=True)
    house.store(image())
    assert house.later() == 0
    assert (house.state(FIRST), house.why()) == (State.HELD, "waits for approval")
    assert house.steward.publish_now(VISIT) is State.HELD
    assert house.steward.decide(VISIT, State.APPROVED, "seen") is State.PUBLISHED


def test_what_was_rejected_stays_and_what_comes_later_waits_for_a_person(house):
    house.store(image(1))
    assert house.steward.decide(VISIT, State.REJECTED, "moved") is State.REJECTED
    assert house.later(10_000.0) == 0
    house.store(image(2))
    assert house.state(FIRST) is State.RECEIVING
    assert house.later() == 0
    assert (house.state(FIRST), house.why()[:12]) == (State.HELD, "was rejected")
    assert house.published() == []
    assert house.steward.decide(VISIT, State.APPROVED, "repeated") is State.PUBLISHED


def test_what_is_published_can_no_longer_be_rejected(house):
    house.store(image())
    house.later()
    with pytest.raises(UnfitError, match="published already"):
        house.steward.decide(VISIT, State.REJECTED, "moved")
    assert published(house) == {FIRST}
