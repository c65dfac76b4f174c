"""Reads a recipe: deid's parser gives the actions, and lines that it would take for something else are refused first.

deid drops what it does not understand and goes on; a misspelt line would then let a name out. So every line is read
here by the grammar below, and what deid makes of the same text has to agree with it, action by action.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deid.config import DeidRecipe
from deid.logger import bot
from deid.logger.message import QUIET

import scp
from scp.deidentify import fields, values
from scp.deidentify.fields import Field, Matching, Private
from scp.deidentify.values import Value

FOLDER = Path(scp.__file__).parent.parent / "deid_recipes"
_SUFFIX = ".dicom"
_FOLDERS = ("", "options")
_BECAUSE = re.compile(r"#\s*because:\s*(\S.*)")
_NO_FORMAT = "FORMAT dicom is missing; write it as the first line"
_FORMAT = re.compile(r"FORMAT\s+dicom")
_SECTION = re.compile(r"%([A-Za-z]+)")
_WORDS = re.compile(r"""(?:[^\s"]+|"[^"]*")+""")
_VERBS = ("ADD", "BLANK", "JITTER", "KEEP", "REMOVE", "REPLACE")
_WITH_VALUE = frozenset({"ADD", "JITTER", "REPLACE"})
_PRIVATE_VERBS = frozenset({"KEEP", "REMOVE", "REPLACE"})
_NOT_COMPILED = frozenset({"fields", "filter", "values"})


class RecipeError(ValueError):
    """A recipe is not understood, or means less than its author thinks: `path:line: sentence with a remedy`."""

    def __init__(self, path: Path, line: int, sentence: str) -> None:
        super().__init__(f"{path}:{line}: {sentence}")
        self.path = path
        self.line = line
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of `%header`: what is done with which attributes, and the reason that stands above it, if any.

    `layer` counts the recipes that were put on one another; what a later one says about an attribute holds.
    """

    path: Path
    line: int
    text: str
    verb: str
    name: str
    attributes: Field
    value: Value | None = None
    because: str = ""
    layer: int = 0


@dataclass(frozen=True, slots=True)
class Directive:
    """One line of `%labels`, where deid executes nothing and our own directives stand."""

    path: Path
    line: int
    name: str
    words: tuple[str, ...]
    layer: int = 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that was understood to its last line."""

    path: Path
    content: bytes = field(repr=False)
    rules: tuple[Rule, ...]
    directives: tuple[Directive, ...]


def find(name_or_path: str, folder: Path | None = None) -> Path:
    """The file of a recipe: a path, or a name in `folder` (the package's deid_recipes/). Raises RecipeError."""
    if (path := Path(name_or_path)).is_file():
        return path
    folder = folder or FOLDER
    found = [file for name in _FOLDERS for file in sorted((folder / name).glob(f"*{_SUFFIX}"))]
    known = {file.name.removesuffix(_SUFFIX): file for file in found}
    if file := known.get(name_or_path.removesuffix(_SUFFIX)):
        return file
    raise RecipeError(path, 1, f"there is no such file and no such recipe (known recipes: {', '.join(known)})")


def load(names: str, folder: Path | None = None) -> Recipe:
    """The recipe of a name or file, or of several with commas between, put on one another in this order."""
    return combine([read(find(name.strip(), folder)) for name in names.split(",")])


def combine(recipes: Sequence[Recipe]) -> Recipe:
    """Several recipes as one: what a later one says about an attribute holds, directives add up."""
    if len(recipes) == 1:
        return recipes[0]
    return Recipe(
        path=recipes[-1].path,
        content=b"\0".join(recipe.content for recipe in recipes),
        rules=tuple(replace(rule, layer=layer) for layer, recipe in enumerate(recipes) for rule in recipe.rules),
        directives=tuple(
            replace(directive, layer=layer) for layer, recipe in enumerate(recipes) for directive in recipe.directives
        ),
    )


def read(path: Path) -> Recipe:
    """Read a recipe's text once. Raises RecipeError with file, line and remedy for whatever is not understood."""
    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise RecipeError(path, 1, f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(path, content.count(b"\n", 0, error.start) + 1, "it is not UTF-8; save it as UTF-8") from None
    reading = _Reading(path)
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        try:
            reading.take(number, line.strip())
        except ValueError as error:
            raise RecipeError(path, number, str(error)) from None
    if not reading.formatted:
        raise RecipeError(path, 1, _NO_FORMAT)
    recipe = Recipe(path, content, tuple(reading.rules), tuple(reading.directives))
    _agree(recipe)
    return recipe


@dataclass(slots=True)
class _Reading:
    """How far the text was read, and what it said so far."""

    path: Path
    formatted: bool = False
    section: str = ""
    because: str = ""
    rules: list[Rule] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)

    def take(self, number: int, line: str) -> None:
        """Read one line. Raises ValueError with a sentence where it is not understood."""
        if not line or line.startswith("#"):
            match = _BECAUSE.fullmatch(line)
            self.because = match[1] if match else ""  # it holds up to the next empty line or comment
            return
        _check_text(line)
        if not self.formatted:
            _check_format(line)
            self.formatted = True
        elif line.startswith("%"):
            self.section = _section(line)
        elif self.section == "header":
            rule = _rule(self.path, number, _split(line))
            self.rules.append(replace(rule, because=self.because))
        elif self.section == "labels":
            self.directives.append(_directive(self.path, number, _split(line)))
        else:
            raise ValueError("an action stands before any section; write %header above it")


def _check_text(line: str) -> None:
    if not line.replace("\t", " ").isascii() or not line.replace("\t", " ").isprintable():
        raise ValueError("only printable ASCII may stand outside comments")
    if "#" in line:
        raise ValueError("a comment behind an action would change its meaning; put it on a line of its own")


def _check_format(line: str) -> None:
    if not _FORMAT.fullmatch(line):
        raise ValueError(_NO_FORMAT)


def _section(line: str) -> str:
    match = _SECTION.fullmatch(line)
    name = match[1] if match else ""
    if name in {"header", "labels"}:
        return name
    first = line.split(maxsplit=1)[0]
    if first.removeprefix("%").lower() in _NOT_COMPILED:
        raise ValueError(f"{first} is not compiled yet; use %header and %labels only")
    raise ValueError(f"unknown section {line} (known: %header, %labels)")


def _split(line: str) -> list[str]:
    words = _WORDS.findall(line)
    if line.count('"') % 2 or "".join(words) != re.sub(r"""\s+(?=(?:[^"]*"[^"]*")*[^"]*$)""", "", line):
        raise ValueError("a quotation mark is not closed")
    if words[0] not in _VERBS:
        upper = "; verbs are written in upper case" if words[0].upper() in _VERBS else ""
        raise ValueError(f"unknown verb {words[0]} (known: {', '.join(_VERBS)}){upper}")
    if len(words) == 1:
        raise ValueError(f"{words[0]} needs a field; write {words[0]} Keyword")
    return words


def _rule(path: Path, line: int, words: list[str]) -> Rule:
    verb, name, *value = words
    named = fields.parse(name)
    if isinstance(named, Private) and verb not in _PRIVATE_VERBS:
        raise ValueError(f"{verb} is not compiled for private attributes yet; they can be kept, removed or replaced")
    if isinstance(named, Matching) and verb == "ADD":
        raise ValueError("ADD writes one attribute; name it by keyword or tag")
    if verb not in _WITH_VALUE and value:
        raise ValueError(f"{verb} takes no value; leave out {' '.join(value)}")
    if verb in _WITH_VALUE and not value:
        raise ValueError(f"{verb} needs a value; write {verb} {name} VALUE")
    rule = Rule(path, line, " ".join(words), verb, name, named)
    if not value:
        return rule
    if isinstance(named, Private):
        return replace(rule, value=values.rewrite(" ".join(value), named))
    return replace(rule, value=values.parse(verb, " ".join(value), named))


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


def _agree(recipe: Recipe) -> None:
    """Hold our reading against deid's, so that the language stays deid's own."""
    bot.level = QUIET  # deid tells every line on stderr otherwise
    try:
        parsed = DeidRecipe(deid=str(recipe.path))
    except (SystemExit, KeyError, OSError, TypeError, UnicodeError) as error:
        raise RecipeError(recipe.path, 1, f"deid's own parser refuses it ({type(error).__name__})") from None
    theirs = [*(parsed.deid.get("header") or ()), *(parsed.deid.get("labels") or ())]
    ours = [(rule.line, rule.text) for rule in recipe.rules]
    ours += [(directive.line, " ".join(("ADD", directive.name, *directive.words))) for directive in recipe.directives]
    for (line, text), action in zip(ours, theirs, strict=False):
        if text != " ".join(action[key] for key in ("action", "field", "value") if key in action).strip():
            raise RecipeError(recipe.path, line, "deid's own parser understands this line differently; rewrite it")
    if len(ours) != len(theirs):
        raise RecipeError(recipe.path, 1, "deid's own parser finds another number of actions; was the file changed?")
