"""What is to be reached, as ratios of medians of one run."""

from collections.abc import Mapping
from dataclasses import dataclass

Medians = Mapping[tuple[str, str, str], float]  # cell, receiver, measure


@dataclass(frozen=True, slots=True)
class Target:
    """This node's `measure` in `cell` is at least (or at most) `factor` times that of `peer`; without one, `factor`."""

    title: str
    cell: str
    measure: str
    peer: str
    factor: float
    mine: str = "cloakroom"
    at_most: bool = False

    def reached(self, medians: Medians) -> tuple[float, bool] | None:
        """The figure and whether it is reached; None where it was not measured."""
        mine = medians.get((self.cell, self.mine, self.measure))
        other = medians.get((self.cell, self.peer, self.measure)) if self.peer else 1.0
        if mine is None or not other:
            return None
        figure = mine / other
        return figure, figure <= self.factor if self.at_most else figure >= self.factor


TARGETS = (
    Target("MR, 1 association: Orthanc tuned", "mr-1", "rate", "orthanc-tuned", 2.3),
    Target("MR, 1 association: pynetdicom's app", "mr-1", "rate", "pynetdicom", 5.0),
    Target("MR, 8 associations: Orthanc tuned", "mr-8", "rate", "orthanc-tuned", 2.0),
    Target("MR, CPU an instance: Orthanc tuned", "mr-1", "cpu", "orthanc-tuned", 0.4, at_most=True),
    Target("MR, CPU an instance: DCMTK tuned", "mr-1", "cpu", "dcmtk-tuned", 2.0, at_most=True),
    Target("MR, 1 association: DCMTK tuned, which keeps nothing durable", "mr-1", "rate", "dcmtk-tuned", 0.35),
    Target("MR, 8 associations: DCMTK tuned (stretch)", "mr-8", "rate", "dcmtk-tuned", 0.5),
    Target("MR, fsync off: DCMTK tuned", "mr-1", "rate", "dcmtk-tuned", 1.0, "unsynced"),
    Target("CT, fsync off: DCMTK tuned", "ct-1", "rate", "dcmtk-tuned", 0.85, "unsynced"),
    Target("tiny, fsync off: DCMTK tuned", "tiny-1", "rate", "dcmtk-tuned", 0.85, "unsynced"),
    Target("stock storescu, 1 association: DCMTK as installed", "stock-1", "rate", "dcmtk", 15.0),
    Target("stock storescu, 1 association: Orthanc as installed", "stock-1", "rate", "orthanc", 15.0),
    Target("stock storescu, 4 associations: DCMTK tuned", "stock-4", "rate", "dcmtk-tuned", 5.0),
    Target("stock storescu, 4 associations: Orthanc tuned", "stock-4", "rate", "orthanc-tuned", 5.0),
    Target("105 MB multi-frame: DCMTK tuned", "multiframe-1", "rate", "dcmtk-tuned", 2.5),
    Target("105 MB multi-frame: Orthanc tuned", "multiframe-1", "rate", "orthanc-tuned", 4.0),
    Target("105 MB multi-frame: MiB of the worker above idle", "multiframe-1", "memory", "", 100.0, at_most=True),
    Target("one instance an association: a second", "each-4", "rate", "", 300.0),
    Target("one instance an association: Orthanc tuned", "each-4", "rate", "orthanc-tuned", 1.0),
    Target("5,000 files imported: share of the front door's rate", "files", "share", "", 0.8),
    Target("1,000 idle associations: throughput kept", "idle", "kept", "", 0.9),
    Target("1,000 idle associations: share of a core when idle", "idle", "core", "", 0.1, at_most=True),
    Target("1,000 idle associations: MiB of all processes", "idle", "memory", "", 200.0, at_most=True),
    Target("scraped every 15 s at 8 associations: throughput lost", "scraping", "lost", "", 0.01, at_most=True),
    Target("a scrape: CPU milliseconds of the node", "scraping", "cpu", "", 150.0, at_most=True),
    Target(
        "steward: CPU of a visit of the last tenth of 1,000 to the first", "steward", "growth", "", 1.25, at_most=True
    ),
    Target("steward: seconds to publish a visit of 2,000", "steward", "publishing", "", 1.0, at_most=True),
    Target("hostile peers: throughput the others keep, worst attack", "hostile", "kept", "", 0.9),
    Target("hostile peers: attacks ended within their limit", "hostile", "ended", "", 1.0),
    Target("hostile peers: MiB that the worst attack adds", "hostile", "memory", "", 512.0, at_most=True),
    Target("hostile peers: seconds until 4 GiB are refused", "hostile", "refusal", "", 0.1, at_most=True),
)

# Who has to be measured in which run, in every round, for the targets; once is enough for the rest of the tables.
NEEDED = frozenset((target.cell, name) for target in TARGETS for name in (target.mine, target.peer) if name) | {
    (cell, name)
    for cell in ("mr-1", "ct-1", "tiny-1")
    for name in ("promise", "promise-logged", "promise-unsynced", "dcmtk-tuned")
}
