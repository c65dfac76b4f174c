"""Compiles a recipe to a plan: one decision for each attribute of the dictionary, made once.

deid's precedence, as its users know it: what any KEEP names is left alone by all others but ADD; REMOVE leaves alone
what a REPLACE or JITTER names; of REPLACE, JITTER and BLANK the last wins. One rule of ours comes on top: among these
a line that names an attribute is stronger than one with an expression, and that is stronger than ALL, so that BLANK
can name an exception from REMOVE ALL. What no line names is kept only where the dictionary knows it; private
attributes leave only by a KEEP line of their own.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from scp import dictionary
from scp.deidentify.fields import NEVER, Matching, Named, Private
from scp.deidentify.functions import FUNCTIONS
from scp.deidentify.functions.description import is_writable
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import Recipe, RecipeError, Rule
from scp.deidentify.step import Action, Step, keep
from scp.deidentify.values import TEXT_VRS
from scp.dictionary import Attribute

_SHIELDS = frozenset({"REPLACE", "JITTER"})
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018


@dataclass(frozen=True, slots=True)
class Policy:
    """What the site configures: the series description as sent (exact) -> the name that is written instead."""

    protocols: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that cannot be written: ValueError."""
        for name in self.protocols.values():
            if not is_writable(name):
                raise ValueError(f"the protocol name {name!r} cannot be written into headers and folder names")


def compile(recipe: Recipe, policy: Policy) -> Plan:  # noqa: A001  there is no other word for it
    """The plan that executes a recipe. Raises RecipeError at a line that contradicts, repeats or never applies."""
    _check_repeated(recipe)
    compiler = _Compiler(recipe)
    named = [rule.attributes.attribute for rule in recipe.rules if isinstance(rule.attributes, Named)]
    attributes = {attribute.tag: attribute for attribute in (*dictionary.ATTRIBUTES.values(), *named)}
    decided = {tag: compiler.decide(attribute) for tag, attribute in attributes.items() if tag >> 16 not in NEVER}
    plan = Plan(
        recipe=recipe,
        digest=_digest(recipe, policy),
        protocols=dict(policy.protocols),
        excluded=compiler.excluded,
        decisions=decided,
        private=compiler.private(),
        added=compiler.added(),
    )
    _check_reached(recipe, plan)
    _check_identifiers(recipe, plan)
    return plan


class _Compiler:
    """The rules of one recipe, sorted for being asked about one attribute after the other."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.excluded = frozenset(
            vr for directive in recipe.directives if directive.name == "exclude_vr" for vr in directive.words
        )
        self._named: dict[int, Rule] = {}
        self._matching: list[tuple[Callable[[Attribute], bool], Rule]] = []
        for rule in recipe.rules:
            if isinstance(rule.attributes, Named) and rule.verb != "ADD":
                self._named[rule.attributes.attribute.tag] = rule
            elif isinstance(rule.attributes, Matching):
                self._matching.append((rule.attributes.matches, rule))

    def decide(self, attribute: Attribute) -> Step:
        """What becomes of a public attribute wherever it stands."""
        rules = [rule for matches, rule in self._matching if matches(attribute)]
        if rule := self._named.get(attribute.tag):
            rules.append(rule)
        decider = _strongest(rules)
        if decider is None or decider.verb == "KEEP":
            return self._kept(attribute, decider)
        if decider.verb == "REMOVE":
            return Step(Action.REMOVE, attribute.vrs, decider)
        if decider.verb == "BLANK":
            return Step(Action.BLANK, attribute.vrs, decider)
        if not set(attribute.vrs) <= TEXT_VRS.keys():
            raise self._error(decider, f"it can write text only, and {dictionary.write(attribute.tag)} is none")
        return Step(Action.REPLACE, attribute.vrs, decider, function=decider.function)

    def private(self) -> dict[tuple[int, str, int], Step]:
        """The steps of private attributes, by group, creator and last two digits of the tag."""
        steps = {}
        for rule in self.recipe.rules:
            if isinstance(private := rule.attributes, Private):
                if private.vr in self.excluded and rule.verb != "REMOVE":
                    raise self._error(rule, f"its VR {private.vr} never leaves by exclude_vr; leave the line out")
                steps[private.group, private.creator, private.element] = self._private(private, rule)
        return steps

    def added(self) -> dict[int, Step]:
        """The steps of ADD by tag, in ascending order."""
        steps = {
            rule.attributes.attribute.tag: Step(Action.ADD, rule.attributes.attribute.vrs, rule, function=rule.function)
            for rule in self.recipe.rules
            if rule.verb == "ADD" and isinstance(rule.attributes, Named)
        }
        return dict(sorted(steps.items()))

    def _private(self, private: Private, rule: Rule) -> Step:
        if rule.verb == "KEEP":
            return keep((private.vr,), rule, self.excluded)
        action = Action.REPLACE if rule.rewrite else Action.REMOVE
        return Step(action, (private.vr,), rule, rewrite=rule.rewrite)

    def _kept(self, attribute: Attribute, rule: Rule | None) -> Step:
        named = rule is not None and isinstance(rule.attributes, Named)
        if rule and named and not attribute.keyword:
            raise self._error(rule, "nobody knows what this tag holds, so it cannot be kept; leave the line out")
        if self.excluded.issuperset(attribute.vrs):
            if rule and named:
                raise self._error(rule, f"its VR {attribute.vrs[0]} never leaves by exclude_vr; leave the line out")
            return Step(Action.REMOVE, attribute.vrs, rule)
        return keep(attribute.vrs, rule, self.excluded)

    def _error(self, rule: Rule, sentence: str) -> RecipeError:
        return RecipeError(self.recipe.path, rule.line, f"{rule.text}: {sentence}")


def _strongest(rules: Iterable[Rule]) -> Rule | None:
    """The rule that decides where several match, by the precedence this module's docstring tells."""
    by_strength = sorted(rules, key=_strength)
    for verbs in (frozenset({"KEEP"}), _SHIELDS):
        if any(rule.verb in verbs for rule in by_strength):
            allowed = verbs if "KEEP" in verbs else verbs | {"BLANK"}
            return [rule for rule in by_strength if rule.verb in allowed][-1]
    return by_strength[-1] if by_strength else None


