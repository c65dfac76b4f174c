"""What the index says of a visit's deliveries."""

from dataclasses import dataclass

from scp.outcome import Outcome
from scp.state import State


@dataclass(frozen=True, slots=True)
class Delivery:
    """One handing-over of a visit: number 1, and one more for each time instances come after it was published."""

    scan_research_id: str
    number: int

    @property
    def folder(self) -> str:
        """Name of its staging folder."""
        return f"{self.scan_research_id}-{self.number}"


@dataclass(frozen=True, slots=True)
class Quiet:
    """A delivery the steward has to do something about, as it was when the index was asked."""

    delivery: Delivery
    path: str | None
    last_arrival: float
    state: State
    calling: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A delivery, its state, and the folder below the export root that was written down for it."""

    delivery: Delivery
    state: State
    path: str | None


@dataclass(frozen=True, slots=True)
class Missed:
    """Where a row said that an instance is whose file was not there, and since when (s since the epoch)."""

    delivery: Delivery
    stored_at: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` found: the outcome, and the delivery that holds the instance."""

    outcome: Outcome
    delivery: Delivery
