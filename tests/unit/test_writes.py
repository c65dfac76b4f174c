import hashlib
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.db import writes
from scp.db.engine import Engine
from scp.db.writes import Refused, Write, run
from scp.outcome import Failure, Outcome


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path / "index.db", "index")
    engine.migrate()
    run(engine, [delivery()])
    return engine


def delivery(visit="7"):
    return Write("delivery", {"scan_research_id": visit, "pseudonym": "S", "now": 1.0})


def instance(uid="2.25.1", content="a", now=2.0, **values):
    row = {
        "sop_instance_uid": uid,
        "source_uid": f"source {uid}".encode(),
        "source_digest": b"s",
        "digest": hashlib.sha256(content.encode()).digest(),
        "size": 1,
        "series_uid": "2.25.2",
        "sop_class_uid": "1.2",
        "transfer_syntax": "1.2",
        "file_name": f"{uid}.dcm",
        "recipe": "r",
        "scan_research_id": "7",
        "delivery": 1,
        "now": now,
    }
    return Write("instance", {**row, **values})


def outcome(found):
    return found.outcome.name if isinstance(found, Failure) else found["outcome"]


def count(engine):
    return engine.rows("totals")[0]["instances"]


def test_rows_of_one_batch_meet_each_other(engine):
    batch = [instance(), instance(now=3.0), instance(content="b", now=4.0), instance("2.25.2", now=5.0)]
    assert [outcome(found) for found in run(engine, batch)] == ["STORED", "UNCHANGED", "CONFLICTING", "STORED"]
    assert count(engine) == 2


def test_one_that_fails_leaves_the_others_and_nothing_of_itself(engine):
    orphan = instance("2.25.9", delivery=5)
    incomplete = Write("instance", {"sop_instance_uid": "2.25.8"})
    found = run(engine, [instance(), orphan, incomplete, instance("2.25.2")])
    assert [outcome(one) for one in found] == ["STORED", "FAILED", "FAILED", "STORED"]
    assert count(engine) == 2


def test_the_same_write_asked_again_is_stored_still(engine):
    first = run(engine, [instance()])
    assert run(engine, [instance()]) == first
    assert outcome(run(engine, [instance(now=9.0)])[0]) == "UNCHANGED"
    assert count(engine) == 1


def test_a_quarantine_row_knows_itself_again(engine):
    row = {"outcome": "malformed", "why": "x", "fingerprint": b"f", "size": 1, "now": 1.0}
    first, other = Write("quarantine", {**row, "id": "a"}), Write("quarantine", {**row, "id": "b"})
    assert [found["new"] for found in run(engine, [first, other, first])] == [1, 0, 1]


def test_a_delivery_is_opened_once(engine):
    found = run(engine, [delivery("8"), delivery("8"), delivery("7")])
    assert [(row["scan_research_id"], row["number"]) for row in found] == [("8", 1), ("8", 1), ("7", 1)]


def test_a_refused_write_is_undone_alone(engine, monkeypatch):
    def half(engine, row):
        engine.change("add_visit", row)
        raise Refused(Outcome.CONFLICTING, "changed its mind")

    monkeypatch.setattr(writes, "WRITES", {**writes.WRITES, "half": half})
    found = run(engine, [Write("half", {"scan_research_id": "half", "pseudonym": "S", "now": 1.0}), instance()])
    assert [outcome(one) for one in found] == ["CONFLICTING", "STORED"]
    assert visits(engine) == 1


def visits(engine):
    return engine._database().execute("SELECT COUNT(*) FROM visit").fetchone()[0]


@pytest.mark.parametrize("error", [Refused(Outcome.CONFLICTING, "changed its mind"), sqlite3.IntegrityError()])
def test_one_that_fails_alone_is_undone_with_its_transaction(engine, monkeypatch, error):
    def half(engine, row):
        engine.change("add_visit", row)
        raise error

    monkeypatch.setattr(writes, "WRITES", {**writes.WRITES, "half": half})
    [found] = run(engine, [Write("half", {"scan_research_id": "half", "pseudonym": "S", "now": 1.0})])
    assert outcome(found) == ("CONFLICTING" if error is found else "FAILED")
    assert visits(engine) == 1
    assert not engine._database().conn.in_transaction
    assert outcome(run(engine, [instance()], wait=False)[0]) == "STORED"  # no lock is left either


def test_one_alone_needs_no_savepoint_and_several_have_one_each(engine):
    said = []
    engine._database().conn.set_trace_callback(said.append)
    run(engine, [instance()])
    assert [each for each in said if "part" in each.split()] == []
    run(engine, [instance("2.25.2"), instance("2.25.3")])
    assert [each for each in said if "part" in each.split()] == ["SAVEPOINT part", "RELEASE part"] * 2
    assert said.count("COMMIT") == 2


def test_what_goes_wrong_with_the_transaction_itself_is_nobodys_own(engine, monkeypatch):
    def broken(*_args, **_options):
        raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    monkeypatch.setattr(engine, "write", broken)
    with pytest.raises(sqlite3.ProgrammingError):
        run(engine, [instance(), instance("2.25.2")])


@pytest.mark.parametrize("worse", [Outcome.OUT_OF_RESOURCES, Outcome.STORAGE_FAULT])
def test_a_database_that_will_not_undoes_the_whole_batch(engine, monkeypatch, worse):
    def broken(_engine, _row):
        raise Failure(worse, "the disk")

    monkeypatch.setattr(writes, "WRITES", {**writes.WRITES, "broken": broken})
    with pytest.raises(Failure) as caught:
        run(engine, [instance(), Write("broken", {}), instance("2.25.2")])
    assert caught.value.outcome is worse
    assert count(engine) == 0


@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.sampled_from("ab")), min_size=1, max_size=6), min_size=1, max_size=5
    )
)
def test_batches_decide_as_single_writes_would(tmp_path_factory, batches):
    engine = Engine(tmp_path_factory.mktemp("batches") / "index.db", "index")
    engine.migrate()
    run(engine, [delivery()])
    known = {}
    moment = 10.0
    for batch in batches:
        asked, expected = [], []
        for uid, content in batch:
            moment += 1
            asked.append(instance(f"2.25.{uid}", content, now=moment))
            holds = known.setdefault(uid, (content, moment))
            new = holds[1] == moment
            expected.append("STORED" if new else "UNCHANGED" if holds[0] == content else "CONFLICTING")
        assert [outcome(found) for found in run(engine, asked)] == expected
    assert count(engine) == len(known)
    engine.close()
