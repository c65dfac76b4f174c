"""Lines that name an attribute in one place inside of sequences, as `Sequence__Keyword`: which of them holds where.

Such a line is stronger than those for the attribute wherever it stands.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scp import dictionary
from scp.dataset import DataSet, read
from scp.deidentify import blocks, search
from scp.deidentify.fields import EVERY, Inside, Private, Tag
from scp.deidentify.functions.original import Original
from scp.deidentify.guard import Guard
from scp.deidentify.prune import CHECKED, Cuts, Level, Pruning, Where
from scp.deidentify.repeated import PrivateSteps
from scp.deidentify.rule import RecipeError
from scp.deidentify.search import Search
from scp.deidentify.splice import Tables
from scp.deidentify.step import Action, Step
from scp.table import Element

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
    def tag(self) -> Tag:
        """The attribute's own."""
        return self.where.tags[-1]

    def covers(self, tags: Sequence[Tag], numbers: Sequence[int]) -> bool:
        """Whether the line speaks, or may speak, of the attribute at this way down."""
        return (
            len(tags) == len(self.where.tags)
            and all(map(_may_be, self.where.tags, tags))
            and all(own in {EVERY, number} for own, number in zip(self.where.items, numbers, strict=True))
        )


@dataclass(frozen=True, slots=True)
class General:
    """What lines say of attributes wherever they stand, and of private ones by group, creator and last two digits."""

    decisions: Mapping[int, Step]
    private: Mapping[tuple[int, str, int], Step]
    added: Mapping[int, Step]

    def of(self, tag: Tag) -> Step | None:
        """The step for the attribute; of a private one named by its number one that may be meant."""
        if isinstance(tag, Private):
            return self.private.get((tag.group, tag.creator, tag.element))
        if not tag >> 16 & 1:
            return self.decisions.get(tag)
        found = [step for (group, _, last), step in self.private.items() if (group, last) == (tag >> 16, tag & 0xFF)]
        return next((step for step in found if step.action is Action.RECURSE), found[0] if found else None)


@dataclass(frozen=True, slots=True)
class Places:
    """All such lines of a recipe, the weaker ones first: a later layer, more numbers, a later line is stronger."""

    lines: tuple[Place, ...] = ()
    _kept: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        """Note which attributes are kept as sent somewhere."""
        kept = (one.tag for one in self.lines if one.step.action is Action.KEEP)
        object.__setattr__(self, "_kept", frozenset(tag for tag in kept if isinstance(tag, int)))

    def at(self, where: Inside) -> Place | None:
        """The strongest line for this place; a place in every item is asked for as one that no line numbers."""
        numbers = [_NO_ITEM if number == EVERY else number for number in where.items]
        return next((one for one in reversed(self.lines) if one.covers(where.tags, numbers)), None)

    def written(self, decisions: Mapping[int, Step]) -> dict[int, Step]:
        """What is written anew, by attribute, so far as nothing else comes through under the same tag."""
        written = [one for one in self.lines if one.step.action in {Action.REPLACE, Action.ADD}]
        steps = {one.tag: one.step for one in written if isinstance(one.tag, int)}
        kept = self._kept | {tag for tag in steps if (step := decisions.get(tag)) and step.action is Action.KEEP}
        return {tag: step for tag, step in steps.items() if tag not in kept}

    def searched(self, tables: Tables, searches: Sequence[Search], original: Original) -> "Places":
        """The same lines where a search decides on what they would have kept of this instance."""
        stay = {one.tag: one.step for one in self.lines if one.step.action in {Action.KEEP, Action.RECURSE}}
        public = {tag: step for tag, step in stay.items() if isinstance(tag, int)}
        private = {_key(tag): step for tag, step in stay.items() if isinstance(tag, Private)}
        left = search.tables(replace(tables, public=public, private=PrivateSteps(private)), searches, original)
        decided = {
            tag: (left.public.get(tag) if isinstance(tag, int) else left.private.by_place.get(_key(tag)))
            or Step(Action.REMOVE, step.vrs, step.rule)
            for tag, step in stay.items()
        }
        changed = {tag: step for tag, step in decided.items() if step is not stay[tag]}
        return Places(tuple(replace(one, step=changed.get(one.tag, one.step)) for one in self.lines))

    def check(self, guard: Guard, output: bytes, start: int, original: Original) -> None:
        """As `Guard.check`, but that a value may stand in the place where a line keeps it on purpose, and only there.

        So the output is asked for all other values, and what is left of it without such places for all of them.
        """
        dataset = original.dataset
        found = self._values(self.lines, _top(dataset), ()) if self._kept and output else []
        if not found:
            guard.check(output, start, original)
            return
        kept, ways = frozenset(value for _, value in found), frozenset(way for way, _ in found)
        others = _without(kept, lambda _: True).apply(dataset, _cuts(kept, _top(dataset)))
        guard.check(output, start, Original(others, original.subject, original.protocols, original.uids))
        written = read(memoryview(output)[start:], explicit=True, bounds=CHECKED)
        elsewhere = _without(kept, ways.__contains__).apply(written)
        guard.check(output[:start] + bytes(elsewhere.data), start, original)

    def _values(
        self, lines: Sequence[Place], level: Level, way: tuple[int, ...]
    ) -> list[tuple[tuple[int, ...], Value]]:
        """The public attributes that are kept at this level and below, each with the way down and its value."""
        found: list[tuple[tuple[int, ...], Value]] = []
        depth = len(way)
        for tag, here in by_tag(lines, depth, level.elements, level.data).items():
            ending = [one for one in here if len(one.where.items) == depth]
            if ending and ending[-1].step.action is Action.KEEP and tag in self._kept and level.find(tag):
                found.append(((*way, tag), (tag, level.value(tag).strip(b" \0"))))
            deeper = [one for one in here if len(one.where.items) > depth]
            for number, item in enumerate(level.items(tag) if deeper else ()):
                found += self._values(
                    [one for one in deeper if one.where.items[depth] in {EVERY, number}], item, (*way, tag)
                )
        return found


