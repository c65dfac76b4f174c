"""Taking away what was made of a visit whose time is over."""

from collections.abc import Callable
from pathlib import Path

from scp.exports.visit import Surroundings

Aside = Callable[[Path], None]
"""Moves a folder out of its tree by one rename, to where it is removed."""

Removal = Callable[[str, Surroundings, Aside], None]
"""Takes an export of a visit away, whatever is left of it; done twice, the second finds nothing. Raises Failure."""


def folders(pattern: str) -> Removal:
    """For an export that gives each visit folders of its own, named by its number, below folders like `pattern`."""

    def remove(scan_research_id: str, where: Surroundings, aside: Aside) -> None:
        for folder in sorted(where.root.glob(f"{pattern}/{scan_research_id}")):
            aside(folder)

    return remove
