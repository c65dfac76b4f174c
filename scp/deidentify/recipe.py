"""Reads a recipe: deid's parser gives the actions, and lines that it would take for something else are refused first.

deid drops what it does not understand and goes on; a misspelt line would then let a name out. So every line is read
here by the grammar below, and what deid makes of the same text has to agree with it, action by action.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deid.config import DeidRecipe
from deid.logger import bot
from deid.logger.message import QUIET

import scp
from scp.deidentify import labels
from scp.deidentify.reading import Reading
from scp.deidentify.rule import Directive, Recipe, RecipeError, Rule

__all__ = ["Directive", "Recipe", "RecipeError", "Rule", "combine", "find", "load", "read"]

FOLDER = Path(scp.__file__).parent.parent / "deid_recipes"
_SUFFIX = ".dicom"
_FOLDERS = ("", "options")


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
    groups: dict[str, Recipe] = {}
    for recipe in recipes:
        for label in recipe.labels:
            if groups.setdefault(label.group, recipe) is not recipe:
                sentence = f"another recipe has a %filter {label.group} already; give this one a name of its own"
                raise RecipeError(recipe.path, label.line, sentence)
    return Recipe(
        path=recipes[-1].path,
        content=b"\0".join(recipe.content for recipe in recipes),
        rules=tuple(rule.within(layer) for layer, recipe in enumerate(recipes) for rule in recipe.rules),
        directives=tuple(
            replace(directive, layer=layer) for layer, recipe in enumerate(recipes) for directive in recipe.directives
        ),
        labels=tuple(replace(label, layer=layer) for layer, recipe in enumerate(recipes) for label in recipe.labels),
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
    reading = Reading(path)
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        try:
            reading.take(number, line.strip())
        except ValueError as error:
            raise RecipeError(path, number, str(error)) from None
    recipe = reading.finish(content)
    _agree(recipe)
    return recipe


def _agree(recipe: Recipe) -> None:
    """Hold our reading against deid's, so that the language stays deid's own."""
    bot.level = QUIET  # deid tells every line on stderr otherwise
    try:
        parsed = DeidRecipe(deid=str(recipe.path)).deid
    except (SystemExit, KeyError, OSError, TypeError, UnicodeError) as error:
        raise RecipeError(recipe.path, 1, f"deid's own parser refuses it ({type(error).__name__})") from None
    theirs = [*(parsed.get("header") or ()), *(parsed.get("labels") or ())]
    ours = list(dict.fromkeys((rule.line, rule.text) for rule in recipe.rules))  # one line may be several rules
    ours += [(directive.line, " ".join(("ADD", directive.name, *directive.words))) for directive in recipe.directives]
    for (line, text), action in zip(ours, theirs, strict=False):
        if text != " ".join(action[key] for key in ("action", "field", "value") if key in action).strip():
            raise RecipeError(recipe.path, line, "deid's own parser understands this line differently; rewrite it")
    if len(ours) != len(theirs):
        raise RecipeError(recipe.path, 1, "deid's own parser finds another number of actions; was the file changed?")
    _agree_on_labels(recipe, parsed.get("filter") or {})


def _agree_on_labels(recipe: Recipe, theirs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    by_group: Mapping[str, Iterator[Mapping[str, Any]]] = {group: iter(found) for group, found in theirs.items()}
    for label in recipe.labels:
        read_by_deid = next(by_group.get(label.group, iter(())), {})
        ours = [labels.as_deid_reads(criterion) for criterion in label.criteria]
        if ours != read_by_deid.get("filters") or len(label.regions) != len(read_by_deid["coordinates"]):
            sentence = f"deid's own parser understands LABEL {label.name} differently; rewrite its criteria"
            raise RecipeError(recipe.path, label.line, sentence)
