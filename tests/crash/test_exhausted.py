"""Workers that get no more memory: who is being served hears it or is cut off, and the node goes on."""

import os
import resource
import threading
from pathlib import Path

import pytest
from factories import mr
from running import Node, wait

from scp.retrieve.send import SendError, send

pytestmark = pytest.mark.timeout(300)

MIB = 2**20
SIDE = 4096  # of an image, so that it has 32 MiB
AT_ONCE = 6
SPARE = 70 * MIB  # what a worker may still take: two such instances


@pytest.fixture
def node(tmp_path):
    """One worker that holds all of an instance in memory and counts on having it."""
    limits = {"stream_bytes": 256 * MIB, "max_bytes_in_flight": 1024 * MIB}
    node = Node(tmp_path, workers=1, **{f"limits__{name}": value for name, value in limits.items()})
    node.start()
    yield node
    node.stop()


def image(number):
    pixels = number.to_bytes(4, "little") * (SIDE * SIDE // 2)
    return mr(0, SOPInstanceUID=f"2.25.{10**20 + number}", Rows=SIDE, Columns=SIDE, PixelData=pixels)


def pushed(node, numbers):
    """The status of each, all sent at once; None where the association was cut off."""
    answers = {}

    def push(number):
        try:
            (answers[number],) = send(
                [image(number)], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS"
            )
        except (SendError, OSError, ValueError):
            answers[number] = None

    threads = [threading.Thread(target=push, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def limit(pid, size):
    resource.prlimit(pid, resource.RLIMIT_AS, (size, resource.getrlimit(resource.RLIMIT_AS)[1]))


def address_space(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def test_what_finds_no_memory_is_not_acknowledged_and_the_node_goes_on(node):
    assert pushed(node, [0]) == {0: 0x0000}
    (worker,) = node.workers()
    limit(worker, address_space(worker) + SPARE)
    answers = pushed(node, range(1, 1 + AT_ONCE))
    assert set(answers.values()) - {0x0000}, "there was memory enough for all"
    limit(worker, resource.RLIM_INFINITY)
    stored = [number for number, answer in answers.items() if answer == 0x0000]
    assert node.metric('cloakroom_instances_total{outcome="stored"}') == 1 + len(stored)
    assert node.workers() == [worker]  # nobody had to die of it
    wait(lambda: node.metric("cloakroom_associations_open") == 0, "all associations have ended")
    assert pushed(node, range(1, 1 + AT_ONCE)) == dict.fromkeys(range(1, 1 + AT_ONCE), 0x0000)
    node.published(1 + AT_ONCE)
    assert node.stop() == 0
    assert not list((node.export / ".tmp").rglob(".tmp-*"))
    assert node.command("verify").returncode == 0
