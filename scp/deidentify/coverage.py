"""What a recipe keeps of the attributes that the Basic Profile protects (PS3.15 E.1-1), and why it says it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scp import dictionary
from scp.deidentify import profile
from scp.deidentify.fields import Inside, Named, Private
from scp.deidentify.places import Place
from scp.deidentify.plan import Plan
from scp.deidentify.profile import Row
from scp.deidentify.recipe import RecipeError, Rule
from scp.deidentify.step import Action, Step

_INSIDE = frozenset({"D", "U", "X/D", "X/Z/D", "X/Z/U*", "Z/D"})
"""Codes of sequences that have to stay: going through their items by the same rules weakens nothing."""


@dataclass(frozen=True, slots=True)
class Weakness:
    """A row of E.1-1 of which more stays than its code allows; line 0 and no reason where no line decided."""

    attribute: str
    code: str
    action: str
    path: Path
    line: int
    because: str


def weaknesses(plan: Plan) -> tuple[Weakness, ...]:
    """The rows that the recipe weakens, in the order of the table, then its private attributes."""
    return tuple(_weakness(plan, name, code, step) for name, code, step in _weak(plan))


def check(plan: Plan) -> None:
    """Raise RecipeError at a line that weakens a row of E.1-1 and has no `# because:` above it."""
    for name, code, step in _weak(plan):
        if step.rule and not step.rule.because:
            leaves = f"{step.rule.text} leaves more of {name} than PS3.15 does ({code})"
            raise RecipeError(step.rule.path, step.rule.line, f"{leaves}; say why in a line above: # because: ...")


def _weak(plan: Plan) -> Iterator[tuple[str, str, Step]]:
    for row in profile.rows():
        if row.tag is None:
            yield from _weak_groups(plan, row)
            continue
        for step in (plan.added.get(row.tag), plan.decisions.get(row.tag)):
            if step and is_weak(row.basic, step):
                yield dictionary.write(row.tag), row.basic, step
        for place in plan.places.lines:
            if place.tag == row.tag and place.step.rule and is_weak(row.basic, place.step):
                yield place.step.rule.name, row.basic, place.step
    yield from _weak_private(plan)


def _weak_private(plan: Plan) -> Iterator[tuple[str, str, Step]]:
    """What stays of private attributes, wherever they stand and in single places."""
    found = [(f'({group:04X},"{creator}",{element:02X})', step)
             for (group, creator, element), step in plan.private.items()]  # fmt: skip
    found += [(str(place.where), place.step) for place in plan.places.lines if isinstance(place.tag, Private)]
    yield from ((name, "X", step) for name, step in found if is_weak("X", step))


def _weak_groups(plan: Plan, row: Row) -> Iterator[tuple[str, str, Step]]:
    """What stays of the attributes of repeating groups; a line that stands for all of them is named once."""
    found = [(dictionary.write(tag), step) for tag, step in (*plan.added.items(), *plan.decisions.items())
             if tag not in dictionary.ATTRIBUTES and row.covers(tag)]  # fmt: skip
    found += [(str(place.where), place.step) for place in plan.places.lines if row.covers(_number(place))]
    said: set[Rule] = set()
    for name, step in found:
        if not is_weak(row.basic, step) or (rule := step.rule) in said:
            continue
        if rule and not isinstance(rule.attributes, Named | Inside):
            said.add(rule)
            yield rule.name, row.basic, step
        else:
            yield name, row.basic, step


def _number(place: Place) -> int:
    """The tag of a public attribute in its place; 0 of a private one."""
    return place.tag if isinstance(place.tag, int) else 0


def is_weak(code: str, step: Step) -> bool:
    """Whether a step leaves something of what was sent that this code of the Basic Profile would not."""
    if step.action is Action.RECURSE:
        return code not in _INSIDE
    return step.action is Action.KEEP or _tells(step.rule)


def _tells(rule: Rule | None) -> bool:
    return rule is not None and rule.value is not None and rule.value.telling


def _weakness(plan: Plan, name: str, code: str, step: Step) -> Weakness:
    rule = step.rule
    if rule is None:
        return Weakness(name, code, step.action.value, plan.recipe.path, 0, "")
    return Weakness(name, code, step.action.value, rule.path, rule.line, rule.because)
