"""One association's sender, its own process: `python -m bench.sender PORT WORKLOAD FIRST STEP SECONDS EACH [PACE]`.

It maps the workload, says `ready`, waits for a line, and sends each STEP-th instance from FIRST on until all are
acknowledged or SECONDS are over. With EACH 1, every instance has an association of its own. It prints as JSON how many
were acknowledged with success, how many otherwise, and the monotonic times of its beginning and end. SECONDS below 0:
send the workload round and round for so long, at most PACE instances a second if that is given, and print the time of
each acknowledgement.
"""

import json
import mmap
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench import wire


class Entry(NamedTuple):
    """Where an instance lies in the workload's file."""

    offset: int
    length: int
    sop_class: str
    uid: str


def read(folder: Path) -> tuple[memoryview, list[Entry]]:
    """A workload's bytes, not copied, and its entries."""
    entries = [Entry(*row) for row in json.loads((folder / "index.json").read_text("utf-8"))]
    with (folder / "data").open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)), entries


class Sender:
    """Counts what is acknowledged."""

    def __init__(self, port: int, data: memoryview, seconds: float) -> None:
        self.port, self.data, self.seconds = port, data, seconds
        self.stored = self.failed = 0
        self.times: list[float] = []
        self.deadline = 0.0

    def start(self) -> float:
        """The clock begins."""
        now = time.monotonic()
        self.deadline = now + abs(self.seconds)
        return now

    def on_one(self, entries: list[Entry]) -> None:
        """All on one association."""
        with wire.association(self.port, entries[0].sop_class) as (sock, max_pdu):
            for entry in entries:
                wire.send_all(sock, self.slices(entry, max_pdu))
                self.count(wire.status(sock))
                if time.monotonic() > self.deadline:
                    break

    def on_each(self, entries: list[Entry]) -> None:
        """Each on its own."""
        for entry in entries:
            self.on_one([entry])
            if time.monotonic() > self.deadline:
                break

    def round_and_round(self, entries: list[Entry], pace: float) -> None:
        """The same again and again, each time under new UIDs of the same length."""
        turn, begun = 0, time.monotonic()
        with wire.association(self.port, entries[0].sop_class) as (sock, max_pdu):
            while time.monotonic() < self.deadline:
                for entry in entries:
                    if pace:
                        time.sleep(max(begun + len(self.times) / pace - time.monotonic(), 0))
                    uid = entry.uid[:-6] + f"{turn:06d}"
                    body = bytes(self.data[entry.offset : entry.offset + entry.length])
                    body = body.replace(entry.uid.encode(), uid.encode(), 1)
                    wire.send_all(sock, wire.store(entry.sop_class, uid, memoryview(body), max_pdu))
                    self.count(wire.status(sock))
                    self.times.append(time.monotonic())
                    if time.monotonic() > self.deadline:
                        break
                turn += 1

    def slices(self, entry: Entry, max_pdu: int) -> list[bytes | memoryview]:
        """The request as it goes to the socket."""
        data = self.data[entry.offset : entry.offset + entry.length]
        return wire.store(entry.sop_class, entry.uid, data, max_pdu)

    def count(self, status: int) -> None:
        """One more answer."""
        self.stored += not status
        self.failed += bool(status)


def main(  # noqa: PLR0913  argv
    port: int, folder: Path, first: int, step: int, seconds: float, *, each: bool, pace: float
) -> None:
    """Send one share."""
    data, entries = read(folder)
    sender = Sender(port, data, seconds)
    entries = entries[first::step]
    print("ready", flush=True)
    sys.stdin.readline()
    begun = sender.start()
    if seconds < 0:
        sender.round_and_round(entries, pace)
    elif each:
        sender.on_each(entries)
    else:
        sender.on_one(entries)
    said = {"stored": sender.stored, "failed": sender.failed, "begun": begun, "ended": time.monotonic()}
    print(json.dumps(said | {"times": sender.times}), flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        Path(sys.argv[2]),
        int(sys.argv[3]),
        int(sys.argv[4]),
        float(sys.argv[5]),
        each=sys.argv[6] == "1",
        pace=float(sys.argv[7]) if len(sys.argv) > 7 else 0.0,
    )
