"""The planted corpus pushed through a real node: nothing of it in files, names, logs, metrics or the index."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from planted import PLACES, Needles, Person, Place, Sent, send
from planted.against import GUARDED, hidden_kinds, is_kept, plan_of
from planted.scripts import SCRIPTS
from running import Node

from bench import wire
from scp.outcome import Outcome

SEEDS = range(700, 702)
RECIPES = ("mip", "research-mri")
SUCCESS = 0x0000


@dataclass
class Pushed:
    """A node that has taken its share of the corpus, and what it answered."""

    node: Node
    recipe: str
    statuses: dict[str, int] = field(default_factory=dict)


def share(recipe: str) -> list[tuple[Place, Sent]]:
    """Every second place for each recipe, but those that need the residual guard or are inside the pixels."""
    chosen = list(PLACES.values())[RECIPES.index(recipe) :: 2]
    hidden = [place for place in chosen if place.kind in hidden_kinds(recipe) and not place.beyond]
    if not GUARDED:
        hidden = [place for place in hidden if not is_kept(place, plan_of(recipe))]
    return [(place, send(place, SEEDS[number % len(SEEDS)])) for number, place in enumerate(hidden)]


def push(port: int, chosen: list[tuple[Place, Sent]]) -> Iterator[tuple[str, int]]:
    """Each instance as it is, byte for byte, on one association for each SOP class and transfer syntax."""
    together = defaultdict(list)
    for place, sent in chosen:
        together[sent.sop_class, sent.transfer_syntax].append((place, sent))
    for (sop_class, syntax), some in together.items():
        sock, max_pdu = wire.connect(port, sop_class, syntax)
        with sock:
            for place, sent in some:
                wire.send_all(sock, wire.store(sop_class, sent.sop_instance_uid, memoryview(sent.data), max_pdu))
                yield place.name, wire.status(sock)
            wire.release(sock)


@pytest.fixture(scope="module", params=RECIPES)
def pushed(request, tmp_path_factory) -> Iterator[Pushed]:
    node = Node(tmp_path_factory.mktemp("corpus"), recipe=request.param)
    node.start()
    try:
        done = Pushed(node, request.param)
        done.statuses |= push(node.port, share(request.param))
        node.published(Counter(done.statuses.values())[SUCCESS])
        yield done
    finally:
        node.stop()


def needles(person: Person, recipe: str) -> list[Needles]:
    kinds = hidden_kinds(recipe) - {"age"}  # four characters may occur by chance in what is sealed
    return [Needles(person, kinds), *(Needles(person, frozenset(), script) for script in SCRIPTS)]


def test_it_takes_what_is_well_formed(pushed: Pushed) -> None:
    assert len(pushed.statuses) > 250
    refused = {name for name, status in pushed.statuses.items() if status != SUCCESS}
    plan = plan_of(pushed.recipe)
    refusable = {name for name, place in PLACES.items() if place.broken or place.refusable or is_kept(place, plan)}
    other_person = {"text: IssuerOfPatientID"}  # all are of one study, and this one says that it is somebody else's
    assert refused <= refusable | other_person
    assert len(refused) < 0.2 * len(pushed.statuses)
    assert refused
    assert {pushed.statuses[name] for name in refused} <= {outcome.status for outcome in Outcome if outcome.quarantined}


def test_no_needle_stands_in_anything_clear(pushed: Pushed) -> None:
    clear = pushed.node.clear() | {"/metrics": pushed.node.get("/metrics")[1].encode()}
    clear |= {f"name of {name}": name.encode() for name in clear}
    assert any(name.endswith(".dcm") for name in clear)
    assert any("index.db" in name for name in clear)
    assert any("quarantine" in name for name in clear)
    together = b"\0\0".join(clear.values())
    for person in map(Person, SEEDS):
        for looked_for in needles(person, pushed.recipe):
            if looked_for.found(together):
                assert {name: there for name, data in clear.items() if (there := looked_for.found(data))} == {}


def test_the_index_counts_what_was_answered(pushed: Pushed) -> None:
    stored = Counter(pushed.statuses.values())[SUCCESS]
    assert len(pushed.node.instances()) == stored
    assert len(list((pushed.node.export / "DICOM").rglob("*.dcm"))) == stored
    assert pushed.node.metric('cloakroom_instances_total{outcome="stored"}') == stored
