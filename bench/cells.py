"""The runs: which workload, sender and number of associations meet which receivers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import processes, senders
from bench.receivers import BARE, RECEIVERS, Receiver, running

STALLING = frozenset(("dcmtk", "dcmtk-tuned", "dcmtk-bit", "orthanc", "orthanc-tuned"))
TUNED = ("cloakroom", "unsynced", "dcmtk-tuned", "dcmtk-bit", "orthanc-tuned", "pynetdicom")
PROMISE = tuple(receiver.name for receiver in BARE)  # which serve one association at a time
ALL = tuple(receiver.name for receiver in RECEIVERS)
SECONDS = 3.0  # the longest that the bench's own sender sends; what was acknowledged by then is the rate


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of figures: `sender` is raw, each (raw, an association an instance), storescu or nodelay."""

    name: str
    title: str
    workload: str
    sender: str
    associations: int
    receivers: Sequence[str] = ALL
    count: int = 0  # instances that storescu sends
    stalled: int = 0  # and to whom 40 ms on each instance would make that minutes


CELLS = (
    Cell("mr-1", "MR, raw sender, 1 association", "mr", "raw", 1, ALL + PROMISE),
    Cell("mr-4", "MR, raw sender, 4 associations", "mr", "raw", 4),
    Cell("mr-8", "MR, raw sender, 8 associations", "mr", "raw", 8),
    Cell("ct-1", "CT, raw sender, 1 association", "ct", "raw", 1, TUNED + PROMISE),
    Cell("ct-4", "CT, raw sender, 4 associations", "ct", "raw", 4, TUNED),
    Cell("ct-8", "CT, raw sender, 8 associations", "ct", "raw", 8, TUNED),
    Cell("tiny-1", "tiny, raw sender, 1 association", "tiny", "raw", 1, TUNED + PROMISE),
    Cell("tiny-4", "tiny, raw sender, 4 associations", "tiny", "raw", 4, TUNED),
    Cell("tiny-8", "tiny, raw sender, 8 associations", "tiny", "raw", 8, TUNED),
    Cell("multiframe-1", "multi-frame of 105 MB, raw sender, 1 association", "multiframe", "raw", 1, TUNED),
    Cell("multiframe-4", "multi-frame of 105 MB, raw sender, 4 associations", "multiframe", "raw", 4, TUNED),
    Cell("stock-1", "MR, storescu as installed, 1 association", "mr", "storescu", 1, count=800, stalled=60),
    Cell("stock-4", "MR, storescu as installed, 4 associations", "mr", "storescu", 4, count=1_600, stalled=240),
    Cell("stock-8", "MR, storescu as installed, 8 associations", "mr", "storescu", 8, count=2_000, stalled=480),
    Cell("nodelay-1", "MR, storescu with TCP_NODELAY=1, 1 association", "mr", "nodelay", 1, TUNED, count=1_000),
    Cell("nodelay-4", "MR, storescu with TCP_NODELAY=1, 4 associations", "mr", "nodelay", 4, TUNED, count=2_000),
    Cell("nodelay-8", "MR, storescu with TCP_NODELAY=1, 8 associations", "mr", "nodelay", 8, TUNED, count=2_000),
    Cell("each-1", "one tiny instance an association, 1 sender", "tiny", "each", 1, TUNED + PROMISE),
    Cell("each-4", "one tiny instance an association, 4 senders", "tiny", "each", 4, TUNED),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One run: instances a second, CPU milliseconds of the receiver an instance, growth of its largest process."""

    rate: float
    cpu: float
    memory: float  # MiB above idle


def run(cell: Cell, receiver: Receiver, workload: Path, folder: Path, *, scale: float = 1.0) -> Figure:
    """One run of one receiver in a fresh folder; raises BenchError."""
    with running(receiver, folder, cell.associations) as here:
        before, cpu = processes.reset_peaks(here.pid), processes.cpu_seconds(here.pid)
        pushed = _push(cell, here.port, workload, scale, stalls=receiver.name in STALLING)
        cpu = processes.cpu_seconds(here.pid) - cpu
        memory = processes.peak_growth(here.pid, before) / 2**20
    return Figure(pushed.count / pushed.seconds, cpu * 1000 / max(pushed.count, 1), memory)


def _push(cell: Cell, port: int, workload: Path, scale: float, *, stalls: bool) -> senders.Pushed:
    if cell.sender in {"raw", "each"}:
        seconds = SECONDS * scale
        return senders.raw(port, workload, cell.associations, seconds, each=cell.sender == "each")
    count = cell.stalled if stalls and cell.stalled else cell.count
    count = max(int(count * scale), 10 * cell.associations)
    return senders.storescu(port, workload, cell.associations, count, nodelay=cell.sender == "nodelay")
