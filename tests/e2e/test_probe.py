"""`cloakroom probe` against a real node: what it finds, and that it leaves nothing."""

import pytest
from running import Node, wait

from scp import phantom
from scp.retrieve.probe import Peer, ProbeError, begin_store, echo, rejects
from scp.store.staging import MARK


def traces(node):
    """Everything that an instance could have left."""
    held = [path.name for path in (node.export / ".tmp").rglob("*") if path.is_file() and path.name != MARK]
    return held + [path.name for path in (node.state / "quarantine").rglob("*.age")] + node.instances()


def test_a_node_that_would_take_a_push(node):
    done = node.command("probe", "127.0.0.1", str(node.port), "--status", f"http://127.0.0.1:{node.http_port}")
    assert "answers C-ECHO" in done.stdout
    assert "takes MR images" in done.stdout
    assert done.stdout.count("is ready") == 2
    wait(lambda: node.metric('cloakroom_associations_total{result="aborted"}') == 1, "the abort is counted")
    assert traces(node) == []
    assert node.metric('cloakroom_instances_total{outcome="stored"}') == 0


def test_a_title_that_is_not_the_nodes(node):
    done = node.command("probe", "127.0.0.1", str(node.port), "--called", "OTHER", check=False)
    assert done.returncode == 1
    assert "OTHER at 127.0.0.1" in done.stderr
    assert "rejects the association" in done.stderr


def test_strangers_are_rejected_where_peers_are_named(tmp_path):
    node = Node(tmp_path, peers='[{"ae_title": "PACS"}]')
    node.start()
    try:
        assert rejects(Peer("127.0.0.1", node.port, "CLOAKROOM", "HELM-TEST"))
        assert not rejects(Peer("127.0.0.1", node.port, "CLOAKROOM", "PACS"))
        done = node.command("probe", "127.0.0.1", str(node.port), "--stranger")
        assert "rejects PROBE as it should" in done.stdout
        done = node.command("probe", "127.0.0.1", str(node.port), "--stranger", "--calling", "PACS", check=False)
        assert done.returncode == 1
        assert "was to be rejected" in done.stderr
    finally:
        node.stop()


@pytest.mark.parametrize("words", [(), ("--stranger",)])
def test_nobody_there(tmp_path, words):
    node = Node(tmp_path)
    done = node.command("probe", "127.0.0.1", str(node.port), *words, check=False)
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.invalid",), "nowhere.invalid is no address"),
        (("127.0.0.1", "--calling", "A" * 17), "is no AE title"),
        (("--status", "http://["), "http://[ is not ready"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(tmp_path, words, said):
    done = Node(tmp_path).command("probe", *words, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_receiver_that_takes_no_images(tmp_path):
    node = Node(tmp_path, sop_classes="1.2.840.10008.5.1.4.1.1.2")
    node.start()
    try:
        peer = Peer("127.0.0.1", node.port, "CLOAKROOM", "PROBE")
        echo(peer)
        with pytest.raises(ProbeError, match="accepts nothing of it"):
            begin_store(peer, phantom.study()[0])
    finally:
        node.stop()


@pytest.mark.parametrize(("status", "said"), [("ftp://x", "begins with http://"), ("http://127.0.0.1:1", "not ready")])
def test_a_status_that_is_none(tmp_path, status, said):
    done = Node(tmp_path).command("probe", "--status", status, check=False)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_node_that_is_not_ready(tmp_path):
    full = Node(tmp_path / "full", min_free_bytes=2**60)
    full.folder.mkdir()
    full.ready = lambda: full.get("/readyz")[0] == 503 and "min_free_bytes" in full.get("/readyz")[1]
    full.start()
    try:
        done = full.command("probe", "--status", f"http://127.0.0.1:{full.http_port}", check=False)
        assert (done.returncode, "is not ready (503)" in done.stderr) == (1, True)
    finally:
        full.stop()
