"""Executes `values:NAME`: what holds a value of this very instance that the recipe looks for is not left as it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from scp import dictionary
from scp.dataset import DataSet
from scp.deidentify import blocks
from scp.deidentify.fields import EVERY, Field, Inside, Matching, Named, Private, Repeated
from scp.deidentify.functions.original import VALUES, Original
from scp.deidentify.groups import Needle
from scp.deidentify.prune import Level
from scp.deidentify.repeated import PrivateSteps
from scp.deidentify.rule import Rule
from scp.deidentify.splice import Tables
from scp.deidentify.step import Action, Step
from scp.deidentify.values import TEXT_VRS
from scp.dictionary import Attribute
from scp.table import Element, find

_SEARCHED = frozenset({*TEXT_VRS, "UN"})
STAY = frozenset({0x00080005, 0x00080016, 0x00080018})
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
        values = set(_values(search.needles, texts, original))
        for element, text in texts:
            if values and element.tag not in STAY and any(value in text for value in values):
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


def _values(needles: Sequence[Needle], texts: Sequence[tuple[Element, str]], original: Original) -> Iterator[str]:
    for needle in needles:
        for text in _named(needle.attributes, texts, original):
            for one in text.split(VALUES):
                for part in one.split(needle.by.casefold()) if needle.by else [one]:
                    if len(part.strip()) >= needle.least:
                        yield part.strip()


def _named(named: Field, texts: Sequence[tuple[Element, str]], original: Original) -> Iterator[str]:
    """The texts of what a line of %values names."""
    dataset = original.dataset
    if isinstance(named, Private):
        yield from (_text(element, original) for element in _of_maker(named, dataset))
    elif isinstance(named, Inside):
        top = Level(dataset.data, dataset.elements, dataset.nested, dataset.explicit)
        yield from (_text(element, original) for element in _at(named, top, 0))
    else:
        yield from (text for element, text in texts if _is_meant(named, element.tag))


def _is_meant(named: Named | Repeated | Matching, tag: int) -> bool:
    if isinstance(named, Named):
        return named.attribute.tag == tag
    if isinstance(named, Repeated):
        return any(one.tag == tag for one in named.attributes)
    attribute = dictionary.find(tag)
    return attribute is not None and named.matches(attribute)


def _of_maker(private: Private, dataset: DataSet) -> Iterator[Element]:
    """The private elements of any level whose block its creator holds there (PS3.5 7.8.1)."""
    held = list(dataset.nested.values())
    for elements in (dataset.elements, *(item.elements for sequence in held for item in sequence.items)):
        yield from filter(None, (find(elements, tag) for tag in blocks.tags(private, elements, dataset.data)))


def _at(place: Inside, level: Level, depth: int) -> Iterator[Element]:
    for tag in blocks.tags(place.tags[depth], level.elements, level.data):
        if depth == len(place.items):
            yield from filter(None, [level.find(tag)])
            continue
        for number, item in enumerate(level.items(tag)):
            if place.items[depth] in {EVERY, number}:
                yield from _at(place, item, depth + 1)


def _text(element: Element, original: Original) -> str:
    return original.decode(bytes(original.dataset.data[element.value : element.end])).casefold()
