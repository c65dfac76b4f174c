"""The pixel policy: what becomes of an image by what `%filter` says it is, before any of its pixels may leave.

Directives in `%labels` say what a group of labels stands for: `ADD pixels_pass G`, `pixels_blank G`,
`pixels_quarantine G`, and `ADD pixels_otherwise quarantine` for images without a label. Labels are asked from the last
recipe to the first, within each in order of lines, and the first that an image has decides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from scp.dataset import DataSet
from scp.deidentify import criteria
from scp.deidentify.criteria import Held
from scp.deidentify.labels import ULTRASOUND_REGIONS, Label
from scp.deidentify.rule import Directive, Recipe, RecipeError
from scp.outcome import Failure, Outcome
from scp.pixels import PIXELS

_BURNED_IN_ANNOTATION = 0x00280301  # PS3.3 C.7.6.1.1: YES or NO
_ENCAPSULATED_DOCUMENT = 0x00420011
SHOWING = PIXELS | {_ENCAPSULATED_DOCUMENT}
"""Attributes by which an object shows something to the eye."""


class Verdict(Enum):
    """What becomes of an image."""

    PASS = "pixels leave as sent"  # noqa: S105  no password
    BLANK = "pixels leave with regions blanked"
    QUARANTINE = "goes to quarantine"


_DIRECTIVES: Mapping[str, Verdict] = {
    "pixels_pass": Verdict.PASS,
    "pixels_blank": Verdict.BLANK,
    "pixels_quarantine": Verdict.QUARANTINE,
}
_OF_DEID: Mapping[str, Verdict] = {
    "whitelist": Verdict.PASS,
    "graylist": Verdict.BLANK,
    "greylist": Verdict.BLANK,
    "blacklist": Verdict.QUARANTINE,
}
"""What deid's documentation says of groups of these names, for recipes without directives of ours."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One label with what it decides."""

    label: Label
    verdict: Verdict
    meets: Held = field(repr=False)


@dataclass(frozen=True, slots=True)
class PixelPolicy:
    """What a recipe decides about pixels; `rulings` in the order they are asked, `directive` says `otherwise`."""

    rulings: tuple[Ruling, ...] = ()
    otherwise: Verdict = Verdict.PASS
    directive: Directive | None = None

    @property
    def blanks(self) -> bool:
        """Whether any image is blanked."""
        return any(ruling.verdict is Verdict.BLANK for ruling in self.rulings)

    def look(self, dataset: DataSet) -> tuple[Label, ...]:
        """The labels whose regions have to be blanked before the pixels may leave; none where they leave as sent.

        Raises Failure PIXELS_WITHHELD where the image goes to quarantine, and BURNED_IN where BurnedInAnnotation
        (0028,0301) says YES and nothing is blanked, whatever a label says.
        """
        if not any(dataset.find(tag) for tag in SHOWING):
            return ()
        ruling = next((ruling for ruling in self.rulings if ruling.meets(dataset)), None)
        verdict = ruling.verdict if ruling else self.otherwise
        if verdict is Verdict.BLANK:
            return tuple(one.label for one in self.rulings if one.verdict is Verdict.BLANK and one.meets(dataset))
        if criteria.text(dataset, _BURNED_IN_ANNOTATION).upper() == "YES":
            raise Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")
        if verdict is Verdict.QUARANTINE:
            raise Failure(Outcome.PIXELS_WITHHELD, _why(ruling))
        return ()


def of(recipe: Recipe) -> PixelPolicy:
    """The policy of a recipe. Raises RecipeError at a line that means less than its author thinks."""
    verdicts = dict(_verdicts(recipe))
    rulings = [_ruling(label, verdicts) for label in recipe.labels]
    said = [directive for directive in recipe.directives if directive.name == "pixels_otherwise"]
    if not rulings and not said:
        return PixelPolicy()
    otherwise = Verdict.QUARANTINE
    if said and said[-1].words == ("pass",):
        if not said[-1].because:
            sentence = "images of every kind could leave; say why in a line above: # because: ..."
            raise RecipeError(said[-1].path, said[-1].line, sentence)
        otherwise = Verdict.PASS
    asked = sorted(rulings, key=lambda ruling: (-ruling.label.layer, ruling.label.line))
    return PixelPolicy(tuple(asked), otherwise, said[-1] if said else None)


def _verdicts(recipe: Recipe) -> Iterator[tuple[str, Verdict]]:
    """What each group stands for."""
    groups = {label.group for label in recipe.labels}
    seen: set[str] = set()
    for directive in recipe.directives:
        if verdict := _DIRECTIVES.get(directive.name):
            for group in directive.words:
                if group not in groups:
                    sentence = f"there is no %filter {group} with a LABEL in it (known: {', '.join(sorted(groups))})"
                    raise RecipeError(directive.path, directive.line, sentence)
                if group in seen:
                    sentence = f"%filter {group} stands for something already; leave one"
                    raise RecipeError(directive.path, directive.line, sentence)
                seen.add(group)
                yield group, verdict


def _ruling(label: Label, verdicts: Mapping[str, Verdict]) -> Ruling:
    verdict = verdicts.get(label.group) or _OF_DEID.get(label.group)
    if verdict is None:
        known = ", ".join(f"ADD {name} {label.group}" for name in _DIRECTIVES)
        raise _error(label, f"nothing says what becomes of its images; write in %labels one of {known}")
    if not label.criteria and not label.regions:
        raise _error(label, "it has no criterion, so no image has it; write one, such as present Rows")
    if verdict is not Verdict.BLANK and label.regions:
        raise _error(label, f"it has coordinates and nothing is blanked; write ADD pixels_blank {label.group}")
    if any(region.source not in {None, ULTRASOUND_REGIONS} for region in label.regions):
        raise _error(label, "coordinates can be taken from:SequenceOfUltrasoundRegions only")
    if verdict is Verdict.BLANK and not label.regions:
        verdict = Verdict.QUARANTINE  # deid's labels that only flag: somebody has to look
    return Ruling(label, verdict, criteria.meets(label))


def _error(label: Label, sentence: str) -> RecipeError:
    return RecipeError(label.path, label.line, f"LABEL {label.name}: {sentence}")


def _why(ruling: Ruling | None) -> str:
    if ruling is None:
        return "no label of the recipe's pixel policy lets such an image leave"
    return f"LABEL {ruling.label.name} ({ruling.label.path.name}:{ruling.label.line})"
