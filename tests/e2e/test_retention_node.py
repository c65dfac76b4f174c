"""A running node and what is due: an operator's run beside it, a start that ends what was begun, and a re-send."""

import json
import time

from factories import mr
from running import Node, wait

from scp.db.expiry import Expiry
from scp.retention.due import DAY
from scp.retrieve.send import send

KEPT = {"retention__published_days": 30, "exports": "catalog"}


def push(node):
    statuses = send([mr()], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)
    assert set(statuses) == {0}


def visits(node):
    return json.loads(node.command("visit", "list", "--json").stdout)


def age(node, days):
    """As if everything was published so many days ago."""
    expiry = Expiry(node.state / "index.db")
    with expiry._engine.write():
        database = expiry._engine._database()
        database.execute("UPDATE delivery SET published_at = published_at - :s", {"s": days * DAY})
    return expiry


def had_its_turn(node):
    """Whether the steward has gone through everything today: what is old enough later stays until tomorrow."""
    expiry = Expiry(node.state / "index.db")
    try:
        return (expiry.last() or 0) > time.time() - DAY
    finally:
        expiry.close()


def exported(node):
    return wait(lambda: list(node.export.glob("EHR/*/*/mri_visits.csv")), "the table is there")


def test_an_operator_takes_away_what_is_due_and_it_can_come_again(tmp_path):
    node = Node(tmp_path, **KEPT)
    node.start()
    try:
        push(node)
        assert len(node.published(1)) == len(exported(node)) == 1
        assert json.loads(node.command("retention", "plan", "--json").stdout) == []
        wait(lambda: had_its_turn(node), "the steward has had its turn")
        age(node, 31).close()
        (number,) = [visit["scan_research_id"] for visit in visits(node)]
        assert number in node.command("retention", "plan").stdout
        # The steward has had its turn for today, so this is the operator's.
        said = json.loads(node.command("retention", "run", "--json").stdout)
        assert (said["published"], said["stays"]) == (1, [])
        assert [path.name for path in (node.export / "DICOM").iterdir()] == []
        assert not list(node.export.glob("EHR/*/*/mri_visits.csv"))
        assert visits(node)[0]["state"] == "expired"
        assert json.loads(node.command("verify", "--json").stdout)["findings"] == []
        push(node)
        assert len(node.published(1)) == 1
        assert [(visit["scan_research_id"], visit["deliveries"]) for visit in visits(node)] == [(number, 2)]
        node.command("verify")
    finally:
        node.stop()
    assert "Traceback" not in node.log.read_text()


def test_a_start_ends_what_was_begun_and_the_steward_takes_the_rest(tmp_path):
    node = Node(tmp_path, **KEPT)
    node.start()
    push(node)
    node.published(1)
    exported(node)
    node.kill()
    expiry = age(node, 31)
    (number,) = [visit["scan_research_id"] for visit in visits(node)]
    assert expiry.begin(number, float("inf"), "test")  # and then came the kill
    expiry.ran(expiry.last() - 2 * DAY)
    expiry.close()
    node.start()
    try:
        assert visits(node)[0]["state"] == "expired"
        assert not list(node.export.rglob("*.dcm"))
        push(node)
        node.published(1)
        exported(node)
        wait(lambda: had_its_turn(node), "the steward has had its turn")
        age(node, 31).close()
        node.stop()
        expiry = Expiry(node.state / "index.db")
        expiry.ran(expiry.last() - 2 * DAY)
        expiry.close()
        node.start()
        wait(lambda: node.metric('cloakroom_expired_total{kind="published"}') == 1, "the steward has taken it away")
        assert visits(node)[0]["state"] == "expired"
        node.command("verify")
    finally:
        node.stop()
