import os
import re
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from scp.db.engine import SQL, DatabaseError, Engine, Taken, queries
from scp.outcome import Failure, Outcome


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path / "index.db", "index")
    engine.migrate()
    return engine


def value(engine, name):
    row = engine.row("node", {"name": name})
    return row and row["value"]


def test_migrations_are_applied_once(tmp_path):
    engine = Engine(tmp_path / "index.db", "index")
    assert engine.migrate() == len(list((SQL / "index").glob("*.sql")))
    assert engine.migrate() == 0


def test_every_connection_is_wal_and_full(engine):
    connection = engine._database().conn
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA secure_delete").fetchone()[0] == 1
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_transaction_is_all_or_nothing(engine):
    def half():
        with engine.write():
            engine.change("set_node", {"name": "half", "value": "done"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert value(engine, "half") is None
    with engine.write():
        engine.change("set_node", {"name": "whole", "value": "done"})
    assert value(engine, "whole") == "done"


def test_a_newer_release_made_it(engine):
    with engine.write():
        engine._database().execute("INSERT INTO migration (name) VALUES ('9999_future.sql')")
    with pytest.raises(DatabaseError, match=r"index\.db: was made by a newer release \(9999_future\.sql\)"):
        engine.migrate()


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "index.db").write_bytes(b"this is no database, it only stands there" * 40)
    with pytest.raises((DatabaseError, Failure), match="index"):
        Engine(tmp_path / "index.db", "index").migrate()


def test_a_locked_database_is_lack_of_resources(engine, monkeypatch):
    other = sqlite3.connect(engine.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    engine._database().conn.execute("PRAGMA busy_timeout=10")
    with pytest.raises(Failure) as caught, engine.write():
        pass
    other.execute("ROLLBACK")
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    assert not engine._database().conn.in_transaction


@pytest.fixture
def loose():
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.usefixtures("loose")
def test_a_database_is_closed_to_others_whatever_the_umask(tmp_path):
    engine = Engine(tmp_path / "linkage.db", "linkage")
    engine.migrate()
    assert modes(tmp_path) == dict.fromkeys(["linkage.db", "linkage.db-wal", "linkage.db-shm", "linkage.lock"], 0o600)


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o640), (0o666, 0o660), (0o600, 0o600), (0o640, 0o640)])
def test_a_database_that_the_world_can_read_is_closed_to_it(engine, before, after):
    names = [engine.path, *engine.path.parent.glob("*.db-*")]
    assert len(names) == 3
    for path in names:
        path.chmod(before)
    Engine(engine.path, "index").migrate()
    assert {stat.S_IMODE(path.stat().st_mode) for path in names} == {after}
    assert value(engine, "nobody") is None


def test_a_database_that_cannot_be_opened_just_now_is_lack_of_resources_for_questions_too(tmp_path):
    (tmp_path / "index.db").mkdir()  # SQLite says of it what it says without a descriptor
    shut = Engine(tmp_path / "index.db", "index")
    with pytest.raises(Failure) as asked:
        shut.rows("totals")
    with pytest.raises(Failure) as written, shut.write():
        pass
    assert asked.value.outcome is written.value.outcome is Outcome.OUT_OF_RESOURCES


def test_a_corrupt_page_is_a_storage_fault(engine):
    with engine.write():
        for number in range(2000):
            engine.change("set_node", {"name": f"filler {number}", "value": "x" * 100})
    engine.close()
    with engine.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 100_000)
    with pytest.raises(Failure) as caught:
        Engine(engine.path, "index").rows("node", {"name": "filler 1000"})
    assert caught.value.outcome is Outcome.STORAGE_FAULT


def test_each_transaction_has_its_own_connection(engine):
    with engine.write():
        mine = engine._database()
        assert in_thread(engine._database) is not mine
        engine.change("set_node", {"name": "mine", "value": "yes"})
        assert value(engine, "mine") == "yes", "a question within asks there"
        assert in_thread(lambda: value(engine, "mine")) is None, "and others do not see it yet"
        assert engine._database() is mine
    assert in_thread(lambda: value(engine, "mine")) == "yes"


def test_each_question_takes_the_connection_that_was_given_back_last(engine):
    with engine.write():
        first = connection(engine)
        second = in_thread(lambda: connection(engine))
        assert second is not first
    assert connection(engine) is in_thread(lambda: connection(engine)) is first
    with engine.write():
        assert connection(engine) is first


@pytest.mark.parametrize("broken", ["SELECT nothing FROM nowhere", "INSERT INTO node (name) VALUES (NULL)"])
def test_a_question_that_fails_gives_its_connection_back(engine, broken):
    mine = connection(engine)
    engine.sql["broken"] = broken
    for _ in range(3):
        with pytest.raises((Failure, sqlite3.Error)):
            engine.rows("broken")
    assert len(engine._spare._idle) <= 1
    assert value(engine, "nobody") is None
    assert connection(engine) is mine or broken.startswith("INSERT")


