"""Lines that name an attribute in one place inside of sequences, as `Sequence__Keyword`: which of them holds where.

Such a line is stronger than those for the attribute wherever it stands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scp import dictionary
from scp.dataset import DataSet, read
from scp.deidentify import search
from scp.deidentify.fields import EVERY, Inside
from scp.deidentify.functions.original import Original
from scp.deidentify.guard import Guard
from scp.deidentify.prune import CHECKED, Cuts, Level, Pruning, Where
from scp.deidentify.repeated import PrivateSteps
from scp.deidentify.rule import RecipeError
from scp.deidentify.search import Search
from scp.deidentify.splice import Tables
from scp.deidentify.step import Action, Step

Value = tuple[int, bytes]
"""An attribute's tag and its value as sent, without padding."""

_NO_ITEM = 1 << 30
"""A number of an item that no line gives: what holds for it holds for every item that is not named."""
_STAYS = frozenset({Action.KEEP, Action.RECURSE, Action.REPLACE, Action.ADD})


@dataclass(frozen=True, slots=True)
class Place:
    """One line: where, and what becomes of the attribute there."""

    where: Inside
    step: Step

    @property
    def tag(self) -> int:
        """The attribute's own."""
        return self.where.tags[-1]

    def covers(self, tags: Sequence[int], numbers: Sequence[int]) -> bool:
        """Whether the line speaks of the attribute at this way down."""
        return self.where.tags == tuple(tags) and all(
            own in {EVERY, number} for own, number in zip(self.where.items, numbers, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Places:
    """All such lines of a recipe, the weaker ones first: a later layer, more numbers, a later line is stronger."""

    lines: tuple[Place, ...] = ()
    _kept: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        """Note which attributes are kept as sent somewhere."""
        object.__setattr__(self, "_kept", frozenset(one.tag for one in self.lines if one.step.action is Action.KEEP))

    def at(self, where: Inside) -> Place | None:
        """The strongest line for this place; a place in every item is asked for as one that no line numbers."""
        numbers = [_NO_ITEM if number == EVERY else number for number in where.items]
        return next((one for one in reversed(self.lines) if one.covers(where.tags, numbers)), None)

    def written(self, decisions: Mapping[int, Step]) -> dict[int, Step]:
        """What is written anew, by attribute, so far as nothing else comes through under the same tag."""
        steps = {one.tag: one.step for one in self.lines if one.step.action in {Action.REPLACE, Action.ADD}}
        kept = self._kept | {tag for tag in steps if (step := decisions.get(tag)) and step.action is Action.KEEP}
        return {tag: step for tag, step in steps.items() if tag not in kept}

    def searched(self, tables: Tables, searches: Sequence[Search], original: Original) -> "Places":
        """The same lines where a search decides on what they would have kept of this instance."""
        stay = {one.tag: one.step for one in self.lines if one.step.action in {Action.KEEP, Action.RECURSE}}
        left = search.tables(replace(tables, public=stay, private=PrivateSteps({})), searches, original).public
        decided = {tag: left.get(tag, Step(Action.REMOVE, step.vrs, step.rule)) for tag, step in stay.items()}
        changed = {tag: step for tag, step in decided.items() if step is not stay[tag]}
        return Places(tuple(replace(one, step=changed.get(one.tag, one.step)) for one in self.lines))

    def check(self, guard: Guard, output: bytes, start: int, original: Original) -> None:
        """As `Guard.check`, but that a value may stand in the place where a line keeps it on purpose, and only there.

        So the output is asked for all other values, and what is left of it without such places for all of them.
        """
        dataset = original.dataset
        kept = frozenset(self._values(_top(dataset), (), ())) if self._kept and output else None
        if not kept:
            guard.check(output, start, original)
            return
        others = _without(kept, lambda _: True).apply(dataset, _cuts(kept, _top(dataset)))
        guard.check(output, start, Original(others, original.subject, original.protocols, original.uids))
        ways = {one.where.tags for one in self.lines if one.step.action is Action.KEEP}
        written = read(memoryview(output)[start:], explicit=True, bounds=CHECKED)
        elsewhere = _without(kept, ways.__contains__).apply(written)
        guard.check(output[:start] + bytes(elsewhere.data), start, original)

    def _values(self, level: Level, tags: tuple[int, ...], numbers: tuple[int, ...]) -> list[Value]:
        """The attributes that are kept at this level and below, with their values."""
        found: list[Value] = []
        depth = len(tags)
        for tag in {one.where.tags[depth] for one in self.lines if one.where.tags[:depth] == tags != one.where.tags}:
            place = self.at(Inside((*tags, tag), numbers)) if depth else None
            if place and place.step.action is Action.KEEP and level.find(tag):
                found.append((tag, level.value(tag).strip(b" \0")))
            for number, item in enumerate(level.items(tag)):
                found += self._values(item, (*tags, tag), (*numbers, number))
        return found


def _top(dataset: DataSet) -> Level:
    return Level(dataset.data, dataset.elements, dataset.nested, dataset.explicit)


def _without(kept: frozenset[Value], ways: Callable[[tuple[int, ...]], bool]) -> Pruning:
    """What takes out elements with one of these values, where they stand at one of these ways down."""

    def judge(where: Where, level: Level) -> Cuts:
        above = tuple(tag for tag, _ in where)
        return _cuts(frozenset(one for one in kept if ways((*above, one[0]))), level)

    return Pruning(judge, frozenset(tag for tag, _ in kept), frozenset())


def _cuts(kept: frozenset[Value], level: Level) -> Cuts:
    return Cuts(elements=frozenset(tag for tag, value in kept if level.value(tag).strip(b" \0") == value))


def places(lines: Sequence[Place], decisions: Mapping[int, Step], added: Mapping[int, Step]) -> Places:
    """The lines by their strength, without those on whose attribute a later layer decides.

    Raises RecipeError at a line that lets something stay in a sequence that does not.
    """
    ordered = Places(tuple(sorted((one for one in lines if not _is_overruled(one, decisions)), key=_strength)))
    for one in ordered.lines:
        if one.step.action in _STAYS:
            _check_way(one, ordered, decisions, added)
    return ordered


def _is_overruled(place: Place, decisions: Mapping[int, Step]) -> bool:
    """Whether a later recipe says what becomes of the attribute everywhere; what a place takes away stays away."""
    own, general = place.step.rule, decisions.get(place.tag)
    later = own and general and general.rule and general.rule.layer > own.layer
    return place.step.action in _STAYS and bool(later)


def _strength(place: Place) -> tuple[int, int, int]:
    rule = place.step.rule
    numbers = sum(number != EVERY for number in place.where.items)
    return (rule.layer, numbers, rule.line) if rule else (0, numbers, 0)


def _check_way(place: Place, all_of_them: Places, decisions: Mapping[int, Step], added: Mapping[int, Step]) -> None:
    """What a later recipe takes away takes its places with it; what the same one or an earlier does is a mistake."""
    where, rule = place.where, place.step.rule
    for depth in range(1, len(where.tags)):
        tag = where.tags[depth - 1]
        stronger = all_of_them.at(Inside(where.tags[:depth], where.items[: depth - 1]))
        step = stronger.step if stronger else (added.get(tag) if depth == 1 else None) or decisions[tag]
        if rule is None or step.action is Action.RECURSE:
            continue
        if step.rule and step.rule.layer > rule.layer:
            return
        name = dictionary.write(tag)
        sentence = f"{rule.text} never applies: {name} does not stay with its items; write KEEP for it as well"
        raise RecipeError(rule.path, rule.line, sentence)
