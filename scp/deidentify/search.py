"""Executes `values:NAME`: what holds a value of this very instance that the recipe looks for is not left as it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from scp import dictionary
from scp.deidentify.fields import Named
from scp.deidentify.functions.original import VALUES, Original
from scp.deidentify.groups import Needle
from scp.deidentify.repeated import PrivateSteps
from scp.deidentify.rule import Rule
from scp.deidentify.splice import Tables
from scp.deidentify.step import Action, Step
from scp.deidentify.values import TEXT_VRS
from scp.dictionary import Attribute
from scp.table import Element

_SEARCHED = frozenset({*TEXT_VRS, "UN"})
_STAY = frozenset({0x00080005, 0x00080016, 0x00080018})
"""SpecificCharacterSet and the UIDs without which there is no object."""


@dataclass(frozen=True, slots=True)
class Search:
    """One rule on the values of a group; `step` gives what becomes of an attribute that holds one of them."""

    rule: Rule
    needles: tuple[Needle, ...]
    step: Callable[[Attribute], Step] = field(repr=False)


def tables(of_plan: Tables, searches: Sequence[Search], original: Original) -> Tables:
    """A plan's tables for this one instance: what was kept and holds a value looked for is decided by the search."""
    texts = [
        (element, _text(element, original)) for element in original.dataset.everywhere() if element.vr in _SEARCHED
    ]
    public, private = dict(of_plan.public), dict(of_plan.private.by_place)
    for search in searches:
        values = set(_values(search.needles, texts))
        for element, text in texts:
            if values and element.tag not in _STAY and any(value in text for value in values):
                _decide(element, search, public)
                for key in [key for key in private if (key[0], key[2]) == (element.tag >> 16, element.tag & 0xFF)]:
                    del private[key]
    return replace(of_plan, public=public, private=PrivateSteps(private))


def _decide(element: Element, search: Search, public: dict[int, Step]) -> None:
    tag = element.tag
    step, attribute = public.get(tag), dictionary.find(tag)
    if step and step.action is Action.RECURSE and element.vr == "UN":
        del public[tag]  # its items were not looked through one by one
        return
    if step is None or attribute is None or step.action is not Action.KEEP:
        return  # it leaves anyway, or its value is written anew
    public[tag] = search.step(attribute)
    if public[tag].action is Action.REMOVE:
        del public[tag]


def _values(needles: Sequence[Needle], texts: Sequence[tuple[Element, str]]) -> Iterator[str]:
    for needle in needles:
        for element, text in texts:
            if _names(needle, element.tag):
                for one in text.split(VALUES):
                    for part in one.split(needle.by) if needle.by else [one]:
                        if len(part.strip()) >= needle.least:
                            yield part.strip()


def _names(needle: Needle, tag: int) -> bool:
    if isinstance(needle.attributes, Named):
        return needle.attributes.attribute.tag == tag
    attribute = dictionary.find(tag)
    return attribute is not None and needle.attributes.matches(attribute)


def _text(element: Element, original: Original) -> str:
    return original.decode(bytes(original.dataset.data[element.value : element.end])).casefold()
