"""There is a T1-weighted series, the one the Data Factory's pipelines are made for."""

from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said


def t1(visit: Candidate) -> Iterator[Said]:
    """That no description says T1 or names a T1-weighted sequence."""
    if not visit.t1:
        yield Said(f"none of {len(visit.series)} series says that it is T1-weighted", ())
