"""The table of states against itself, the index' SQL, the page that documents it, and every change there is."""

import re
from pathlib import Path

import pytest
from doubles import VISIT, clean

from scp.db.engine import queries
from scp.db.index import Delivery, Index
from scp.outcome import Failure
from scp.state import ARRIVING, State

PAGE = (Path(__file__).parents[2] / "docs" / "visits.md").read_text("utf-8")
FIRST = Delivery(VISIT, 1)
WAYS = {  # how a delivery gets into each state, from where instances come
    State.RECEIVING: (),
    State.QUIET: (State.QUIET,),
    State.CHECKED: (State.QUIET, State.CHECKED),
    State.HELD: (State.QUIET, State.HELD),
    State.QUARANTINED: (State.QUIET, State.QUARANTINED),
    State.REJECTED: (State.REJECTED,),
    State.APPROVED: (State.QUIET, State.CHECKED, State.APPROVED),
}


@pytest.fixture
def index(tmp_path):
    index = Index(tmp_path / "index.db")
    index.open("node")
    return index


def store(index, number=1):
    instance = clean(number)
    return index.record(instance, None, f"{number}.dcm", index.open_delivery(instance))


def entry(index):
    return index.of_visit(VISIT)[-1]


def bring(index, state):
    store(index)
    for step in WAYS[state]:
        assert index.enter(entry(index), step, "test")


def open_in(query):
    """The states that a statement of the index names behind IN."""
    names = re.search(r"state IN \(([^)]*)\)", queries("index")[query]).group(1)
    return {State[name.strip(" '").upper()] for name in names.split(",")}


def test_the_sql_knows_the_same_open_states():
    still_open = {state for state in State if state.open}
    assert open_in("open_delivery") == still_open
    assert open_in("touch_delivery") == open_in("quiet_deliveries") == ARRIVING
    assert open_in("reopen_delivery") == still_open - ARRIVING
    assert open_in("begin_publishing") == {State.APPROVED, State.PUBLISHING}


def test_every_state_can_come_and_all_but_two_ends_can_go():
    assert {after for state in State for after in state.then} == set(State) - {State.REOPENED}
    assert [state for state in State if not state.then] == [State.MERGED, State.EXPIRED]


def test_the_page_is_the_table():
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (
            state.label,
            "yes" if state.open else "no",
            " ".join(f"`{name}`" for name in state.value.then),
            state.meaning,
        )
        for state in State
    ]


@pytest.mark.parametrize("state", WAYS)
@pytest.mark.parametrize("after", State)
def test_only_the_changes_of_the_table_are_made(index, state, after):
    bring(index, state)
    if after not in state.then:
        with pytest.raises(ValueError, match="is not followed by"):
            index.enter(entry(index), after, "test")
        assert index.state(FIRST) == state.label
    else:
        assert index.enter(entry(index), after, "test")
        assert index.state(FIRST) == after.label


@pytest.mark.parametrize("state", WAYS)
def test_an_instance_takes_whatever_is_open_back_to_receiving(index, state):
    bring(index, state)
    assert store(index, 2).delivery == FIRST
    assert index.state(FIRST) == "receiving"
    history = [row["state"] for row in index.listing("visit_states", scan_research_id=VISIT)]
    assert history == ["receiving", *(step.label for step in WAYS[state]), *(["receiving"] if WAYS[state] else [])]
    assert len(index.files(FIRST)) == 2


def test_nobody_decides_on_what_changed_meanwhile(index):
    store(index)
    seen = entry(index)
    store(index, 2)
    assert not index.enter(seen, State.QUIET, "seen before the second one")
    assert index.state(FIRST) == "receiving"
    seen = entry(index)
    assert index.enter(seen, State.QUIET, "first")
    assert not index.enter(seen, State.QUIET, "second")


def test_what_is_published_opens_anew_as_reopened(index):
    bring(index, State.APPROVED)
    assert index.begin_publishing(FIRST, "DICOM/x")
    assert index.finish_publishing(FIRST)
    with pytest.raises(Failure, match="was being published"):
        index.record(clean(2), None, "2.dcm", FIRST)
    assert store(index, 2).delivery == Delivery(VISIT, 2)
    assert entry(index).state is State.REOPENED
    assert index.enter(entry(index), State.QUIET, "test")
    store(index, 3)
    assert entry(index).state is State.REOPENED


def test_every_state_has_its_date_and_its_reason(index, monkeypatch):
    monkeypatch.setattr("scp.db.index.time.time", lambda: 10.0)
    store(index)
    monkeypatch.setattr("scp.db.index.time.time", lambda: 20.0)
    index.enter(entry(index), State.QUIET, "nothing came")
    rows = index.listing("visit_states", scan_research_id=VISIT)
    assert [(row["state"], row["entered_at"], row["why"]) for row in rows] == [
        ("receiving", 10.0, "first arrival"),
        ("quiet", 20.0, "nothing came"),
    ]


def test_who_sent_to_a_delivery_is_known_once_each(index):
    for number, calling in enumerate(["PACS", "A_C", "ABC", "PACS", "", "AC"], 1):
        instance = clean(number, calling=calling)
        index.record(instance, None, f"{number}.dcm", index.open_delivery(instance))
    assert entry(index).calling == ("PACS", "A_C", "ABC", "AC")


def test_an_index_of_the_first_release_is_carried_over(tmp_path):
    index = Index(tmp_path / "index.db")
    database = index._engine._database()
    first = (Path(queries.__code__.co_filename).parent / "sql" / "index" / "0001_walk.sql").read_text()
    database.conn.executescript(first)
    database.execute("CREATE TABLE migration (name TEXT PRIMARY KEY)")
    database.execute("INSERT INTO migration VALUES ('0001_walk.sql')")
    database.execute("INSERT INTO visit VALUES ('4711', 'S', 1.0)")
    database.execute(
        "INSERT INTO delivery VALUES ('4711', 1, 'published', 'DICOM/4711', 1.0, 2.0, 3.0), "
        "('4711', 2, 'receiving', NULL, 4.0, 5.0, NULL)"
    )
    index.open("node")
    assert [(held.state, held.calling) for held in index.of_visit("4711")] == [
        (State.PUBLISHED, ()),
        (State.RECEIVING, ()),
    ]
    assert index.enter(index.of_visit("4711")[1], State.QUIET, "nothing came")
