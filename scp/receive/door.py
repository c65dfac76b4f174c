"""What the front door is handed, so that it knows no other room."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scp.instance import Arrival, Peer
from scp.outcome import Outcome, Rejection
from scp.receive.answers import Answers

if TYPE_CHECKING:
    from scp.config import Limits
    from scp.metrics import Metrics
    from scp.receive.identity import Users


@dataclass(frozen=True, slots=True)
class FrontDoor:
    """What an association needs: limits, the SOP classes stored, who may come in, and what to do with what they bring.

    `take` carries one instance through the house and returns what the wire shall hear; without `users` a user identity
    is passed over, as one that is not supported. `closed` says why no instance may come in just now, "" if one may; it
    is asked before the first byte of a data set, of which nothing is kept then. `transfer_syntaxes` are the site's, the
    preferred one first; none means all, in the node's own order.
    """

    limits: "Limits"
    sop_classes: frozenset[str]
    admit: Callable[[Peer], Rejection | None]
    take: Callable[[Arrival], Outcome]
    metrics: "Metrics"
    users: "Users | None" = None
    transfer_syntaxes: tuple[str, ...] = ()
    closed: Callable[[], str] = str
    answers: Answers = field(init=False, default_factory=Answers, repr=False)  # a door with other settings has others
