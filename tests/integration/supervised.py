"""A node with a house that only writes down what it was handed: `supervised.py FOLDER WORKERS`, run by the tests.

It prints its port. FOLDER/taken gets a line for each store; a store waits while FOLDER/hold exists. A
child that finds FOLDER/die-NAME dies at once, and while FOLDER/no-fork exists none can be started; `steward` writes
FOLDER/steward-went when it is told to stop, unless FOLDER/stubborn keeps it. On SIGHUP FOLDER/renewed gets a line for
whoever hears it; a worker is not ready to while FOLDER/late exists.
"""

import errno
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from scp import log
from scp.config import Limits
from scp.instance import Arrival
from scp.metrics import declare
from scp.outcome import Outcome
from scp.receive.board import Board, State
from scp.receive.door import FrontDoor
from scp.receive.negotiation import STORAGE_CLASSES
from scp.receive.supervisor import Child, Watch, bind, supervise
from scp.receive.worker import Entrance, run_worker


def take(folder: Path, arrival: Arrival) -> Outcome:
    (folder / "holding").touch()
    while (folder / "hold").exists():
        time.sleep(0.01)
    with (folder / "taken").open("a") as lines:
        lines.write(f"{os.getpid()} {len(arrival.data)} {arrival.sop_instance_uid}\n")
    return Outcome.STORAGE_FAULT if (folder / "fault").exists() else Outcome.STORED


def fork(folder: Path, forked: Callable[[], int]) -> int:
    if (folder / "no-fork").exists():
        raise OSError(errno.EAGAIN, "as where there are as many processes as there may be")
    return forked()


def main(folder: Path, workers: int) -> int:
    log.configure("json")
    listener = bind("127.0.0.1", 0)
    names = [*(f"worker-{number}" for number in range(workers)), "steward"]
    board = Board(names)
    limits = Limits(
        drain_seconds=float(os.environ.get("DRAIN", "20")), max_associations=int(os.environ.get("MOST", "1024"))
    )
    door = FrontDoor(limits, STORAGE_CLASSES, lambda _peer: None, functools.partial(take, folder), declare())

    def worker(slot: int) -> None:
        if (folder / f"die-{names[slot]}").exists():
            sys.exit(3)
        while (folder / "late").exists():
            time.sleep(0.01)
        run_worker([Entrance(listener)], door, board, slot, functools.partial(renew, names[slot]))

    def renew(name: str, door: FrontDoor | None = None) -> FrontDoor | None:
        with (folder / "renewed").open("a") as lines:
            lines.write(f"{name}\n")
        return door

    def steward() -> None:
        told = threading.Event()
        signal.signal(signal.SIGTERM, lambda _number, _frame: told.set())
        while not told.wait(0.02) or (folder / "stubborn").exists():
            state = "\n".join(f"{status.name} {status.pid} {status.restarts}" for status in board.children())
            (folder / "board.new").write_text(f"{board.state.name}\n{state}\n")
            (folder / "board.new").rename(folder / "board")
        (folder / "steward-went").write_text(State(board.state).name)

    def told() -> bool:
        renew("supervisor")
        return True

    os.fork = functools.partial(fork, folder, os.fork)

    def hung() -> None:
        (folder / "hung").touch()

    children = [
        Child(names[slot], functools.partial(worker, slot), listens=True, watched=True, renews=True)
        for slot in range(workers)
    ]
    watch = Watch(float(os.environ.get("HUNG", "60")), hung)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    children.append(Child("steward", steward))
    return supervise([listener], children, board, drain_timeout=limits.drain_seconds, watch=watch, renew=told)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
