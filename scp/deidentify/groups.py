"""`%fields` and `%values`: named groups of attributes, and named groups of values that are looked for everywhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scp.deidentify import fields
from scp.deidentify.fields import Inside, Matching, Named, Private
from scp.dictionary import Attribute

_SPLIT = re.compile(r'by="(.)"(?:;minlength=(\d{1,2}))?|minlength=(\d{1,2})')
_LEAST = 2
"""Characters a value needs to be looked for: a single one, like a sex, stands in everything."""


@dataclass(frozen=True, slots=True)
class Needle:
    """Values to look for: those of the attributes that match, split at a character, of at least so many characters."""

    attributes: Named | Matching
    by: str = ""
    least: int = _LEAST


@dataclass(frozen=True, slots=True)
class Searched:
    """What a rule on `values:NAME` names: whatever holds one of these values of the instance."""

    needles: tuple[Needle, ...]


def needle(words: Sequence[str]) -> Needle:
    """One line of %values. Raises ValueError with a sentence where it is not understood."""
    verb, name, *options = words
    attributes = _public(fields.parse(name), name)
    if verb == "FIELD" and not options:
        return Needle(attributes)
    match = _SPLIT.fullmatch(" ".join(options)) if verb == "SPLIT" else None
    if match is None:
        raise ValueError('a line of %values is FIELD f, or SPLIT f by="^";minlength=4')
    return Needle(attributes, match[1] or " ", int(match[2] or match[3] or _LEAST))


def member(words: Sequence[str]) -> Named | Matching:
    """One line of %fields. Raises ValueError with a sentence where it is not understood."""
    if words[0] != "FIELD" or len(words) != len(("FIELD", "f")):
        raise ValueError("a line of %fields is FIELD f")
    return _public(fields.parse(words[1]), words[1])


def union(members: Sequence[Named | Matching]) -> Matching:
    """All attributes that any member names."""
    tags = frozenset(one.attribute.tag for one in members if isinstance(one, Named))
    expressions = tuple(one.matches for one in members if isinstance(one, Matching))

    def matches(attribute: Attribute) -> bool:
        return attribute.tag in tags or any(expression(attribute) for expression in expressions)

    return Matching(matches)


def _public(field: fields.Field, name: str) -> Named | Matching:
    if isinstance(field, Private):
        raise ValueError(f"{name} is private, and groups hold public attributes only")  # noqa: TRY004  a text is wrong
    if isinstance(field, Inside):
        raise ValueError(f"{name} is one place, and groups hold attributes wherever they stand")  # noqa: TRY004  the same
    return field
