"""The fields a recipe's line can name: one attribute, a maker's private one, or an expression over the dictionary."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scp import dictionary
from scp.dataset import LONG_VRS, SHORT_VRS
from scp.deidentify import profile
from scp.dictionary import Attribute

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?|([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})")
_PRIVATE = re.compile(r'(\(?)([0-9A-Fa-f]{4}),"([^"\\]{1,64})",([0-9A-Fa-f]{2})(\)?)')
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_EXPANDER = re.compile(r"([A-Za-z]+):(.*)")
_LOWERED_CLASS = re.compile(r"\\[A-Z]")
_GROUP = re.compile(r"[0-9A-Fa-f]{1,4}")
_INSIDE = "__"
_BETWEEN = re.compile(r'__(?=(?:[^"]*"[^"]*")*[^"]*$)')
_QUOTED = re.compile(r'"[^"]*"')
_LAST_CREATOR = 0xFF
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
_VR_LENGTH = 2
NEVER = frozenset({0x0000, 0x0002, 0x0004, 0xFFFC, 0xFFFE})
"""Groups of commands, file meta information, directories, padding and items: made anew or left out."""


@dataclass(frozen=True, slots=True)
class Named:
    """One public attribute."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Repeated:
    """One public attribute in all groups that repeat it (PS3.5 7.6)."""

    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Private:
    """One private attribute: its group, the creator of its block, and the last two digits of its tag (PS3.5 7.8)."""

    group: int
    creator: str
    element: int
    vr: str

    @property
    def attribute(self) -> Attribute:
        """As one of the dictionary, whose keyword nobody knows."""
        return Attribute(self.group << 16 | self.element, "", (self.vr,))

    def __str__(self) -> str:
        """As recipes write it."""
        return f'({self.group:04X},"{self.creator}",{self.element:02X})'


@dataclass(frozen=True, slots=True)
class Matching:
    """All attributes of the dictionary that an expression matches; `everything` also stands for those not in it.

    `named` are attributes that are not in it and that it names none the less: unknown ones, and those of repeating
    groups.
    """

    matches: Callable[[Attribute], bool]
    everything: bool = False
    named: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Inside:
    """One attribute in one place inside of sequences: their tags and its own, and the numbers of items or `EVERY`.

    A private one is named by its creator, or by the number that it has in those items.
    """

    tags: "tuple[Tag, ...]"
    items: tuple[int, ...]

    def __str__(self) -> str:
        """As recipes write it."""
        if EVERY in self.items:
            return _INSIDE.join(map(_written, self.tags))
        above = (f"{_number(tag)}{_INSIDE}{item}" for tag, item in zip(self.tags, self.items, strict=False))
        return _INSIDE.join((*above, _number(self.tags[-1])))


EVERY = -1
Tag = int | Private
Field = Named | Repeated | Private | Matching | Inside


def parse(text: str) -> Field:
    """What a field names. Raises ValueError with a sentence that says why it cannot be understood."""
    if text.upper() == "ALL":
        return Matching(lambda _: True, everything=True)
    if private := _PRIVATE.fullmatch(text):
        return _private(private)
    unquoted = _QUOTED.sub("", text)
    if _INSIDE in unquoted and ":" not in unquoted:
        return _inside(_BETWEEN.split(text))
    if tag := _TAG.fullmatch(text):
        if text.startswith("(") != text.endswith(")"):
            raise ValueError(f"{text} is no tag; write (gggg,eeee)")
        return _tag(int(tag[1] or tag[3], 16) << 16 | int(tag[2] or tag[4], 16))
    if expander := _EXPANDER.fullmatch(text):
        return Matching(_expression(expander[1].lower(), expander[2]))
    return _keyword(text)


def attribute(field: Field) -> Field:
    """The attribute itself that stands in one place inside of sequences, or in many groups; any other as it is."""
    if isinstance(field, Repeated):
        return Named(field.attributes[0])
    if not isinstance(field, Inside):
        return field
    tag = field.tags[-1]
    if isinstance(tag, Private):
        return tag
    return Named(dictionary.find(tag) or Attribute(tag, "", ("UN",)))


def _private(match: re.Match[str]) -> Private:
    group, creator, element = int(match[2], 16), match[3], int(match[4], 16)
    if bool(match[1]) != bool(match[5]) or not group & 1:
        raise ValueError(f'{match[0]} is no private tag; write (gggg,"CREATOR",ee) with an odd group')
    vr = dictionary.private_vr(group, creator, element)
    if vr in {None, "UN"}:
        vr = profile.private_vr(group, creator, element)
    if vr is None or vr not in SHORT_VRS | LONG_VRS - {"UN"}:
        raise ValueError(f"{match[0]} is not in its maker's dictionary, so nobody knows what it holds; leave it out")
    return Private(group, creator, element, vr)


