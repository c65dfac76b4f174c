"""A T1 series covers the brain: 40 slices or more."""

from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said, names
from scp.steward.headers import Header

FEWEST = 40


def slices(visit: Candidate) -> Iterator[Said]:
    """That there are T1 series and each of them has fewer."""
    series = visit.t1.values()
    if series and max(_count(members) for members in series) < FEWEST:
        few = tuple(name for members in series for name in names(members))
        yield Said(f"no T1 series has {FEWEST} slices", few)


def _count(members: tuple[Header, ...]) -> int:
    """Slices, those of a multi-frame image (PS3.3 C.7.6.6) one by one."""
    return sum(int(max(header.numbers("NumberOfFrames") or (1.0,))) for header in members)
