"""A T1 series is fine enough to be segmented: 1.5 mm or less in each direction."""

from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said, names
from scp.steward.headers import Header

FINEST_MM = 1.5


def resolution(visit: Candidate) -> Iterator[Said]:
    """That there are T1 series and each of them is coarser, or does not say how fine it is."""
    series = visit.t1.values()
    if series and not any(_fine(members[0]) for members in series):
        coarse = tuple(name for members in series for name in names(members))
        yield Said(f"no T1 series has pixels and slices of at most {FINEST_MM} mm", coarse)


def _fine(header: Header) -> bool:
    sizes = (*header.numbers("PixelSpacing"), *header.numbers("SliceThickness"))
    return len(sizes) == 3 and all(0 < size <= FINEST_MM for size in sizes)  # noqa: PLR2004  rows, columns, slices
