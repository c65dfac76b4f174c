"""The slices of a series stand evenly, one at each place: what is lost on the way shows as a hole."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import median

from scp.steward.gates.finding import Candidate, Said, names
from scp.steward.headers import Header

TOLERANCE = 0.1
"""Part of the usual step by which one may differ, as rounding of positions in a scanner does."""
_POSITION, _ORIENTATION = 3, 6


def gaps(visit: Candidate) -> Iterator[Said]:
    """Series with a step between neighbours unlike the others, and series with two slices at one place."""
    for members in visit.series.values():
        for stack in _stacks(members):
            yield from _of_stack(stack)


def _stacks(members: Iterable[Header]) -> Iterator[list[tuple[float, Header]]]:
    """Slices of one orientation and one pass through the volume, with where they stand along their normal in mm.

    A localizer has several orientations; several echoes, volumes in time and image types pass the volume repeatedly.
    """
    stacks: dict[tuple[str, ...], list[tuple[float, Header]]] = defaultdict(list)
    apart = ("ImageOrientationPatient", "ImageType", "AcquisitionNumber", "EchoTime", "TemporalPositionIdentifier")
    for header in members:
        position, axes = header.numbers("ImagePositionPatient"), header.numbers("ImageOrientationPatient")
        if len(position) == _POSITION and len(axes) == _ORIENTATION:
            key = tuple(header.text(keyword) for keyword in apart)
            stacks[key].append((_along(position, axes), header))
    yield from stacks.values()


def _along(position: tuple[float, ...], axes: tuple[float, ...]) -> float:
    """The place of a slice along the normal of its plane (PS3.3 C.7.6.2.1.1)."""
    (a, b, c), (d, e, f) = axes[:3], axes[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    return sum(along * component for along, component in zip(position, normal, strict=True))


def _of_stack(stack: list[tuple[float, Header]]) -> Iterator[Said]:
    places = Counter(round(place, 3) for place, _ in stack)
    doubled = [header for place, header in stack if places[round(place, 3)] > 1]
    # One place many times over is a functional series without temporal positions, not a slice sent twice.
    if doubled and len(set(places.values())) > 1:
        yield Said(f"{len(doubled)} slices of a series share their place with another", names(doubled))
    ordered = sorted(places)
    steps = [after - before for before, after in pairwise(ordered)]
    usual = median(steps) if steps else 0.0
    holes = [step for step in steps if step > usual * (1 + TOLERANCE)]
    if holes:
        missing = sum(round(step / usual) - 1 for step in holes)
        yield Said(f"{len(holes)} gaps in a series, {missing} slices wide", names([header for _, header in stack]))
