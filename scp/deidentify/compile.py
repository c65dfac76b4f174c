"""Compiles a recipe to a plan: one decision for each attribute of the dictionary, made once.

deid's precedence, as its users know it: what any KEEP names is left alone by all others but ADD; REMOVE leaves alone
what a REPLACE or JITTER names; of REPLACE, JITTER and BLANK the last wins. One rule of ours comes on top: among these
a line that names an attribute is stronger than one with an expression. Whatever their verbs, any line is stronger than
one for ALL, so that BLANK can name an exception from REMOVE ALL and REMOVE one from KEEP ALL, and a line with the tag
of one group is stronger than one with the keyword of all groups that repeat it. What no line names is kept only where
the dictionary knows it; private attributes leave only by a KEEP line of their own.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from scp import dictionary
from scp.deidentify import consistency, coverage
from scp.deidentify import policy as pixel_policy
from scp.deidentify.cleaning import cleaning
from scp.deidentify.consistency import applied
from scp.deidentify.fields import NEVER, Field, Inside, Matching, Named, Private, Repeated
from scp.deidentify.fields import attribute as attribute_of
from scp.deidentify.functions import Made
from scp.deidentify.functions.description import is_writable
from scp.deidentify.functions.original import Original
from scp.deidentify.groups import Searched
from scp.deidentify.places import General, Place, places
from scp.deidentify.plan import Plan
from scp.deidentify.profile import CLEAN_PIXELS_CODE
from scp.deidentify.recipe import Recipe, RecipeError, Rule
from scp.deidentify.search import Search
from scp.deidentify.step import Action, Step, keep
from scp.deidentify.values import TEXT_VRS, Context
from scp.dictionary import Attribute
from scp.pixels import PIXELS

_SAMPLE = dictionary.ATTRIBUTES[0x00100010]
_VALUELESS: Mapping[str, Action] = {"BLANK": Action.BLANK, "REMOVE": Action.REMOVE}
_SHIELDS = frozenset({"REPLACE", "JITTER"})
_BURNED_IN_ANNOTATION = 0x00280301


@dataclass(frozen=True, slots=True)
class Policy:
    """What the site configures: series descriptions as sent (exact) -> names written instead, constants for `var:`."""

    protocols: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names that cannot be written: ValueError."""
        for name in self.protocols.values():
            if not is_writable(name):
                raise ValueError(f"the protocol name {name!r} cannot be written into headers and folder names")


def compile(recipe: Recipe, policy: Policy) -> Plan:  # noqa: A001  there is no other word for it
    """The plan that executes a recipe. Raises RecipeError at a line that contradicts, repeats or never applies."""
    consistency.check_repeated(recipe)
    compiler = _Compiler(recipe, Context(policy.variables, applied(recipe)))
    named = [attribute for rule in recipe.rules for attribute in _named(rule.attributes)]
    attributes = {attribute.tag: attribute for attribute in (*dictionary.ATTRIBUTES.values(), *named)}
    decided = {tag: compiler.decide(attribute) for tag, attribute in attributes.items() if tag >> 16 not in NEVER}
    added, private = compiler.added(), compiler.private()
    plan = Plan(
        recipe=recipe,
        digest=_digest(recipe, policy),
        protocols=dict(policy.protocols),
        excluded=compiler.excluded,
        decisions=decided,
        private=private,
        added=added,
        searches=compiler.searches(),
        unguarded=_unguarded(recipe),
        pixels=pixel_policy.of(recipe),
        added_blanked=_added_blanked(recipe, policy),
        cleaning=cleaning(applied(recipe)),
        places=places(compiler.places(), General(decided, private, added)),
    )
    consistency.check_reached(recipe, compiler.reached)
    consistency.check_identifiers(recipe, plan)
    consistency.check_cleaned(recipe, plan)
    coverage.check(plan)
    return plan


def _named(field: Field | Searched) -> tuple[Attribute, ...]:
    """The public attributes that a field of a line names by themselves, also those that no dictionary knows."""
    if isinstance(field, Named):
        return (field.attribute,)
    if isinstance(field, Repeated):
        return field.attributes
    return field.named if isinstance(field, Matching) else ()


def _added_blanked(recipe: Recipe, policy: Policy) -> dict[int, Step]:
    """What is added where pixels were blanked: the option's code beside the others, and that nothing is burned in."""
    codes = applied(recipe)
    claimed = tuple(sorted({*codes, CLEAN_PIXELS_CODE})) if codes else ()  # an option refines a profile
    steps = _Compiler(recipe, Context(policy.variables, claimed)).added()
    steps[_BURNED_IN_ANNOTATION] = Step(Action.ADD, ("CS",), function=_not_burned_in)
    return dict(sorted(steps.items()))


