"""The grammar of a recipe, line by line: sections, groups, labels, directives and actions."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from scp.deidentify import fields, groups, labels, values
from scp.deidentify.fields import Field, Inside, Matching, Named, Private, Repeated
from scp.deidentify.groups import Needle, Searched
from scp.deidentify.labels import Label
from scp.deidentify.rule import Directive, Recipe, RecipeError, Rule

_BECAUSE = re.compile(r"#\s*because:\s*(\S.*)")
_NO_FORMAT = "FORMAT dicom is missing; write it as the first line"
_FORMAT = re.compile(r"FORMAT\s+dicom")
_SECTION = re.compile(r"%(?:(header|labels)|(fields|filter|values)\s+([A-Za-z0-9_-]{1,64}))")
_SECTIONS = "%header, %labels, %fields NAME, %filter NAME, %values NAME"
_WORDS = re.compile(r"""(?:[^\s"]+|"[^"]*")+""")
_LABEL = re.compile(r"LABEL\s+([^#]*[^#\s])\s*(?:#.*)?")
_VERBS = ("ADD", "BLANK", "JITTER", "KEEP", "REMOVE", "REPLACE")
_WITH_VALUE = frozenset({"ADD", "JITTER", "REPLACE"})
_SEARCH_VERBS = frozenset({"BLANK", "REMOVE", "REPLACE"})
_ANYTHING = Matching(lambda _: True)

T = TypeVar("T")
Line = tuple[int, list[str], str]
"""Number, words, and the reason above it."""


@dataclass(slots=True)
class Reading:
    """How far the text was read, and what it said so far."""

    path: Path
    formatted: bool = False
    section: str = ""
    name: str = ""
    because: str = ""
    header: list[Line] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    members: dict[str, list[Field]] = field(default_factory=dict)
    needles: dict[str, list[Needle]] = field(default_factory=dict)

    def take(self, number: int, line: str) -> None:
        """Read one line. Raises ValueError with a sentence where it is not understood."""
        if not line or line.startswith("#"):
            match = _BECAUSE.fullmatch(line)
            self.because = match[1] if match else ""  # it holds up to the next empty line or comment
            return
        _check_text(line, label=self.section == "filter")
        if not self.formatted:
            if not _FORMAT.fullmatch(line):
                raise ValueError(_NO_FORMAT)
            self.formatted = True
        elif line.startswith("%"):
            self._open(line)
        elif not self.section:
            raise ValueError("an action stands before any section; write %header above it")
        else:
            _TAKES[self.section](self, number, line)

    def finish(self, content: bytes) -> Recipe:
        """The recipe, when every line was taken: a group may stand below lines that name it. Raises RecipeError."""
        if not self.formatted:
            raise RecipeError(self.path, 1, _NO_FORMAT)
        rules: list[Rule] = []
        for number, words, because in self.header:
            try:
                rules += [replace(rule, because=because) for rule in self._rules(number, words)]
            except ValueError as error:
                raise RecipeError(self.path, number, str(error)) from None
        return Recipe(self.path, content, tuple(rules), tuple(self.directives), tuple(self.labels))

    def _open(self, line: str) -> None:
        match = _SECTION.fullmatch(line)
        if not match:
            raise ValueError(f"unknown section {line} (known: {_SECTIONS})")
        self.section, self.name = match[1] or match[2], match[3] or ""
        if self.section == "fields":
            _add(self.members, self.name)
        elif self.section == "values":
            _add(self.needles, self.name)

    def _take_action(self, number: int, line: str) -> None:
        self.header.append((number, _action(line), self.because))

    def _take_directive(self, number: int, line: str) -> None:
        directive = _directive(self.path, number, _action(line))
        self.directives.append(replace(directive, because=self.because))

    def _take_member(self, _number: int, line: str) -> None:
        self.members[self.name].append(groups.member(_split(line)))

    def _take_needle(self, _number: int, line: str) -> None:
        self.needles[self.name].append(groups.needle(_split(line)))

    def _take_label(self, number: int, line: str) -> None:
        if match := _LABEL.fullmatch(line):
            self.labels.append(Label(number, self.name, match[1], path=self.path))
            return
        if not self.labels or self.labels[-1].group != self.name:
            raise ValueError("a criterion stands before any label; write LABEL name above it")
        label = self.labels[-1]
        if region := labels.region(line):
            self.labels[-1] = replace(label, regions=(*label.regions, region))
        else:
            self.labels[-1] = replace(label, criteria=(*label.criteria, labels.criterion(line)))

    def _rules(self, line: int, words: list[str]) -> Iterator[Rule]:
        """What a line says: one rule, or for a group one for its attributes and for each private one and each place."""
        verb, name, *value = words
        grouped = name.startswith("fields:")
        if grouped and verb == "ADD":
            raise ValueError("ADD writes one attribute; name it by keyword or tag")
        for named in self._named(name):
            _check_verb(verb, name, named, value)
            own = str(named) if grouped and isinstance(named, Private | Inside) else name
            rule = Rule(self.path, line, " ".join(words), verb, own, named)
            where = _ANYTHING if isinstance(named, Searched) else fields.attribute(named)
            if isinstance(where, Private):
                yield replace(rule, value=values.rewrite(verb, " ".join(value), where) if value else None)
            else:
                yield replace(rule, value=values.parse(verb, " ".join(value), where) if value else None)

    def _named(self, name: str) -> Sequence[Field | Searched]:
        kind, _, group = name.partition(":")
        if kind == "fields":
            return groups.union(_group(self.members, kind, group))
        if kind == "values":
            return [Searched(tuple(_group(self.needles, kind, group)))]
        return [fields.parse(name)]


_TAKES: Mapping[str, Callable[[Reading, int, str], None]] = {
    "fields": Reading._take_member,  # noqa: SLF001  its own
    "filter": Reading._take_label,  # noqa: SLF001
    "header": Reading._take_action,  # noqa: SLF001
    "labels": Reading._take_directive,  # noqa: SLF001
    "values": Reading._take_needle,  # noqa: SLF001
}


def _add(known: dict[str, list[T]], name: str) -> None:
    if name in known:
        raise ValueError(f"there is a group {name} already; leave one")
    known[name] = []


def _group(known: Mapping[str, list[T]], kind: str, name: str) -> list[T]:
    if not known.get(name):
        raise ValueError(f"there is no %{kind} {name} with a line in it (known: {', '.join(known) or 'none'})")
    return known[name]


def _check_text(line: str, *, label: bool) -> None:
    if not line.replace("\t", " ").isascii() or not line.replace("\t", " ").isprintable():
        raise ValueError("only printable ASCII may stand outside comments")
    if "#" in line and not (label and line.startswith("LABEL")):
        raise ValueError("a comment behind an action would change its meaning; put it on a line of its own")


def _split(line: str) -> list[str]:
    words = _WORDS.findall(line)
    if line.count('"') % 2 or "".join(words) != re.sub(r"""\s+(?=(?:[^"]*"[^"]*")*[^"]*$)""", "", line):
        raise ValueError("a quotation mark is not closed")
    if len(words) == 1:
        raise ValueError(f"{words[0]} needs a field; write {words[0]} Keyword")
    return words


def _action(line: str) -> list[str]:
    verb = line.split(maxsplit=1)[0]
    if line.count('"') % 2 == 0 and verb not in _VERBS:
        upper = "; verbs are written in upper case" if verb.upper() in _VERBS else ""
        raise ValueError(f"unknown verb {verb} (known: {', '.join(_VERBS)}){upper}")
    return _split(line)


def _check_verb(verb: str, name: str, named: Field | Searched, value: list[str]) -> None:
    where = named if isinstance(named, Searched) else fields.attribute(named)
    if isinstance(where, Named) and where.attribute.tag >> 16 & 1 and verb != "REMOVE":
        number = f'({where.attribute.tag >> 16:04X},"CREATOR",{where.attribute.tag & 0xFF:02X})'
        raise ValueError(f"{verb} needs to know whose private attribute it is; end with {number}")
    if isinstance(where, Private) and verb == "ADD":
        raise ValueError("ADD is not for private attributes: whose block it would stand in is told by an element sent")
    if isinstance(named, Searched) and verb not in _SEARCH_VERBS:
        raise ValueError(f"{verb} is not for values that are looked for; they can be removed, blanked or replaced")
    if isinstance(named, Matching | Repeated) and verb == "ADD":
        wanted = "name it by keyword or tag" if isinstance(named, Matching) else "write the tag of its group"
        raise ValueError(f"ADD writes one attribute; {wanted}")
    if verb not in _WITH_VALUE and value:
        raise ValueError(f"{verb} takes no value; leave out {' '.join(value)}")
    if verb in _WITH_VALUE and not value:
        raise ValueError(f"{verb} needs a value; write {verb} {name} VALUE")


def _directive(path: Path, line: int, words: list[str]) -> Directive:
    verb, name, *value = words
    if verb != "ADD":
        raise ValueError(f"{verb} means nothing in %labels; a directive is written ADD name value")
    if name not in values.DIRECTIVES:
        raise ValueError(f"unknown directive {name} (known: {', '.join(values.DIRECTIVES)})")
    if not value:
        raise ValueError(f"ADD needs a value; write ADD {name} VALUE")
    values.DIRECTIVES[name](value)
    return Directive(path, line, name, tuple(value))
