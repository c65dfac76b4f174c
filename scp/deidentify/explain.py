"""Why a plan does what it does: which line decided on an attribute, at the top, inside of sequences, in one place."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from scp import dictionary
from scp.deidentify import fields
from scp.deidentify.decision import Decision
from scp.deidentify.fields import Inside, Matching, Private, Repeated, Tag
from scp.deidentify.places import General
from scp.deidentify.policy import SHOWING
from scp.deidentify.search import STAY
from scp.deidentify.step import Action, Step
from scp.deidentify.values import TEXT_VRS

if TYPE_CHECKING:
    from scp.deidentify.plan import Plan


def explain(plan: "Plan", text: str) -> tuple[Decision, ...]:
    """What becomes of an attribute named as recipes name them, at the top and, if different, inside sequences.

    Raises ValueError with a sentence where no attribute is named.
    """
    named = fields.parse(text)
    if isinstance(named, Matching):
        raise ValueError(f"{text} is an expression; name one attribute")  # noqa: TRY004  a text is wrong
    if isinstance(named, Inside):
        return (_placed(plan, text, named),)
    if isinstance(named, Private):
        return (_decision(plan, text, _general(plan).of(named)), *_places(plan, named))
    if isinstance(named, Repeated):
        return _repeated(plan, text, named)
    tag = named.attribute.tag
    step, name = plan.decisions.get(tag), dictionary.write(tag)
    if tag in SHOWING:
        return (_decision(plan, name, step), *plan.images())
    if added := plan.added.get(tag):
        within = _decision(plan, f"{name} inside sequences", step)
        return (_decision(plan, name, added), within, *_searches(plan, tag), *_places(plan, tag))
    return (_decision(plan, name, step), *_searches(plan, tag), *_places(plan, tag))


def _placed(plan: "Plan", text: str, named: Inside) -> Decision:
    """What becomes of the attribute in its place: it goes with the first sequence above it that does not stay."""
    for depth in range(1, len(named.tags)):
        step = _step(plan, Inside(named.tags[:depth], named.items[: depth - 1]))
        if step is None or step.action is not Action.RECURSE:
            above = named.tags[depth - 1]
            name = dictionary.write(above) if isinstance(above, int) else str(above)
            return replace(_decision(plan, text, step), action=f"{Action.REMOVE.value} with {name}")
    return _decision(plan, text, _step(plan, named))


def _step(plan: "Plan", place: Inside) -> Step | None:
    """What is decided on one place; what is added at the top is written anew, with no item of those that were sent."""
    if found := plan.places.at(place):
        return found.step
    tag = place.tags[-1]
    added = plan.added.get(tag) if len(place.tags) == 1 and isinstance(tag, int) else None
    return added or _general(plan).of(tag)


def _repeated(plan: "Plan", keyword: str, named: Repeated) -> tuple[Decision, ...]:
    """What becomes of the attribute in most of the groups that repeat it, then in each where it is something else."""
    each = {one.tag: plan.added.get(one.tag) or plan.decisions.get(one.tag) for one in named.attributes}
    said = {tag: (step.action, step.rule) if step else None for tag, step in each.items()}
    ((general, _),) = Counter(said.values()).most_common(1)
    first = next(each[tag] for tag in said if said[tag] == general)
    others = [_decision(plan, dictionary.write(tag), each[tag]) for tag in said if said[tag] != general]
    return (_decision(plan, keyword, first), *others)


def _general(plan: "Plan") -> General:
    """What is said of attributes wherever they stand inside of sequences."""
    return General(plan.decisions, plan.private, {})


def _places(plan: "Plan", tag: Tag) -> list[Decision]:
    """What lines say of an attribute in single places."""
    lines = [one.step for one in plan.places.lines if one.tag == tag]
    return [_decision(plan, step.rule.name, step) for step in lines if step.rule]


def _searches(plan: "Plan", tag: int) -> list[Decision]:
    """What becomes of a text that is kept where it holds a value that the recipe looks for."""
    step, attribute = plan.decisions.get(tag), dictionary.find(tag)
    if (
        step is None
        or attribute is None
        or step.action is not Action.KEEP
        or tag in STAY
        or attribute.vrs[0] not in TEXT_VRS
    ):
        return []
    name = dictionary.write(tag)
    return [_decision(plan, f"{name} with one of {one.rule.name}", one.step(attribute)) for one in plan.searches]


def _decision(plan: "Plan", name: str, step: Step | None) -> Decision:
    action = step.action.value if step else Action.REMOVE.value
    if step is None or step.rule is None:
        return Decision(name, action, plan.recipe.path, 0, "")
    return Decision(name, action, step.rule.path, step.rule.line, step.rule.text)