def _strength(rule: Rule) -> tuple[int, bool, int]:
    nearness = 2
    if isinstance(rule.attributes, Matching):
        nearness = 0 if rule.attributes.everything else 1
    return nearness, rule.verb == "REMOVE", rule.line


def _check_repeated(recipe: Recipe) -> None:
    seen: dict[object, int] = {}
    for rule in recipe.rules:
        key: object = rule.attributes
        if isinstance(rule.attributes, Matching):
            key = (rule.verb, rule.name.lower())
            if rule.attributes.everything and rule.verb != "REMOVE":
                raise RecipeError(recipe.path, rule.line, f"{rule.verb} ALL reaches further than anybody can have read")
        if first := seen.get(key):
            raise RecipeError(recipe.path, rule.line, f"line {first} has a rule for this field already; leave one")
        seen[key] = rule.line
    names: dict[str, int] = {}
    for directive in recipe.directives:
        if first := names.get(directive.name):
            raise RecipeError(recipe.path, directive.line, f"line {first} gives {directive.name} already; leave one")
        names[directive.name] = directive.line


def _check_reached(recipe: Recipe, plan: Plan) -> None:
    steps = (*plan.decisions.values(), *plan.private.values(), *plan.added.values())
    reached = {step.rule.line for step in steps if step.rule}
    for rule in recipe.rules:
        if rule.line not in reached:
            raise RecipeError(
                recipe.path,
                rule.line,
                f"{rule.text} never applies: other lines decide, or nothing matches; leave it out",
            )


def _check_identifiers(recipe: Recipe, plan: Plan) -> None:
    """File meta, index and layout name the instance by its class and its new UID: the data set has to agree."""
    if plan.decisions[_SOP_CLASS_UID].action is not Action.KEEP or _SOP_CLASS_UID in plan.added:
        raise RecipeError(recipe.path, 1, "SOPClassUID has to stay; write KEEP SOPClassUID")
    step = plan.added.get(_SOP_INSTANCE_UID) or plan.decisions[_SOP_INSTANCE_UID]
    if step.function is not FUNCTIONS["uid"]:
        raise RecipeError(recipe.path, 1, "SOPInstanceUID has to be new; write REPLACE SOPInstanceUID func:uid")


def _digest(recipe: Recipe, policy: Policy) -> str:
    """SHA-256 over the recipe's bytes and the policy, in hexadecimal: whatever decides on an instance."""
    configured = json.dumps({"protocols": dict(policy.protocols)}, sort_keys=True)
    return hashlib.sha256(recipe.content + b"\0" + configured.encode()).hexdigest()
