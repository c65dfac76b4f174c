"""The planted corpus: hiding places by name, each a member of this table, and the needles that are put there.

A place is one entry in the list of its family; `send(place, seed)` is an instance that hides the person of that seed
there. What leaves a recipe is searched for `Needles` in every byte.
"""

from collections.abc import Mapping

from planted import concepts, dates, encoding, kept, nesting, pixels, private, texts
from planted.person import KINDS, Needles, Person
from planted.place import Place, Sent, send

__all__ = ["KINDS", "PLACES", "Needles", "Person", "Place", "Sent", "send"]

_FAMILIES = (texts, dates, private, nesting, concepts, encoding, pixels, kept)

PLACES: Mapping[str, Place] = {place.name: place for family in _FAMILIES for place in family.PLACES}
