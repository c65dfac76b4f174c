import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_writes import count, delivery, instance, outcome
from writing import Running, writing

from scp.db import channel, writer
from scp.db import commit as commits
from scp.db.channel import MessageError, answer, answered, ask, asked, connect, listen
from scp.db.commit import FreeCommit, Unanswered, WriterCommit
from scp.db.engine import Engine
from scp.db.writes import Write, run
from scp.outcome import Failure, Outcome


@pytest.fixture
def path(tmp_path):
    engine = Engine(tmp_path / "index.db", "index")
    engine.migrate()
    run(engine, [delivery()])
    engine.close()
    return tmp_path / "index.db"


@pytest.fixture
def address(tmp_path):
    return tmp_path / "run" / "index.sock"


@pytest.fixture
def commit(address):
    with closing(WriterCommit(address)) as commit:
        yield commit


def stored(path):
    engine = Engine(path, "index")
    try:
        return count(engine)
    finally:
        engine.close()


values = st.one_of(st.none(), st.integers(), st.text(), st.floats(allow_nan=False))


@given(st.dictionaries(st.sampled_from(["size", "why", "file_name", "now"]), values), st.binary())
def test_a_message_comes_out_as_it_went_in(row, digest):
    write = Write("instance", {**row, "digest": digest, "source_uid": None})
    assert asked(ask(write)) == write
    assert answered(answer(write.row)) == write.row


def test_a_failure_comes_out_as_it_went_in():
    failure = answered(answer(Failure(Outcome.CONFLICTING, "other content")))
    assert isinstance(failure, Failure)
    assert (failure.outcome, failure.why) == (Outcome.CONFLICTING, "other content")


@given(st.binary() | st.sampled_from([b"{}", b'["instance"]', b'["drop", {}]', b'["instance", 3]', b"[1, 2]", b'"ab"']))
def test_what_is_no_message_is_told_as_such(packet):
    for read in (asked, answered):
        with pytest.raises(MessageError):
            read(packet)


def test_a_row_too_long_is_a_defect():
    with pytest.raises(Failure) as caught:
        ask(Write("quarantine", {"why": "x" * channel.LARGEST}))
    assert caught.value.outcome is Outcome.FAILED


def test_the_socket_is_its_owners_and_its_path_may_be_long(tmp_path):
    path = tmp_path / ("folder" * 20) / ("deeper" * 20) / "index.sock"
    for _ in range(2):  # what a dead node left is in nobody's way
        with listen(path) as listener, connect(path, 1.0) as sock:
            assert path.stat().st_mode & 0o777 == 0o600
            taken, _ = listener.accept()
            with taken:
                sock.send(b"whole")
                assert taken.recv(10) == b"whole"


def test_one_alone_is_answered_without_the_timer(path, address, commit):
    with writing(path, address, seconds=3600.0) as running:
        for number in range(20):
            assert outcome(commit(instance(f"2.25.{number}"))) == "STORED"
    assert running.batches == [1] * 20
    assert stored(path) == 20


def test_what_waits_is_committed_together_and_no_more_than_the_most(path, address):
    with listen(address) as listener:
        questions = [connect(address, 10.0) for _ in range(10)]
        for number, sock in enumerate(questions):
            sock.send(ask(instance(f"2.25.{number}")))
        running = Running(path, listener, most=4)
        answers = [answered(sock.recv(channel.LARGEST)) for sock in questions]
        running.stop()
    assert [outcome(found) for found in answers] == ["STORED"] * 10
    assert sum(running.batches) == 10
    assert max(running.batches) == 4
    for sock in questions:
        sock.close()


def test_after_several_the_next_waits_for_as_many_but_not_for_ever(path, address):
    with listen(address) as listener:
        questions = [connect(address, 10.0) for _ in range(3)]
        for number, sock in enumerate(questions):
            sock.send(ask(instance(f"2.25.{number}")))
        running = Running(path, listener, seconds=0.05)
        for sock in questions:
            assert sock.recv(channel.LARGEST)
        questions[0].send(ask(instance("2.25.7")))
        time.sleep(0.005)
        questions[1].send(ask(instance("2.25.8")))
        assert [outcome(answered(sock.recv(channel.LARGEST))) for sock in questions[:2]] == ["STORED"] * 2
        running.stop()
    assert sum(running.batches) == 5
    assert stored(path) == 5
    for sock in questions:
        sock.close()


