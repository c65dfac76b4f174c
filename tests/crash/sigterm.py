"""SIGTERM at random moments of a push, as often as is asked: `python tests/crash/sigterm.py 200 [SEED]`."""

import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from pusher import unlike
from running import Node, wait

from scp.retrieve.send import send

DRAIN_SECONDS = 1.0
STOP_SECONDS = 5.0  # what the supervisor may take beyond the drain
MOST_SECONDS = 1.5
SENDERS = 2
MANY = 300  # more than a sender comes to send


def missing(node, numbers):
    """Those acknowledged of which there is no row, or whose rows have no file."""
    rows = node.instances()
    files = {path.name for path in node.export.rglob("*.dcm")}
    lost = [row["file_name"] for row in rows if row["file_name"] not in files]
    return lost + ["row"] * max(len(numbers) - len(rows), 0)


def stop_once(folder, moment):
    """One node, pushed at and told to stop; returns acknowledged, missing, exit code and the seconds it took."""
    node = Node(folder, limits__drain_seconds=DRAIN_SECONDS)
    words = [sys.executable, str(Path(__file__)), "push", str(node.port)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": node.environ}
    senders = [subprocess.Popen([*words, str(sender * MANY)], **pipes) for sender in range(SENDERS)]
    node.start()  # while the senders make their instances
    for sender in senders:
        sender.stdin.write(b"go\n")
        sender.stdin.flush()
    try:
        wait(lambda: (node.metric('cloakroom_instances_total{outcome="stored"}') or 0) > 0, "something is stored")
        time.sleep(moment)
        begun = time.monotonic()
        code = node.stop()
        taken = time.monotonic() - begun
    finally:
        node.process.kill()
    said = b"".join(sender.communicate(timeout=60)[0] for sender in senders)  # each ends when its association does
    numbers = {int(line) for line in said.split()}
    return len(numbers), missing(node, numbers), code, taken


def push(port, first):
    """A sender in a process of its own: prints the number of each instance as soon as it is acknowledged."""

    def acknowledged(count, _all):
        print(first + count - 1, flush=True)  # noqa: T201  the parent reads it

    instances = [unlike(number) for number in range(first, first + MANY)]
    sys.stdin.readline()
    with suppress(RuntimeError):  # the node ended the association, as it was told to
        send(instances, host="127.0.0.1", port=port, called="CLOAKROOM", calling="PACS", progress=acknowledged)


def campaign(times, seed):
    """Stop a node so many times, and say how long each took; raises AssertionError at the first that loses anything."""
    draw = random.Random(seed)  # noqa: S311  moments, no secrets
    acknowledged, taken_by_each = 0, []
    for turn in range(times):
        with tempfile.TemporaryDirectory() as folder:
            count, lost, code, taken = stop_once(Path(folder), draw.uniform(0, MOST_SECONDS))
        assert lost == [], f"turn {turn} of seed {seed}: {len(lost)} acknowledged instances are missing"
        assert code == 0, f"turn {turn} of seed {seed}: exit code {code}"
        acknowledged += count
        taken_by_each.append(taken)
    return acknowledged, taken_by_each


if __name__ == "__main__" and sys.argv[1] == "push":
    push(int(sys.argv[2]), int(sys.argv[3]))
elif __name__ == "__main__":
    times, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    acknowledged, seconds = campaign(times, seed)
    late = sum(taken > DRAIN_SECONDS + STOP_SECONDS for taken in seconds)
    print(  # noqa: T201
        f"{times} stops: {acknowledged} instances acknowledged, 0 missing, exit code 0 each time; the longest took "
        f"{max(seconds):.1f} s, {late} more than the drain and {STOP_SECONDS:g} s"
    )
