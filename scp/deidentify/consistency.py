"""What a recipe may not say of itself: the same twice, what never applies, what its own claims contradict."""

from collections.abc import Set as AbstractSet

from scp.deidentify.cleaning import TEXT_VALUE
from scp.deidentify.fields import Matching
from scp.deidentify.functions import FUNCTIONS
from scp.deidentify.plan import Plan
from scp.deidentify.profile import BASIC_CODE, CLEAN_CONTENT_CODE
from scp.deidentify.rule import Recipe, RecipeError, Rule
from scp.deidentify.step import Action, Step

_FULL_DATES, _MODIFIED_DATES, _RETAINED_UIDS = "113106", "113107", "113110"
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018


def check_repeated(recipe: Recipe) -> None:
    """Raise RecipeError at a second line for a field or a directive, and at one that writes a value to everything."""
    seen: dict[object, int] = {}
    for rule in recipe.rules:
        key: object = (rule.layer, rule.attributes)
        if isinstance(rule.attributes, Matching):
            key = (rule.layer, rule.verb, rule.name.lower())
            if rule.attributes.everything:
                key = (rule.layer, "ALL")
                if rule.value:
                    sentence = f"{rule.text}: no value fits every value representation; name what it is for"
                    raise RecipeError(rule.path, rule.line, sentence)
        if first := seen.get(key):
            raise RecipeError(rule.path, rule.line, f"line {first} has a rule for this field already; leave one")
        seen[key] = rule.line
    names: dict[tuple[int, str], int] = {}
    for directive in recipe.directives:
        if first := names.get((directive.layer, directive.name)):
            sentence = f"line {first} gives {directive.name} already; leave one"
            raise RecipeError(directive.path, directive.line, sentence)
        names[directive.layer, directive.name] = directive.line


def applied(recipe: Recipe) -> tuple[str, ...]:
    """The codes of the profile and the options that all layers say they apply, each once, in their order."""
    said = [directive for directive in recipe.directives if directive.name == "applies"]
    codes = tuple(dict.fromkeys(code for directive in said for code in directive.words))
    if said and BASIC_CODE not in codes:
        sentence = f"options refine a profile; put a recipe that applies {BASIC_CODE} before this one"
        raise RecipeError(said[0].path, said[0].line, sentence)
    if _FULL_DATES in codes and _MODIFIED_DATES in codes:
        raise RecipeError(said[-1].path, said[-1].line, "dates can be kept in full or modified, not both; leave one")
    return codes


def check_reached(recipe: Recipe, reached: AbstractSet[Rule]) -> None:
    """Raise RecipeError at a line that decides on nothing."""
    for rule in recipe.rules:
        if rule not in reached:
            raise RecipeError(
                rule.path,
                rule.line,
                f"{rule.text} never applies: other lines decide, or nothing matches; leave it out",
            )


def check_identifiers(recipe: Recipe, plan: Plan) -> None:
    """File meta, index and layout name the instance by its class and its new UID: the data set has to agree."""
    if plan.decisions[_SOP_CLASS_UID].action is not Action.KEEP or _SOP_CLASS_UID in plan.added:
        raise RecipeError(recipe.path, 1, "SOPClassUID has to stay; write KEEP SOPClassUID")
    step = plan.added.get(_SOP_INSTANCE_UID) or plan.decisions[_SOP_INSTANCE_UID]
    if step.function is not FUNCTIONS["uid"] and not _retains_uids(recipe, step):
        raise RecipeError(recipe.path, 1, "SOPInstanceUID has to be new; write REPLACE SOPInstanceUID func:uid")


def check_cleaned(recipe: Recipe, plan: Plan) -> None:
    """Content that is said to be clean has no text as sent: concepts that nobody knows hold free text."""
    steps = (plan.decisions[TEXT_VALUE], *(one.step for one in plan.places.lines if one.tag == TEXT_VALUE))
    step = next((one for one in steps if one.action is Action.KEEP), None)
    if CLEAN_CONTENT_CODE in applied(recipe) and step:
        path, line = (step.rule.path, step.rule.line) if step.rule else (recipe.path, 1)
        sentence = f"{CLEAN_CONTENT_CODE} is applied and TextValue is kept; write REPLACE TextValue func:description"
        raise RecipeError(path, line, sentence)


def _retains_uids(recipe: Recipe, step: Step) -> bool:
    return step.action is Action.KEEP and step.rule is not None and _RETAINED_UIDS in applied(recipe)