def test_connections_are_used_again(path, address, commit):
    with writing(path, address) as running:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(commit, [instance(f"2.25.{number}") for number in range(40)]))
        assert 1 <= len(commit._idle) <= 4
        assert len(running.writer._connections) == len(commit._idle)


def test_a_writer_that_comes_back_is_asked_again(path, address, commit):
    """The first one commits and dies without a word; its successor is asked the same and knows it."""
    with listen(address) as listener:
        listener.settimeout(10)

        def die_after_the_commit():
            sock, _ = listener.accept()
            packet = sock.recv(channel.LARGEST)
            engine = Engine(path, "index")
            run(engine, [asked(packet)])
            engine.close()
            sock.close()

        dying = threading.Thread(target=die_after_the_commit)
        dying.start()
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(commit, instance())
            dying.join()
            listener.settimeout(0)
            running = Running(path, listener)
            assert outcome(found.result(timeout=10)) == "STORED"
            running.stop()
    assert stored(path) == 1


def test_an_idle_connection_whose_writer_died_does_no_harm(path, address, commit):
    with listen(address) as listener:
        for number in range(3):
            running = Running(path, listener)
            assert outcome(commit(instance(f"2.25.{number}"))) == "STORED"
            running.stop()
    assert stored(path) == 3


def test_nobody_there_is_lack_of_resources_and_known(address):
    address.parent.mkdir()
    with pytest.raises(Failure) as caught:
        WriterCommit(address, patience=0.1)(instance())
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    assert not isinstance(caught.value, Unanswered)


def test_nobody_answering_is_not_known(address):
    with listen(address), pytest.raises(Unanswered) as caught:
        WriterCommit(address, patience=0.1)(instance())
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES


@pytest.mark.parametrize(("worse", "stays"), [(Outcome.OUT_OF_RESOURCES, True), (Outcome.STORAGE_FAULT, False)])
def test_a_database_that_will_not_is_told_to_all_and_a_broken_disk_ends_the_writer(
    path, address, monkeypatch, worse, stays
):
    def broken(_engine, _writes):
        raise Failure(worse, "the disk")

    with listen(address) as listener:
        questions = [connect(address, 10.0) for _ in range(3)]
        for sock in questions:
            sock.send(ask(instance()))
        with monkeypatch.context() as patch:
            patch.setattr(writer, "run", broken)
            running = Running(path, listener)
            assert {answered(sock.recv(channel.LARGEST)).outcome for sock in questions} == {worse}
            if not stays:
                running.thread.join(timeout=10)
        assert running.thread.is_alive() is stays
        running.stop()
    assert stored(path) == 0
    for sock in questions:
        sock.close()


def test_who_talks_nonsense_is_hung_up_on_and_others_are_served(path, address, commit):
    with writing(path, address):
        with connect(address, 10.0) as sock:
            sock.send(b"not json")
            assert sock.recv(channel.LARGEST) == b""
        assert outcome(commit(instance())) == "STORED"


def test_who_leaves_without_waiting_is_written_and_forgotten(path, address, commit):
    with writing(path, address) as running:
        for number in range(5):
            with connect(address, 10.0) as sock:
                sock.send(ask(instance(f"2.25.{number}")))
        assert outcome(commit(instance("2.25.99"))) == "STORED"
        deadline = time.monotonic() + 10
        while len(running.writer._connections) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(running.writer._connections) == 1
    assert stored(path) == 6


def test_a_listener_without_room_is_asked_again(path, address, commit, monkeypatch):
    real, calls = channel.connect, []

    def full(where, seconds):
        calls.append(seconds)
        if len(calls) < 3:
            raise BlockingIOError
        return real(where, seconds)

    monkeypatch.setattr(channel, "connect", full)
    with writing(path, address):
        assert outcome(commit(instance())) == "STORED"
    assert len(calls) == 3


