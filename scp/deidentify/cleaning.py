"""What is decided item by item, in front of all rules for attributes.

Clean Structured Content and Clean Graphics: what of content items and drawings stays (PS3.15 E.3.3 and E.3.4).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

from scp.dataset import DataSet
from scp.deidentify.concepts import Concepts, Fate, concepts_of
from scp.deidentify.functions.original import Original
from scp.deidentify.positions import CONTENT_SEQUENCE, POSITION, settled
from scp.deidentify.profile import CLEAN_CONTENT_CODE, CLEAN_GRAPHICS_CODE
from scp.deidentify.prune import Cuts, Level, Pruning, Where, union

_CONCEPT_NAME, _VALUE_TYPE = 0x0040A043, 0x0040A040
_CODE_VALUE, _CODING_SCHEME = 0x00080100, 0x00080102
TEXT_VALUE, _UNFORMATTED_TEXT = 0x0040A160, 0x00700006
_TEXTS = frozenset({TEXT_VALUE, _UNFORMATTED_TEXT})
_ANNOTATIONS, _TEXT_OBJECTS, _OBJECTS, _COMPOUND = 0x00700001, 0x00700008, 0x00700009, 0x00700209
_LOOKED_AT = frozenset({_CONCEPT_NAME, POSITION, _ANNOTATIONS, _OBJECTS})
_OPTIONAL = frozenset({CONTENT_SEQUENCE, _ANNOTATIONS, _OBJECTS})
_GRAPHIC_TYPE, _GRAPHIC_DATA = 0x00700023, 0x00700022
_POINT = Struct("<ff")
_SHAPES = {"POINT": 1, "CIRCLE": 2, "ELLIPSE": 4}
"""Graphic types that draw one thing, and the points that it takes (PS3.3 C.10.5.1.2)."""
_LINES = frozenset({"POLYLINE", "INTERPOLATED"})
_MEASURED = 3
"""Points of a distance or an angle."""


class Cleaned(NamedTuple):
    """The data set with cleaned items, texts in it that are to stay as they were sent, and which items are gone."""

    dataset: DataSet
    texts: frozenset[bytes] = frozenset()
    gone: frozenset[Where] = frozenset()


@dataclass(frozen=True, slots=True)
class Cleaning:
    """`contents` is None and `graphics` False where the option is not applied."""

    contents: Concepts | None = None
    graphics: bool = False

    def apply(self, dataset: DataSet) -> Cleaned:
        """What is left of the data set.

        Raises Failure NOT_DEIDENTIFIED where an item has to go and it is not sure what others refer to by position.
        """
        if self.contents is None and not self.graphics:
            return Cleaned(dataset)
        found = _Found()
        pruned = Pruning(partial(self._judge, found), _LOOKED_AT, _OPTIONAL).apply(dataset)
        if found.gone and found.references and (more := settled(dataset, found.gone, found.references)):
            pruned = Pruning(partial(self._judge, found, more=more), _LOOKED_AT, _OPTIONAL).apply(dataset)
        return Cleaned(pruned, frozenset(found.retained), frozenset(found.gone))

    def _judge(
        self, found: "_Found", where: Where, item: Level, more: Mapping[Where, Cuts] = MappingProxyType({})
    ) -> Cuts | None:
        contents = _content(self.contents, found, where, item) if self.contents else None
        drawn = _drawn(where[-1][0], item) if self.graphics else None
        cuts = union((contents, drawn, more.get(where)))
        if cuts and cuts.whole:
            found.gone.add(where)
        return cuts

    def retained(self, original: Original, texts: Collection[bytes]) -> Original:
        """The original in which these texts are names of the site's own, so that cleaning lets them through."""
        if not texts:
            return original
        decoded = {original.decode(text) for text in texts}
        names = {text: text for text in decoded if text.isascii() and text.isprintable()}
        return Original(original.dataset, original.subject, {**original.protocols, **names})


def cleaning(codes: Collection[str]) -> Cleaning:
    """What a recipe that applies these codes (PS3.16 CID 7050) does item by item."""
    contents = concepts_of(codes) if CLEAN_CONTENT_CODE in codes else None
    return Cleaning(contents, CLEAN_GRAPHICS_CODE in codes)


@dataclass(slots=True)
class _Found:
    """What was met on the way through one data set."""

    retained: set[bytes] = field(default_factory=set)
    gone: set[Where] = field(default_factory=set)
    references: dict[Where, bytes] = field(default_factory=dict)


def _content(concepts: Concepts, found: _Found, where: Where, item: Level) -> Cuts | None:
    """A content item by its concept name (PS3.3 C.17.3, 10.2): the most that any of its names asks for."""
    if item.find(POSITION) is not None:
        found.references[where] = item.value(POSITION)
    names = item.items(_CONCEPT_NAME)
    if not names:
        return None
    value_type = _text(item, _VALUE_TYPE)
    fate = max(concepts.fate(_text(name, _CODE_VALUE), _text(name, _CODING_SCHEME), value_type) for name in names)
    if fate is Fate.REMOVED:
        found.gone.add(where)
        return Cuts(whole=True)
    if fate is Fate.DUMMY:
        return Cuts(letters=_TEXTS)
    if fate is Fate.RETAINED:
        found.retained.add(item.value(TEXT_VALUE))
    return None


def _drawn(tag: int, item: Level) -> Cuts | None:
    """Of an annotation only what measures or outlines: no text, and no stroke that could be writing."""
    if tag == _OBJECTS:
        return Cuts(whole=True) if _is_stroke(item) else None
    if tag != _ANNOTATIONS:
        return None
    if all(_is_stroke(one) for one in item.items(_OBJECTS)):
        return Cuts(whole=True)
    return Cuts(elements=frozenset({_TEXT_OBJECTS, _COMPOUND}))


def _is_stroke(item: Level) -> bool:
    """Whether it is an open line of more points than a distance or an angle takes, or of no known type."""
    kind, data = _text(item, _GRAPHIC_TYPE), item.value(_GRAPHIC_DATA)
    if not data or len(data) % _POINT.size:
        return True
    points = list(_POINT.iter_unpack(data))
    if kind in _SHAPES:
        return len(points) != _SHAPES[kind]
    return kind not in _LINES or (len(points) > _MEASURED and points[0] != points[-1])


def _text(level: Level, tag: int) -> str:
    return level.value(tag).decode("ascii", "replace").strip(" \0")
