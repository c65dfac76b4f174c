"""The map of UIDs: no two become one, the same one everywhere, in every process and thread."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import factories
from planted import PLACES, Sent, send
from planted.against import plan_of
from planted.place import IMPLICIT

from scp.dataset import read
from scp.db.linkage import Linkage
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.tokens import uid
from scp.instance import Arrival, Identity, Instance, Peer, Subject
from scp.outcome import Failure

MILLION = 10**6
SECRETS = [hashlib.sha256(bytes([number])).digest() for number in range(4)]
DATA_SET = factories.instance(factories.mr(0)).dataset
PRINTED = """
import json, sys
from pathlib import Path
from scp.db.linkage import Linkage
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.tokens import uid
from scp.dataset import DataSet
from scp.instance import Identity
linkage = Linkage(Path(sys.argv[1]), bytes(range(32)))
linkage.open()
found = linkage.resolve(Identity("PATIENT-77", "WARD", "1.2.3.77"))
linkage.close()
original = Original(DataSet(memoryview(b""), True, ()), found)
print(json.dumps([found.pseudonym, found.scan_research_id, uid("1.2.3.77", original), uid("1.2.3.78", original)]))
"""


def original(secret: bytes) -> Original:
    return Original(DATA_SET, Subject("S", "10", secret))


def test_a_million_uids_stay_a_million() -> None:
    """Neighbours that differ in one digit, of four subjects, which share half of their UIDs."""
    seen: set[int] = set()
    count = 0
    for number, secret in enumerate(SECRETS):
        whose = original(secret)
        root = "1.3.12.2.1107.5.2.43" if number % 2 else "1.2.840.113619.2.312"
        for last in range(MILLION // len(SECRETS)):
            token = uid(f"{root}.{last}", whose)
            seen.add(int(token[5:]))
            count += 1
    assert count == MILLION
    assert len(seen) == MILLION
    assert len(f"2.25.{max(seen)}") <= 44
    assert min(seen) > 10**30


def test_padding_does_not_make_another_uid_and_order_does_not_matter() -> None:
    whose = original(SECRETS[0])
    assert uid("1.2.3.4\0", whose) == uid(" 1.2.3.4", whose) == uid("1.2.3.4", whose)
    assert uid("1.2.3.4\\1.2.3.5", whose) == f"{uid('1.2.3.4', whose)}\\{uid('1.2.3.5', whose)}"
    assert uid("1.2.3.4", original(SECRETS[1])) != uid("1.2.3.4", whose)


def test_the_same_in_other_processes_and_after_a_restart(tmp_path: Path) -> None:
    """Each a process of its own with hashes of its own, on a linkage that the first one made."""
    said = []
    for seed in ("0", "1", "77"):
        command = [sys.executable, "-c", PRINTED, str(tmp_path / "linkage.db")]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, check=True, capture_output=True, timeout=60
        )
        said.append(json.loads(done.stdout))
    assert said[0] == said[1] == said[2]
    linkage = Linkage(tmp_path / "linkage.db", bytes(range(32)))
    linkage.open()
    found = linkage.resolve(Identity("PATIENT-77", "WARD", "1.2.3.77"))
    linkage.close()
    whose = Original(DATA_SET, found)
    assert said[0] == [found.pseudonym, found.scan_research_id, uid("1.2.3.77", whose), uid("1.2.3.78", whose)]
    assert len(set(said[0])) == 4


def digest(sent: Sent) -> str:
    """SHA-256 of what the recipe makes of it, or why it makes nothing."""
    arrival = Arrival(
        Peer("A", "B", "192.0.2.7"), sent.sop_class, sent.sop_instance_uid, "", sent.transfer_syntax, sent.data
    )
    try:
        instance = Instance(arrival, read(sent.data, explicit=sent.transfer_syntax != IMPLICIT))
        made = plan_of("research-mri").apply(instance, Subject("S", "10", SECRETS[0]))
    except Failure as failure:
        return failure.why
    assert made.digest == hashlib.sha256(b"".join(made.parts)).digest()
    return made.digest.hex()


def test_eight_threads_make_the_same_bytes() -> None:
    """Half of them backwards, so that no two do the same at the same time."""
    sent = [send(place, 40) for place in PLACES.values()]
    expected = {one.place.name: digest(one) for one in sent}

    def walked(number: int) -> dict[str, str]:
        return {one.place.name: digest(one) for one in (sent if number % 2 else reversed(sent))}

    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(walked, range(8)))
