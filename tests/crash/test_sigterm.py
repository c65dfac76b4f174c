"""Twenty stops at random moments of a push; `python tests/crash/sigterm.py 200` does as many as is wished."""

import pytest
import sigterm

pytestmark = [pytest.mark.debian, pytest.mark.timeout(900)]  # with the slow tier, because it takes its time


def test_twenty_stops_lose_nothing():
    acknowledged, seconds = sigterm.campaign(20, seed=7)
    assert acknowledged >= 20
    assert (
        len(seconds) == 20
    )  # how long is told by hand only: a machine with other things to do is no fault of the node


def test_what_is_missing_is_seen(tmp_path):
    node = sigterm.Node(tmp_path)
    node.start()
    try:
        sigterm.send(
            [sigterm.unlike(1)], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3
        )
        node.published(1)
    finally:
        assert node.stop() == 0
    assert sigterm.missing(node, {1}) == []
    assert sigterm.missing(node, {1, 2}) == ["row"]
    next(node.export.rglob("*.dcm")).unlink()
    assert len(sigterm.missing(node, {1})) == 1
