"""SIGTERM, dead workers and what /readyz says of both."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

from factories import mr
from running import Node, wait

from scp.retrieve.send import SendError, send


def push(node, *instances):
    return send(list(instances), host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS")


def test_a_store_in_flight_is_answered_and_kept(tmp_path):
    node = Node(tmp_path, limits__drain_seconds=20)
    node.start()
    large = mr(Rows=2048, Columns=2048, PixelData=bytes(2048 * 2048 * 2))
    statuses = []
    sender = threading.Thread(target=lambda: statuses.extend(push(node, *[large, mr(1), mr(2)])))
    sender.start()
    wait(lambda: (node.metric("cloakroom_associations_open") or 0) > 0, "the association is open")
    assert node.stop() == 0
    sender.join()
    assert len(node.instances()) == len([status for status in statuses if status == 0])
    assert node.get("/readyz")[0] == 0  # nobody is left to answer
    assert node.workers() == []


def test_the_listener_closes_and_readyz_says_why(tmp_path):
    node = Node(tmp_path, limits__drain_seconds=3)
    node.start()
    large = [mr(number) for number in range(400)]

    def overdue():
        with suppress(SendError):
            push(node, *large)

    sender = threading.Thread(target=overdue, daemon=True)
    sender.start()
    wait(lambda: (node.metric("cloakroom_associations_open") or 0) > 0, "the association is open")
    node.process.send_signal(signal.SIGTERM)
    status, body = wait(lambda: (answer := node.get("/readyz"))[0] != 200 and answer, "readyz turns")
    assert (status, "being shut down" in body) in {(503, True), (0, False)}
    assert node.process.wait(timeout=30) == 0
    sender.join()


def test_a_killed_worker_is_replaced_and_counted(node):
    assert push(node, mr()) == [0]
    node.kill_a_worker()
    wait(lambda: node.metric("cloakroom_worker_restarts_total") == 1, "the restart is counted")
    assert push(node, mr(1)) == [0]
    assert node.metric('cloakroom_instances_total{outcome="stored"}') == 2


def test_killing_the_supervisor_leaves_no_process(node):
    pids = node.workers()
    assert len(pids) == 2
    node.kill()
    wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the workers are gone")
    node.start()
    assert push(node, mr()) == [0]


def test_a_node_whose_workers_hang_is_not_ready(node):
    pids = node.workers()
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        assert wait(lambda: node.get("/readyz")[0] == 503, "readyz turns")
        assert "no worker serves" in node.get("/readyz")[1]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
