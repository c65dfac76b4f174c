"""What a recipe says that it leaves, and what it keeps: the corpus is held against that."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from planted.person import KINDS
from planted.place import Place
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.deidentify.step import Action

SAID_TO_STAY: Mapping[str, frozenset[str]] = {
    "mip": frozenset({"age"}),
    "mip-strict": frozenset({"age"}),
    "research-mri": frozenset({"time"}),
    "modified-dates": frozenset({"time"}),
    "retain-full-dates": frozenset({"date", "time"}),
    "retain-uids": frozenset({"uid"}),
    "retain-device-identity": frozenset({"device"}),
    "retain-institution-identity": frozenset({"institution"}),
    "retain-patient-characteristics": frozenset({"age"}),
}
"""Nothing of such a kind is hidden from the recipe; everything else is looked for."""
GUARDED = find_spec("scp.deidentify.guard") is not None
"""Without the residual guard, what is written into attributes that a recipe keeps stays there."""


@cache
def plan_of(recipe: str) -> Plan:
    """The compiled recipe, or several with commas between."""
    return compile_plan(load(recipe), Policy({}))


def hidden_kinds(recipe: str) -> frozenset[str]:
    """What of a person the recipe has to take away."""
    return frozenset(KINDS).difference(*(SAID_TO_STAY.get(layer, ()) for layer in recipe.split(",")))


def is_kept(place: Place, plan: Plan) -> bool:
    """Whether the recipe keeps an attribute into which the place writes."""

    def does(tag: int, action: Action) -> bool:
        return tag in plan.decisions and plan.decisions[tag].action is action

    public = any(
        does(path[-1], Action.KEEP) and all(does(tag, Action.RECURSE) for tag in path[:-1]) for path in place.paths
    )
    return public or any(key in plan.private for key in place.private)
