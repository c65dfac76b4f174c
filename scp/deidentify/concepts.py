"""What becomes of content items by their concept names: PS3.15 E.3.4, Table E.3.4-1."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from scp.deidentify.profile import OPTIONS, Concept, concepts, retired_concepts

_TEXT = "TEXT"
_RETIRED_SCHEMES = ("SRT", "SNM3", "99SDM")  # how SNOMED codes were designated before SCT (PS3.16 Annex O)
_PADDING = " \0"


class Fate(IntEnum):
    """What becomes of a content item; of several the greatest."""

    RETAINED = 0
    """Its text stays as sent: an option says so."""
    CLEANED = 1
    """Its values are cleaned by the recipe's lines for the attributes that they stand in."""
    DUMMY = 2
    """Its text says nothing any more; dates, names and UIDs are replaced by the recipe's lines."""
    REMOVED = 3


Key = tuple[str, str, str]
"""Code value, coding scheme, value type."""


@dataclass(frozen=True, slots=True)
class Concepts:
    """The fates of the table's concepts under some options; those it does not name are cleaned."""

    fates: Mapping[Key, Fate]

    def fate(self, value: str, scheme: str, value_type: str) -> Fate:
        """Of an item with this concept name; one that does not say its type is of the worst that the concept has."""
        code, scheme, value_type = value.strip(_PADDING), scheme.strip(_PADDING), value_type.strip(_PADDING)
        if value_type:
            return self.fates.get((code, scheme, value_type), Fate.CLEANED)
        found = (fate for (one, of, _), fate in self.fates.items() if (one, of) == (code, scheme))
        return max(found, default=Fate.CLEANED)


def concepts_of(codes: Collection[str]) -> Concepts:
    """The table as it applies with the options of these codes (PS3.16 CID 7050)."""
    options = [option.name for option in OPTIONS if option.code in codes]
    fates = {}
    for concept in concepts():
        fate = _fate(concept, options)
        for key in _keys(concept):
            fates[key] = fate
    return Concepts(fates)


def _fate(concept: Concept, options: Collection[str]) -> Fate:
    """An option overrides the profile, and one that retains another one that cleans (PS3.15 E.1.1)."""
    said = {concept.options.get(name, "") for name in options}
    text = concept.value_type == _TEXT
    if "K" in said:
        return Fate.RETAINED if text else Fate.CLEANED
    if "C" in said:
        return Fate.CLEANED
    if concept.basic == "X":
        return Fate.REMOVED
    return Fate.DUMMY if text else Fate.CLEANED


def _keys(concept: Concept) -> Iterator[Key]:
    yield concept.code, concept.scheme, concept.value_type
    if retired := retired_concepts().get((concept.code, concept.scheme)):
        for scheme in _RETIRED_SCHEMES:
            yield retired, scheme, concept.value_type
