"""`%fields` and `%values`: named groups of attributes, and named groups of values that are looked for everywhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scp import dictionary
from scp.deidentify import fields
from scp.deidentify.fields import Field, Inside, Matching, Named, Private, Repeated
from scp.dictionary import Attribute

_OPTION = re.compile(r"""(by)=(["']?)([^"']+)\2|(minlength)=(\d{1,2})""", re.ASCII)
_LEAST = 2
"""Characters a value needs to be looked for: a single one, like a sex, stands in everything."""


@dataclass(frozen=True, slots=True)
class Needle:
    """Values to look for: those of the attributes that match, split at a character, of at least so many characters."""

    attributes: Field
    by: str = ""
    least: int = _LEAST


@dataclass(frozen=True, slots=True)
class Searched:
    """What a rule on `values:NAME` names: whatever holds one of these values of the instance."""

    needles: tuple[Needle, ...]


def needle(words: Sequence[str]) -> Needle:
    """One line of %values. Raises ValueError with a sentence where it is not understood."""
    verb, name, *options = words
    attributes = fields.parse(name)
    if verb == "FIELD" and not options:
        return Needle(attributes)
    found = [_OPTION.fullmatch(one.strip()) for one in " ".join(options).split(";")] if options else []
    said = {(match[1] or match[4]): match[3] or match[5] for match in found if match}
    if verb != "SPLIT" or len(said) != len(found):
        raise ValueError('a line of %values is FIELD f, or SPLIT f by="^";minlength=4')
    return Needle(attributes, said.get("by", " "), max(int(said.get("minlength", _LEAST)), _LEAST))


def member(words: Sequence[str]) -> Field:
    """One line of %fields. Raises ValueError with a sentence where it is not understood."""
    if words[0] != "FIELD" or len(words) != len(("FIELD", "f")):
        raise ValueError("a line of %fields is FIELD f")
    return fields.parse(words[1])


def union(members: Sequence[Field]) -> list[Field]:
    """All public attributes that any member names, together, and each private one and each place by itself."""
    single: list[Field] = [one for one in members if isinstance(one, Private | Inside)]
    if len(single) == len(members):
        return single
    named = [one.attribute for one in members if isinstance(one, Named)]
    named += [attribute for one in members if isinstance(one, Repeated) for attribute in one.attributes]
    expressions = [one for one in members if isinstance(one, Matching)]
    tags = frozenset(attribute.tag for attribute in named)

    def matches(attribute: Attribute) -> bool:
        return attribute.tag in tags or any(one.matches(attribute) for one in expressions)

    unlisted = tuple(attribute for attribute in named if attribute.tag not in dictionary.ATTRIBUTES)
    return [Matching(matches, any(one.everything for one in expressions), unlisted), *single]
