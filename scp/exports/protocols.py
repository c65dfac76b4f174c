"""The structural part of Protocols_definition.txt, by which the Data Factory's pipeline picks its T1 images.

Its reader takes the names between a line `[STRUCTURAL]` behind a line `__ATLASING__` and the next line that has `[` or
`__` in it, and compares them with SeriesDescription character by character.
"""

import re
from collections.abc import Iterable, Mapping

from scp.config.bids import place_of
from scp.exports.visit import ExportError

STEP, SECTION, END = "__ATLASING__", "[STRUCTURAL]", "[end]"
_ENDS_A_SECTION = re.compile(r"\[|__")


def structural(descriptions: Iterable[str], patterns: Mapping[str, str]) -> str:
    """The lines of the section: each description once that a pattern places as T1w.

    Raises ExportError where there is none, which the reader would take for every folder, and for names that would end
    the section before its end.
    """
    names = sorted({name for name in descriptions if (place := place_of(name, patterns)) and place.suffix == "T1w"})
    if not names:
        raise ExportError("no series is called by a name that [bids] places as T1w")
    if broken := sum(bool(_ENDS_A_SECTION.search(name)) for name in names):
        raise ExportError(f"{broken} of {len(names)} names have [ or __ in them, which ends the section for its reader")
    return "".join(f"{line}\n" for line in (STEP, SECTION, *names, END))
