"""One compiled decision: what becomes of an attribute, and the line of the recipe that says so."""

from dataclasses import dataclass, field
from enum import Enum

from scp.deidentify.functions.original import Function, Rewrite
from scp.deidentify.rule import Rule
from scp.deidentify.values import TEXT_VRS

_KINDS = (
    frozenset(TEXT_VRS),
    frozenset({"FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"}),
    frozenset({"OB", "OW"}),
)


class Action(Enum):
    """What becomes of an attribute; the value is how people read it."""

    KEEP = "kept as sent"
    RECURSE = "kept, its items by the same rules"
    BLANK = "kept without value"
    REPLACE = "replaced"
    ADD = "written, sent or not"
    REMOVE = "removed"


@dataclass(frozen=True, slots=True)
class Step:
    """A decision, ready to be executed; `rule` is None where no line names the attribute.

    `vrs` are the dictionary's; `untouched` are those under which an explicit element is copied byte for byte.
    """

    action: Action
    vrs: tuple[str, ...]
    rule: Rule | None = None
    untouched: frozenset[str] = frozenset()
    function: Function | None = field(default=None, repr=False)
    rewrite: Rewrite | None = field(default=None, repr=False)


def keep(vrs: tuple[str, ...], rule: Rule | None, excluded: frozenset[str]) -> Step:
    """The step for what is kept: it may have been sent under any VR of the same kind, text or number or bytes."""
    if vrs == ("SQ",):
        return Step(Action.RECURSE, vrs, rule)
    sent = frozenset(vrs).union(*(kind for kind in _KINDS if not kind.isdisjoint(vrs)))
    return Step(Action.KEEP, vrs, rule, sent - excluded)