def test_it_beats_while_nothing_comes(path, address, monkeypatch):
    monkeypatch.setattr(writer, "BEAT_SECONDS", 0.01)
    beats = threading.Semaphore(0)
    with listen(address) as listener:
        idle = writer.Writer(listener, Engine(path, "index"), most=1, seconds=1.0)
        thread = threading.Thread(target=idle.serve, args=(beats.release, int), daemon=True)
        thread.start()
        assert all(beats.acquire(timeout=10) for _ in range(3))
        idle.leave()
        thread.join(timeout=10)
        assert not thread.is_alive()
        assert isinstance(listener, socket.socket)
        assert listener.fileno() >= 0  # it is the supervisor's, for the next writer


def test_it_beats_while_a_commit_waits_but_not_for_ever(path, address, commit, monkeypatch):
    monkeypatch.setattr(writer, "BEAT_SECONDS", 0.01)
    beats = threading.Semaphore(0)
    with listen(address) as listener:
        slow = writer.Writer(listener, Engine(path, "index"), most=1, seconds=1.0)
        thread = threading.Thread(target=slow.serve, args=(beats.release, int), daemon=True)
        engine = Engine(path, "index")
        with ThreadPoolExecutor(1) as pool:
            with engine.write():  # nobody else can commit now
                thread.start()
                asking = pool.submit(commit, instance())
                while not slow._since:
                    time.sleep(0.001)
                while beats.acquire(blocking=False):
                    pass
                assert all(beats.acquire(timeout=10) for _ in range(3))
                monkeypatch.setattr(writer, "SLOW_SECONDS", 0.0)
                while beats.acquire(timeout=0.2):  # one may have been on its way
                    pass
                monkeypatch.setattr(writer, "SLOW_SECONDS", 60.0)
                assert beats.acquire(timeout=10)
            assert outcome(asking.result(timeout=10)) == "STORED"
        slow.leave()
        thread.join(timeout=10)
        assert not thread.is_alive()
        engine.close()
    assert not [each for each in threading.enumerate() if each.name == "pulse"]


class Asked:
    """In the index writer's place: counts what is handed over."""

    def __init__(self):
        self.writes = []
        self.closed = False

    def __call__(self, write):
        self.writes.append(write)
        return {"outcome": "STORED", "scan_research_id": "1", "delivery": 1}

    def close(self):
        self.closed = True


def test_who_finds_nobody_writing_commits_for_itself(path):
    engine, writer, told = Engine(path, "index"), Asked(), []
    free = FreeCommit(engine, writer, told.append)
    assert outcome(free(instance())) == "STORED"
    assert not writer.writes
    assert told == [1]
    assert stored(path) == 1
    free.close()
    engine.close()
    assert writer.closed


def test_who_finds_somebody_writing_hands_over_and_leaves_the_lock_alone_for_a_while(path, monkeypatch):
    engine, other, writer, told = Engine(path, "index"), Engine(path, "index"), Asked(), []
    free = FreeCommit(engine, writer, told.append)
    with other.write():
        free(instance("2.25.1"))
        assert writer.writes == [instance("2.25.1")]
        assert told == []  # the index writer counts its own
    free(instance("2.25.2"))  # the lock is free, but the index writer is given it
    assert writer.writes == [instance("2.25.1"), instance("2.25.2")]
    monkeypatch.setattr(commits, "CROWDED_SECONDS", 0.0)
    free._crowded = 0.0
    free(instance("2.25.3"))
    assert len(writer.writes) == 2
    assert stored(path) == 1
    other.close()
    engine.close()


def test_a_disk_that_fails_here_is_no_reason_to_ask_there(path, monkeypatch):
    engine, writer = Engine(path, "index"), Asked()

    def broken(*_args, **_named):
        raise Failure(Outcome.STORAGE_FAULT, "the index database failed")

    monkeypatch.setattr(commits, "run", broken)
    with pytest.raises(Failure) as caught:
        FreeCommit(engine, writer)(instance())
    assert caught.value.outcome is Outcome.STORAGE_FAULT
    assert not writer.writes
    engine.close()


def test_many_at_once_are_each_stored_once_whoever_commits(path, address):
    with writing(path, address):
        engine = Engine(path, "index")
        free = FreeCommit(engine, WriterCommit(address))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(free, [instance(f"2.25.{number}") for number in range(120)] * 2))
        assert {outcome(each) for each in found} == {"STORED"}  # the same moment: the same write, asked again
        free.close()
        engine.close()
    assert stored(path) == 120
