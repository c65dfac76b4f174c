"""The one table of what a delivery of a visit can be, from its first instance to the Data Factory's tree."""

from enum import Enum
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table: whether instances may still join, which states may follow, and what it means.

    An instance that joins takes an open delivery back to `receiving` (or `reopened`), whatever its state was: that
    change is in every open row and is not repeated in `then`.
    """

    open: bool
    then: tuple[str, ...]
    meaning: str


class State(Enum):
    """Each row's name is the index column, the metric label, the word in `visit show` and the row in docs/visits.md."""

    RECEIVING = Row(True, ("quiet", "rejected", "moving"), "instances are coming")
    REOPENED = Row(True, ("quiet", "rejected"), "the same, after the visit was published, or expired, before")
    QUIET = Row(
        True,
        ("checked", "held", "quarantined", "rejected", "moving"),
        "complete: every signal, or an operator, says so",
    )
    CHECKED = Row(True, ("approved", "held", "rejected", "moving"), "no gate holds it")
    HELD = Row(
        True,
        ("quiet", "approved", "rejected", "moving", "expiring"),
        "waits for a person: a gate holds it, or approval is asked for",
    )
    QUARANTINED = Row(
        True, ("quiet", "rejected", "moving", "expiring"), "a gate keeps it in staging; nobody can approve it as it is"
    )
    REJECTED = Row(True, ("quiet", "approved", "moving", "expiring"), "a person keeps it in staging")
    APPROVED = Row(True, ("publishing", "rejected"), "will be published as soon as nothing is being added")
    MOVING = Row(False, ("receiving", "merged"), "is being merged or split; taken up again after a crash")
    MERGED = Row(False, (), "all of it is in another visit, and what is sent again goes there")
    PUBLISHING = Row(False, ("published",), "is being moved; taken up again after a crash")
    PUBLISHED = Row(False, ("expiring",), "stands in the export tree, with its marker")
    EXPIRING = Row(False, ("expired",), "its time is over; is being taken away, and taken up again after a crash")
    EXPIRED = Row(False, (), "was taken away; what is sent again opens the next delivery")

    @property
    def label(self) -> str:
        """The row's name as the index, metrics and pages write it."""
        return self.name.lower()

    @property
    def open(self) -> bool:
        """Whether instances may still join."""
        return self.value.open

    @property
    def then(self) -> frozenset["State"]:
        """The states that the steward or a person may put it into from here."""
        return frozenset(State[name.upper()] for name in self.value.then)

    @property
    def meaning(self) -> str:
        """What the row says to a person."""
        return self.value.meaning


ARRIVING = frozenset({State.RECEIVING, State.REOPENED})
"""States in which the steward waits for the signals of completeness."""