def _not_burned_in(_value: str, _original: Original) -> str:
    return "NO"  # PS3.15 E.3.1


class _Compiler:
    """The rules of one recipe, sorted for being asked about one attribute after the other."""

    def __init__(self, recipe: Recipe, context: Context) -> None:
        self.recipe = recipe
        self.context = context
        self.reached: set[Rule] = set()
        self.excluded = frozenset(
            vr for directive in recipe.directives if directive.name == "exclude_vr" for vr in directive.words
        )
        self._named: dict[int, list[Rule]] = {}
        self._matching: list[tuple[Callable[[Attribute], bool], Rule]] = []
        for rule in recipe.rules:
            if isinstance(rule.attributes, Matching):
                stays = rule.attributes.everything and rule.verb != "REMOVE"
                self._matching.append((_is_listed if stays else rule.attributes.matches, rule))
            elif rule.verb != "ADD":
                for attribute in _named(rule.attributes):
                    self._named.setdefault(attribute.tag, []).append(rule)

    def decide(self, attribute: Attribute) -> Step:
        """What becomes of a public attribute wherever it stands."""
        rules = [rule for matches, rule in self._matching if matches(attribute)]
        rules += self._named.get(attribute.tag, ())
        decider = None
        for layer in sorted({rule.layer for rule in rules}):
            decider = _strongest([rule for rule in rules if rule.layer == layer])
            self.reached.add(decider)
        return self._step(attribute, decider)

    def _step(self, attribute: Attribute, rule: Rule | None) -> Step:
        """What becomes of a public attribute by this line."""
        if rule is None or rule.verb == "KEEP":
            return self._kept(attribute, rule)
        if rule.verb == "BLANK" and _is_everything(rule) and self._is_never_empty(attribute):
            return Step(Action.REMOVE, attribute.vrs, rule)
        if rule.verb in _VALUELESS:
            return Step(_VALUELESS[rule.verb], attribute.vrs, rule)
        return self._written(Action.ADD if rule.verb == "ADD" else Action.REPLACE, attribute, rule)

    def _is_never_empty(self, attribute: Attribute) -> bool:
        """Whether `BLANK ALL` takes it away: there are no empty frames (PS3.5 A.4), and what has no VR that leaves."""
        return attribute.tag in PIXELS or self.excluded.issuperset(attribute.vrs)

    def private(self) -> dict[tuple[int, str, int], Step]:
        """The steps of private attributes, by group, creator and last two digits of the tag."""
        steps = {}
        for rule in self.recipe.rules:
            if isinstance(private := rule.attributes, Private):
                steps[private.group, private.creator, private.element] = self._private(private, rule)
                self.reached.add(rule)
        return steps

    def added(self) -> dict[int, Step]:
        """The steps of ADD by tag, in ascending order; a later recipe's line for the attribute takes its place."""
        steps: dict[int, Step] = {}
        for rule in self.recipe.rules:
            for attribute in () if isinstance(rule.attributes, Matching) else _named(rule.attributes):
                if rule.verb == "ADD":
                    steps[attribute.tag] = self._step(attribute, rule)
                    self.reached.add(rule)
                elif (step := steps.get(attribute.tag)) and step.rule and step.rule.layer < rule.layer:
                    del steps[attribute.tag]
        return dict(sorted(steps.items()))

    def places(self) -> list[Place]:
        """The lines for single places inside of sequences."""
        found = []
        for rule in self.recipe.rules:
            if isinstance(where := rule.attributes, Inside):
                named = attribute_of(where)
                if isinstance(named, Private):
                    found.append(Place(where, self._private(named, rule)))
                elif isinstance(named, Named):
                    found.append(Place(where, self._step(named.attribute, rule)))
                self.reached.add(rule)
        return found

    def searches(self) -> tuple[Search, ...]:
        """The rules on values that are looked for in each instance."""
        found = []
        for rule in self.recipe.rules:
            if isinstance(rule.attributes, Searched):
                self._made(_SAMPLE, rule)  # what does not fit a text is refused now, not at the first instance
                self.reached.add(rule)
                found.append(Search(rule, rule.attributes.needles, partial(self._searched, rule)))
        return tuple(found)

    def _searched(self, rule: Rule, attribute: Attribute) -> Step:
        if rule.verb == "REMOVE" or not set(attribute.vrs) <= TEXT_VRS.keys():
            return Step(Action.REMOVE, attribute.vrs, rule)
        if rule.verb == "BLANK":
            return Step(Action.BLANK, attribute.vrs, rule)
        return self._written(Action.REPLACE, attribute, rule)

    def _written(self, action: Action, attribute: Attribute, rule: Rule) -> Step:
        """A step that writes a value: text to text attributes, and what is made for one attribute to any."""
        made = self._made(attribute, rule)
        if made.function and not set(attribute.vrs) <= TEXT_VRS.keys():
            raise self._error(rule, f"it can write text only, and {dictionary.write(attribute.tag)} is none")
        return Step(action, attribute.vrs, rule, function=made.function, rewrite=made.rewrite)

    def _made(self, attribute: Attribute, rule: Rule) -> Made:
        try:
            return rule.value.make(attribute, self.context) if rule.value else Made()
        except ValueError as error:
            raise RecipeError(rule.path, rule.line, str(error)) from None

    def _private(self, private: Private, rule: Rule) -> Step:
        if private.vr in self.excluded and rule.verb != "REMOVE":
            raise self._error(rule, f"its VR {private.vr} never leaves by exclude_vr; leave the line out")
        if rule.verb == "KEEP":
            return keep((private.vr,), rule, self.excluded)
        if rule.verb in _VALUELESS:
            return Step(_VALUELESS[rule.verb], (private.vr,), rule)
        made = self._made(private.attribute, rule)
        return Step(Action.REPLACE, (private.vr,), rule, function=made.function, rewrite=made.rewrite)

    def _kept(self, attribute: Attribute, rule: Rule | None) -> Step:
        named = rule is not None and isinstance(rule.attributes, Named | Repeated | Inside)
        if rule and named and not attribute.keyword:
            raise self._error(rule, "nobody knows what this tag holds, so it cannot be kept; leave the line out")
        if self.excluded.issuperset(attribute.vrs):
            if rule and named:
                raise self._error(rule, f"its VR {attribute.vrs[0]} never leaves by exclude_vr; leave the line out")
            return Step(Action.REMOVE, attribute.vrs, rule)
        return keep(attribute.vrs, rule, self.excluded)

    def _error(self, rule: Rule, sentence: str) -> RecipeError:
        return RecipeError(rule.path, rule.line, f"{rule.text}: {sentence}")


