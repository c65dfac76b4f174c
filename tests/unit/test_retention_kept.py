"""Retention of sealed originals, reports and manifests; and the steward's daily turn."""

import os
from pathlib import Path

import pytest
from doubles import VISIT
from keeping import BURNED_IN, DAY
from visiting import image

from scp import retention
from scp.outcome import Failure, Outcome
from scp.retention import daily
from scp.state import State
from scp.steward import report
from scp.steward.steward import Steward
from scp.walks import expiring


@pytest.fixture
def house(keeping):
    return keeping()


def test_a_sealed_original_goes_with_its_row(house):
    old = house.seal("abc")
    house.days(10)
    young = house.seal("def", b"another")
    house.days(20)
    assert house.due() == [("quarantine", "abc")]
    assert house.run() == [("quarantine", "abc", "")]
    assert (old.exists(), young.exists()) == (False, True)
    assert [row["id"] for row in house.index.listing("quarantine")] == ["def"]
    assert house.expiry.unremoved() == []
    assert house.audit() == []


def test_the_same_content_is_sealed_again(house):
    house.seal("abc")
    assert house.index.quarantined(Outcome.BURNED_IN, b"print")
    house.days(31)
    house.run()
    assert not house.index.quarantined(Outcome.BURNED_IN, b"print")
    assert house.index.record_quarantine("def", BURNED_IN, b"print", 6)