def _inside(words: list[str]) -> Inside:
    """As deid writes them: Sequence__Keyword for all items, (gggg,eeee)__0__(gggg,eeee) for one.

    What deid does not: a private one on the way may be named by its creator.
    """
    numbers = words[1::2] if len(words) % 2 and all(map(_NUMBER.fullmatch, words[1::2])) else []
    steps = [_step(word) for word in (words[::2] if numbers else words)]
    tags = [tag for tag, _ in steps if tag]
    if len(tags) != len(steps) or not all(is_way for _, is_way in steps[:-1]):
        raise ValueError(f"{_INSIDE.join(words)} is no way down to an attribute; write Sequence{_INSIDE}Keyword")
    return Inside(tuple(tags), tuple(map(int, numbers)) or (EVERY,) * (len(tags) - 1))


def _step(word: str) -> tuple[Tag, bool]:
    """What one word of a way names, 0 for what is no single attribute, and whether it may be a sequence."""
    if (number := _TAG.fullmatch(word)) and int(number[1] or number[3], 16) & 1:
        tag = int(number[1] or number[3], 16) << 16 | int(number[2] or number[4], 16)
        if tag & 0xFFFF <= _LAST_CREATOR:
            raise ValueError(f"{word} names a creator, which leaves with the last of its block; leave the line out")
        return tag, True
    named = parse(word)
    if isinstance(named, Private):
        return named, named.vr == "SQ"
    return (named.attribute.tag, named.attribute.vrs == ("SQ",)) if isinstance(named, Named) else (0, False)


def _tag(tag: int) -> Named:
    group = tag >> 16
    if group & 1:
        raise ValueError(f'{dictionary.write(tag)} is private; write ({group:04X},"CREATOR",{tag & 0xFF:02X})')
    if group in NEVER or tag & 0xFFFF == 0:
        raise ValueError(f"{dictionary.write(tag)} is always made anew or left out; leave the line out")
    return Named(dictionary.find(tag) or Attribute(tag, "", ("UN",)))


def _written(tag: Tag) -> str:
    known = None if isinstance(tag, Private) else dictionary.find(tag)
    return known.keyword if known else _number(tag)


def _number(tag: Tag) -> str:
    return str(tag) if isinstance(tag, Private) else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _keyword(text: str) -> Named | Repeated:
    if not _KEYWORD.fullmatch(text):
        raise ValueError(f"{text} is no keyword and no tag; write a keyword or (gggg,eeee)")
    tag = dictionary.TAGS.get(text)
    if tag is None and (repeated := dictionary.repeated(text)):
        return Repeated(repeated)
    if tag is None:
        alike = [keyword for keyword in dictionary.TAGS if keyword.lower() == text.lower()]
        hint = f"; did you mean {alike[0]}?" if alike else "; see PS3.6 for the keywords, or write its tag (gggg,eeee)"
        raise ValueError(f"{text} is no keyword of the data dictionary{hint}")
    return _tag(tag)


def _expression(expander: str, expression: str) -> Callable[[Attribute], bool]:
    if not expression:
        raise ValueError(f"{expander}: has no expression")
    if expander == "select":
        return _selection(expression)
    if (search := _SEARCHES.get(expander)) is None:
        raise ValueError(f"unknown expander {expander}: (known: {', '.join([*_SEARCHES, 'select'])}, and ALL)")
    if _INSIDE in expression:
        raise ValueError(
            f"{expression} searches the names above an attribute; name the place: Sequence{_INSIDE}Keyword"
        )
    if _LOWERED_CLASS.search(expression):
        raise ValueError(f"deid lowers {expression} before it searches, which would change its meaning; rewrite it")
    try:
        return search(expression.lower())
    except re.error as error:
        raise ValueError(f"{expression} is no regular expression: {error.msg}") from None


def _searching(form: str) -> Callable[[str], Callable[[Attribute], bool]]:
    def search(expression: str) -> Callable[[Attribute], bool]:
        pattern = re.compile(form.format(expression), re.IGNORECASE)
        return lambda attribute: any(map(pattern.search, dictionary.spellings(attribute)))

    return search


def _excepting(expression: str) -> Callable[[Attribute], bool]:
    pattern = re.compile(expression, re.IGNORECASE)
    return lambda attribute: not any(map(pattern.search, dictionary.spellings(attribute)))


_SEARCHES: Mapping[str, Callable[[str], Callable[[Attribute], bool]]] = {
    "startswith": _searching("^({})"),
    "endswith": _searching("({})$"),
    "contains": _searching("({})"),
    "except": _excepting,
}


def _selection(expression: str) -> Callable[[Attribute], bool]:
    kind, _, wanted = expression.partition(":")
    if kind.lower() == "vr" and len(wanted) == _VR_LENGTH:
        return lambda attribute: wanted.upper() in attribute.vrs
    if kind.lower() == "group" and _GROUP.fullmatch(wanted):
        group = int(wanted, 16)
        return lambda attribute: attribute.tag >> 16 == group
    raise ValueError(f"select:{expression} is neither select:VR:XX nor select:group:gggg")
