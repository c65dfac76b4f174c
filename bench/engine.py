"""The compiled plan against deid's own executor: the same recipe, the same instance, no network and no disk."""

import statistics
import time
from io import BytesIO
from typing import Any

import pydicom
from deid.dicom import replace_identifiers
from pydicom import Dataset

from scp.build import recipe_of
from scp.config import Config
from scp.dataset import read
from scp.deidentify.functions import FUNCTIONS
from scp.deidentify.recipe import find
from scp.instance import Arrival, Instance, Peer, Subject

SUBJECT = Subject("SAAAAAAAAAAAAAAAA", "123456789012", bytes(range(32)))


def ours(dataset: Dataset, data: bytes, rounds: int) -> list[float]:
    """Seconds of each of `rounds` walks: the table of elements and the plan applied to it."""
    plan = recipe_of(Config())
    uid = str(dataset.SOPClassUID)
    arrival = Arrival(Peer("A", "B", "192.0.2.1"), uid, str(dataset.SOPInstanceUID), uid, "1.2.840.10008.1.2.1", data)
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        plan.apply(Instance(arrival, read(data, explicit=True)), SUBJECT)
        taken.append(time.perf_counter() - start)
    return taken


def deids(file: bytes, rounds: int) -> list[float]:
    """Seconds of each of `rounds` runs of deid, reading and writing included, as it cannot do without."""
    functions: dict[str, Any] = dict.fromkeys(FUNCTIONS, lambda *_args: "1.2.3")
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        dataset = pydicom.dcmread(BytesIO(file))
        dataset.filename = "instance"
        (clean,) = replace_identifiers(
            [dataset], deid=str(find("mip")), ids={"instance": functions}, save=False, strip_sequences=False
        )
        clean.save_as(BytesIO())
        taken.append(time.perf_counter() - start)
    return taken


def milliseconds(taken: list[float]) -> float:
    """Median in milliseconds."""
    return statistics.median(taken) * 1000