def test_sealed_originals_go_a_hundred_at_a_time(house):
    for number in range(250):
        house.seal(f"{number:016x}", b"%d" % number)
    house.days(31)
    seen = []
    taken = retention.retention.Sealed.forget

    def counted(self, entries):
        seen.append(len(entries))
        taken(self, entries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scp.retention.retention.Sealed.forget", counted)
        assert len(house.run()) == 250
    assert seen == [100, 100, 50]
    assert house.metrics.expired.labels("quarantine")._value.get() == 250
    assert house.index.listing("quarantine") == house.audit() == []


def test_a_file_that_stays_behind_is_removed_and_not_listed_again(house):
    path = house.seal("abc")
    house.expiry.bury_sealed(["abc"])  # and then it was killed
    assert path.exists()
    assert house.audit() == []
    assert house.retention.resume() == 1
    assert not path.exists()
    assert house.retention.resume() == 0


def papers_written(house, seconds):
    """As if all reports and manifests were written then."""
    for folder in (house.config.reports, house.config.manifests):
        for path in folder.iterdir():
            os.utime(path, (seconds, seconds))


def test_reports_and_manifests_go_by_their_own_time(keeping):
    house = keeping({"reports_days": 10, "manifests_days": 20})
    house.publish(VISIT)
    papers_written(house, house.now)
    house.days(9)
    assert house.run() == []
    house.days(2)
    assert house.run() == [("report", f"{VISIT}-1.json", "")]
    house.days(10)
    assert house.run() == [("manifest", f"{VISIT}-1.sha256", "")]
    assert house.papers() == house.audit() == []
    assert house.state(house.index.of_visit(VISIT)[0].delivery) is State.PUBLISHED


def test_what_a_killed_one_left_of_a_report_goes_as_the_report_does(keeping, monkeypatch):
    house = keeping({"reports_days": 10, "manifests_days": 20})
    house.publish(VISIT)

    def killed(_path, _target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        for folder, name in ((house.config.reports, "json"), (house.config.manifests, "sha256")):
            with pytest.raises(KeyboardInterrupt):
                report.write(folder / f"{VISIT}-1.{name}", b"T1 MPRAGE")
    papers_written(house, house.now)
    assert len(house.papers()) == 4
    house.days(10)
    assert len(house.run()) == 2
    house.days(10)
    assert len(house.run()) == 2
    assert house.papers() == house.audit() == []


def test_a_report_that_somebody_has_to_decide_by_stays(house):
    house.store(image(1, PatientSex="F"), image(2, PatientSex="M"))
    house.later()
    assert house.index.of_visit(VISIT)[0].state is State.HELD
    (path,) = house.config.reports.iterdir()
    os.utime(path, (0, 0))
    house.days(29)
    assert house.run() == []
    house.days(2)
    assert house.run() == [("staged", f"{VISIT}-1", "")]
    assert house.run() == [("report", f"{VISIT}-1.json", "")]


def test_files_of_other_names_are_nobody_s(keeping):
    house = keeping({"reports_days": 30})
    house.publish(VISIT)
    for name in ("notes.txt", f"{VISIT}-1.json.bak", "01-1.json", "1.json"):
        (house.config.reports / name).write_text("mine")
        os.utime(house.config.reports / name, (0, 0))
    house.days(31)
    assert house.due() == []
    (house.config.reports / "77-1.json").write_text("of a visit that nobody knows")
    os.utime(house.config.reports / "77-1.json", (0, 0))
    assert house.due() == [("report", "77-1.json")]


def test_once_a_day_and_no_oftener(house):
    house.publish(VISIT)
    turn = house.daily().turn
    turn()
    assert house.expiry.last() == house.now
    house.days(0.99)
    house.seal("abc")
    turn()
    assert house.expiry.last() == house.now - 0.99 * DAY
    house.days(0.01)
    turn()
    assert house.expiry.last() == house.now


def test_a_steward_that_starts_goes_by_the_day_of_its_predecessor(house):
    house.publish(VISIT)
    house.daily().turn()
    ran = house.now
    house.days(0.5)
    house.daily().turn()
    assert house.expiry.last() == ran


def daily_for(house, days):
    """A turn each day."""
    turns = house.daily()
    for _ in range(days):
        house.days(1)
        turns.turn()
    return turns


def test_what_is_due_goes_a_little_in_each_round(house, monkeypatch):
    for number in range(5):
        house.publish(str(100000000000 + number), 1)
    turns = daily_for(house, 29)
    left = [house.index.listing("totals")[0]["instances"]]
    ticks = iter(range(1000))
    turns.clock = lambda: next(ticks) * 0.6  # what is done takes most of a round's second
    house.days(1)
    while left[-1]:
        turns.turn()
        left.append(house.index.listing("totals")[0]["instances"])
    assert left == [5, 3, 1, 0]
    turns.turn()
    assert house.expiry.last() == house.now


def test_what_was_begun_is_finished_at_once(house):
    house.publish(VISIT)
    turns = daily_for(house, 31)
    house.publish("999999999999")
    house.days(0.1)
    assert house.expiry.begin("999999999999", house.now, "test")
    turns.turn()
    assert house.expiry.unfinished() == []
    assert [name for name in house.published() if "999999999999" in name] == []


@pytest.fixture
def said(monkeypatch):
    """Why the daily turn says that it waits."""
    found = []

    class Logger:
        def error(self, event, why):
            assert event == "retention_waits"
            found.append(why)

    monkeypatch.setattr("scp.retention.daily._logger", Logger())
    return found


@pytest.mark.parametrize("days", [32, -32])
def test_a_clock_that_jumped_takes_nothing_away(house, days, said):
    house.publish(VISIT)
    turns = daily_for(house, 1)
    last = house.expiry.last()
    house.days(days)
    turns.turn()
    assert house.expiry.last() == last
    assert house.published()
    turns.turn()
    assert len(said) == 1
    assert said[0].startswith("the clock has gone too far")
    house.clock += 3601
    turns.turn()
    assert len(said) == 2
    list(house.retention.run())  # an operator's word
    house.clock += 3601
    house.days(1)
    turns.turn()
    assert house.expiry.last() == house.now


def test_beside_an_operator_s_run_the_steward_waits(house):
    house.publish(VISIT)
    turns = daily_for(house, 29)
    house.days(1)
    with expiring(house.config.state):
        turns.turn()
    assert house.published()
    turns.turn()
    assert not house.published()


def test_a_failure_is_logged_and_tried_again_in_an_hour(house, said):
    house.publish(VISIT)
    turns = daily_for(house, 29)
    house.days(1)
    with pytest.MonkeyPatch.context() as patch:

        def broken(*_words):
            raise Failure(Outcome.OUT_OF_RESOURCES, "the expiry database is busy or full")

        patch.setattr("scp.retention.retention.due", broken)
        turns.turn()
    assert said == ["the expiry database is busy or full"]
    turns.turn()
    assert house.published()
    house.clock += 3601
    turns.turn()
    assert not house.published()


def test_the_steward_asks_in_each_of_its_rounds(house):
    turns, rounds = [], []

    class Stop:
        def wait(self, _seconds):
            rounds.append(1)
            return len(rounds) > 3

    steward = Steward(house.index, house.publisher, house.metrics, house.config, beside=turns.append)
    alive = list
    steward.run(Stop(), 0.0, alive)
    assert turns == [alive] * 3
    assert daily.SHARE_SECONDS < 5
