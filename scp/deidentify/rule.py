"""What a recipe is made of when it was understood: rules, directives and labels, each with its line."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from scp.deidentify.fields import Field
from scp.deidentify.groups import Searched
from scp.deidentify.labels import Label
from scp.deidentify.values import Value


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
    attributes: Field | Searched
    value: Value | None = None
    because: str = ""
    layer: int = 0

    def within(self, layer: int) -> "Rule":
        """The same rule as part of a layer."""
        return replace(self, layer=layer)


@dataclass(frozen=True, slots=True)
class Directive:
    """One line of `%labels`, where deid executes nothing and our own directives stand."""

    path: Path
    line: int
    name: str
    words: tuple[str, ...]
    layer: int = 0
    because: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that was understood to its last line."""

    path: Path
    content: bytes = field(repr=False)
    rules: tuple[Rule, ...]
    directives: tuple[Directive, ...]
    labels: tuple[Label, ...] = ()
    """Of `%filter`, for the pixel policy; the header does not depend on them."""
