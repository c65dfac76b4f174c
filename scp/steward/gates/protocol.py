"""Every series is called as the site's list says, so that the Data Factory's own list of protocols finds it."""

from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said, names


def protocol(visit: Candidate) -> Iterator[Said]:
    """Series with another description; nothing where the site has no list."""
    if not visit.protocols:
        return
    known = frozenset(visit.protocols.values())
    others = [members for members in visit.series.values() if members[0].text("SeriesDescription") not in known]
    if others:
        files = tuple(name for members in others for name in names(members))
        yield Said(f"{len(others)} of {len(visit.series)} series are not called as [protocols] says", files)
