"""The gates between a complete visit and the Data Factory; a new gate is one file, one line here, one in [gates]."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from scp.steward.gates.consistent import consistent
from scp.steward.gates.converted import converts
from scp.steward.gates.finding import Candidate, Finding, Said, Verdict
from scp.steward.gates.gaps import gaps
from scp.steward.gates.mandatory import mandatory
from scp.steward.gates.primary import primary
from scp.steward.gates.protocol import protocol
from scp.steward.gates.resolution import resolution
from scp.steward.gates.slices import slices
from scp.steward.gates.t1 import t1

__all__ = ["GATES", "Candidate", "Finding", "Gate", "Said", "Verdict", "ask"]

Gate = Callable[[Candidate], Iterator[Said]]

GATES: Mapping[str, Gate] = MappingProxyType(
    {
        "mandatory": mandatory,
        "primary": primary,
        "consistent": consistent,
        "t1": t1,
        "resolution": resolution,
        "slices": slices,
        "gaps": gaps,
        "protocol": protocol,
        "dcm2niix": converts,
    }
)


def ask(visit: Candidate, weights: Mapping[str, Verdict]) -> list[Finding]:
    """What each gate that weighs something finds, in the table's order; KeyError for a gate without a weight."""
    return [
        Finding(name, weights[name], said.why, said.files)
        for name, gate in GATES.items()
        if weights[name] is not Verdict.PASS
        for said in gate(visit)
    ]