def _strongest(rules: Sequence[Rule]) -> Rule:
    """The rule that decides where several match, by the precedence this module's docstring tells."""
    if len(rules) == 1:
        return rules[0]
    by_strength = sorted(_nearest(rules), key=_strength)
    for verbs in (frozenset({"KEEP"}), _SHIELDS):
        if any(rule.verb in verbs for rule in by_strength):
            allowed = verbs if "KEEP" in verbs else verbs | {"BLANK"}
            return [rule for rule in by_strength if rule.verb in allowed][-1]
    return by_strength[-1]


def _nearest(rules: Sequence[Rule]) -> Sequence[Rule]:
    """Without those to which others are the exception: ALL to any, the keyword of many groups to the tag of one."""
    near = [rule for rule in rules if not _is_everything(rule)] or rules
    if any(isinstance(rule.attributes, Named) for rule in near):
        return [rule for rule in near if not isinstance(rule.attributes, Repeated)]
    return near


def _strength(rule: Rule) -> tuple[int, bool, int]:
    nearness = 2 if isinstance(rule.attributes, Named) else 1 if isinstance(rule.attributes, Repeated) else 0
    return nearness, rule.verb == "REMOVE", rule.line


def _is_everything(rule: Rule) -> bool:
    return isinstance(rule.attributes, Matching) and rule.attributes.everything


def _is_listed(attribute: Attribute) -> bool:
    """What lets everything stay lets nothing stay that is in no dictionary, or in many groups."""
    return attribute.tag in dictionary.ATTRIBUTES


def _unguarded(recipe: Recipe) -> frozenset[int]:
    """The attributes whose values the residual guard does not look for."""
    said = [directive.words for directive in recipe.directives if directive.name == "unguarded"]
    return frozenset(dictionary.TAGS[word] for words in said for word in words)


def _digest(recipe: Recipe, policy: Policy) -> str:
    """SHA-256 over the recipe's bytes and the policy, in hexadecimal: whatever decides on an instance."""
    configured = json.dumps({"protocols": dict(policy.protocols), "variables": dict(policy.variables)}, sort_keys=True)
    return hashlib.sha256(recipe.content + b"\0" + configured.encode()).hexdigest()