def test_many_threads_ask_and_write_over_connections_of_their_own(engine):
    def work(number):
        for turn in range(20):
            with engine.write():
                engine.change("set_node", {"name": f"{number}-{turn}", "value": str(turn)})
            assert value(engine, f"{number}-{turn}") == str(turn)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert 1 <= len(engine._spare._idle) <= 8
    assert len({id(database) for _, database in engine._spare._idle}) == len(engine._spare._idle)


def add_many(path, prefix):
    engine = Engine(path, "index")
    for number in range(50):
        with engine.write():
            row = engine.row("node", {"name": "counter"})
            if row is None:
                engine.change("set_node", {"name": "counter", "value": "0"})
            engine._database().execute("UPDATE node SET value = CAST(value AS INTEGER) + 1 WHERE name = 'counter'")
            engine.change("set_node", {"name": f"{prefix}{number}", "value": ""})


def test_writers_of_several_processes_take_turns(engine):
    processes = [get_context("spawn").Process(target=add_many, args=(engine.path, prefix)) for prefix in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert value(engine, "counter") == "150"


@pytest.mark.parametrize("name", ["index", "linkage"])
def test_every_named_statement_is_valid_sql(tmp_path, name):
    engine = Engine(tmp_path / f"{name}.db", name)
    engine.migrate()
    for statement in queries(name).values():
        parameters = dict.fromkeys(re.findall(r":(\w+)", statement))
        assert engine._database().execute(f"EXPLAIN {statement}", parameters).fetchall()


@pytest.mark.parametrize("name", ["index", "linkage"])
def test_the_sql_is_written_for_postgresql_too(name):
    text = "\n".join([*queries(name).values(), *(file.read_text() for file in (SQL / name).glob("*.sql"))]).upper()
    for word in (
        "BLOB",
        "AUTOINCREMENT",
        "INSERT OR ",
        "REPLACE INTO",
        "IFNULL",
        "STRFTIME",
        "ROWID",
        "PRAGMA",
        "DATETIME(",
    ):
        assert word not in text


def in_thread(work):
    """What `work` returns in a thread of its own."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(work).result()


def connection(engine):
    engine.rows("node", {"name": "nobody"})
    return engine._database().conn


def test_what_one_thread_used_the_next_one_takes(engine):
    mine = connection(engine)
    assert in_thread(lambda: connection(engine)) is mine
    with engine.write():
        engine.change("set_node", {"name": "shared", "value": "yes"})
    assert in_thread(lambda: value(engine, "shared")) == "yes"


def test_no_more_connections_are_kept_than_may_be(engine, monkeypatch):
    monkeypatch.setattr("scp.db.engine.SPARE", 0)
    kept = in_thread(lambda: connection(engine))
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.execute("SELECT 1")
    assert value(engine, "nobody") is None


def test_what_a_busier_time_left_over_is_closed(engine, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("scp.db.engine.time.monotonic", lambda: now[0])
    made = []

    with engine.write():  # two at once have two connections, which both stay
        made.append(connection(engine))
        made.append(in_thread(lambda: connection(engine)))
    inner, outer = made[1], made[0]
    assert inner is not outer
    now[0] += 29
    assert in_thread(lambda: connection(engine)) is outer
    assert inner.execute("SELECT 1").fetchone()[0] == 1
    now[0] += 2
    assert in_thread(lambda: connection(engine)) is outer
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        inner.execute("SELECT 1")
    now[0] += 3600
    assert in_thread(lambda: connection(engine)) is outer  # the one that is used stays


def test_a_connection_within_a_transaction_is_not_handed_on(engine):
    def begin():
        connection(engine).execute("BEGIN")
        return engine._database().conn

    kept = in_thread(begin)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.execute("SELECT 1")


def test_what_was_kept_is_closed_with_the_engine(tmp_path):
    engine = Engine(tmp_path / "index.db", "index")
    engine.migrate()
    kept = in_thread(lambda: connection(engine))
    assert kept.execute("SELECT 1").fetchone()[0] == 1
    engine.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.execute("SELECT 1")


@pytest.mark.parametrize("same_process", [True, False])
def test_who_would_not_wait_for_the_lock_is_told(engine, same_process):
    """Another engine stands at the lock file as another process does."""
    other = engine if same_process else Engine(engine.path, "index")

    def attempt():
        try:
            with other.write(wait=False):
                other.change("set_node", {"name": "second", "value": ""})
        except Taken:
            return "taken"
        return "written"

    with engine.write():
        engine.change("set_node", {"name": "first", "value": ""})
        assert in_thread(attempt) == "taken"
    assert value(engine, "first") == ""
    assert value(engine, "second") is None
    assert in_thread(attempt) == "written"
    assert value(engine, "second") == ""
    with engine.write():  # and the lock is free again
        engine.change("set_node", {"name": "third", "value": ""})
    if other is not engine:
        other.close()
