"""Every image is one that was measured, not one made of others: ImageType says PRIMARY (PS3.3 C.7.6.1.1.2)."""

from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said, names


def primary(visit: Candidate) -> Iterator[Said]:
    """The files whose ImageType is missing or has another second value."""
    others = [header for header in visit.headers if "PRIMARY" not in header.values.get("ImageType", ())]
    if others:
        yield Said(f"ImageType does not say PRIMARY in {len(others)} of {len(visit.headers)}", names(others))