def by_tag(lines: Iterable[Place], depth: int, elements: Sequence[Element], data: memoryview) -> dict[int, list[Place]]:
    """The lines that lead to a level of these elements, by the tag that each names there, weaker ones first."""
    found: dict[int, list[Place]] = {}
    for one in lines:
        named = one.where.tags[depth]
        for tag in (named,) if isinstance(named, int) else blocks.tags(named, elements, data):
            found.setdefault(tag, []).append(one)
    return found


def _may_be(one: Tag, other: Tag) -> bool:
    """Whether both may name one element: a number stands in whosever block it is."""
    if isinstance(one, Private) == isinstance(other, Private):
        return one == other
    private, tag = (one, other) if isinstance(one, Private) else (other, one)
    return (
        isinstance(private, Private)
        and isinstance(tag, int)
        and (private.group, private.element) == (tag >> 16, tag & 0xFF)
    )


def _key(private: Private) -> tuple[int, str, int]:
    return private.group, private.creator, private.element


def _top(dataset: DataSet) -> Level:
    return Level(dataset.data, dataset.elements, dataset.nested, dataset.explicit)


def _without(kept: frozenset[Value], ways: Callable[[tuple[int, ...]], bool]) -> Pruning:
    """What takes out elements with one of these values, where they stand at one of these ways down."""

    def judge(where: Where, level: Level) -> Cuts:
        above = tuple(tag for tag, _ in where)
        return _cuts(frozenset(one for one in kept if ways((*above, one[0]))), level)

    return Pruning(judge, frozenset(tag for tag, _ in kept), frozenset(), private=True)


def _cuts(kept: frozenset[Value], level: Level) -> Cuts:
    return Cuts(elements=frozenset(tag for tag, value in kept if level.value(tag).strip(b" \0") == value))


def places(lines: Sequence[Place], general: General) -> Places:
    """The lines by their strength, without those on whose attribute a later layer decides.

    Raises RecipeError at a line that lets something stay in a sequence that does not.
    """
    ordered = Places(tuple(sorted((one for one in lines if not _is_overruled(one, general)), key=_strength)))
    for one in ordered.lines:
        if one.step.action in _STAYS:
            _check_way(one, ordered, general)
    return ordered


def _is_overruled(place: Place, general: General) -> bool:
    """Whether a later recipe says what becomes of the attribute everywhere; what a place takes away stays away."""
    own, step = place.step.rule, general.of(place.tag)
    later = own and step and step.rule and step.rule.layer > own.layer
    return place.step.action in _STAYS and bool(later)


def _strength(place: Place) -> tuple[int, int, int]:
    rule = place.step.rule
    numbers = sum(number != EVERY for number in place.where.items)
    return (rule.layer, numbers, rule.line) if rule else (0, numbers, 0)


def _check_way(place: Place, all_of_them: Places, general: General) -> None:
    """What a later recipe takes away takes its places with it; what the same one or an earlier does is a mistake."""
    where, rule = place.where, place.step.rule
    for depth in range(1, len(where.tags)):
        tag = where.tags[depth - 1]
        stronger = all_of_them.at(Inside(where.tags[:depth], where.items[: depth - 1]))
        added = general.added.get(tag) if depth == 1 and isinstance(tag, int) else None
        step = stronger.step if stronger else added or general.of(tag)
        if rule is None or (step and step.action is Action.RECURSE):
            continue
        if step and step.rule and step.rule.layer > rule.layer:
            return
        name = dictionary.write(tag) if isinstance(tag, int) else str(tag)
        sentence = f"{rule.text} never applies: {name} does not stay with its items; write KEEP for it as well"
        raise RecipeError(rule.path, rule.line, sentence)
