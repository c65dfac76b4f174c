"""The compiled plan and deid's own executor on the same files with the same recipe, and memory over many instances."""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian

from bench import processes
from bench.receivers import ROOT
from scp import phantom
from scp.dataset import read
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions import FITTED, FUNCTIONS
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import find, load
from scp.instance import Arrival, Instance, Peer, Subject

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deid imports what pydicom is about to drop
    from deid.dicom import replace_identifiers

SUBJECT = Subject("SAAAAAAAAAAAAAAAA", "123456789012", bytes(range(32)))
PEER = Peer("A", "B", "192.0.2.1")
SHARED = ROOT.parent / "shared" / "data"
REAL = {"classic MR, as GE writes it": "ge-t1-head", "enhanced MR, as Siemens XA writes it": "siemens-xa-enhanced"}
FRAMES = 430
"""Frames of the made-up enhanced image: with them it has about 9,000 elements."""
ROUNDS, QUICK_ROUNDS = 5, 2
INSTANCES, QUICK_INSTANCES, MARKS = 100_000, 10_000, 10
FACTOR, SMALL = 100, 2_000
"""The ratio wanted, and the elements from which a file is measured less often and with `basic` alone."""
_MEBIBYTE = 2**20


class Taken(NamedTuple):
    """CPU seconds of each run."""

    ours: list[float]
    deids: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long deid takes, of medians."""
        return statistics.median(self.deids) / statistics.median(self.ours)


@dataclass(frozen=True, slots=True)
class File:
    """One instance as a Part 10 file, and its data set."""

    title: str
    content: bytes
    dataset: bytes
    arrival: Arrival
    elements: int


def section(*, quick: bool) -> str:
    """What the page says: a table of the files, and a line on memory."""
    rounds, count = (QUICK_ROUNDS, QUICK_INSTANCES) if quick else (ROUNDS, INSTANCES)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for file in files():
            names = ("basic", "mip") if file.elements < SMALL else ("basic",)
            rows += [_row(file, name, compare(file, recipe(name, Path(folder)), rounds)) for name in names]
    heads = ("Instance", "Elements", "Recipe", "Cloakroom", "deid 0.4.13", f"Ratio (target {FACTOR})")
    table = "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows))
    return f"### De-identification alone\n\n{_METHOD}\n{table}\n\n{_memory(memory(count), count)}"


def files() -> list[File]:
    """The made-up ones, and real ones where they are."""
    found = [_file("classic MR, made up", _classic()), _file("enhanced MR, made up", _enhanced())]
    for title, folder in REAL.items():
        paths = sorted(path for path in (SHARED / folder).rglob("*") if path.suffix in {".dcm", ""} and path.is_file())
        if paths:
            found.append(_file(title, pydicom.dcmread(paths[0])))
    return found


def recipe(name: str, folder: Path) -> Path:
    """A recipe of ours without the lines that deid stops at: it cannot add an attribute by its tag."""
    lines = find(name).read_text("ascii").splitlines(keepends=True)
    path = folder / f"{name}.dicom"
    path.write_text("".join(line for line in lines if not line.startswith("ADD (")), "ascii")
    return path


def compare(file: File, recipe: Path, rounds: int) -> Taken:
    """Both by turns, so that what else the machine does meets both alike; deid is far slower and runs less often."""
    small = file.elements < SMALL
    plan, each = compile_plan(load(str(recipe)), Policy({})), 400 if small else 20
    taken = Taken([], [])
    for _ in range(rounds):
        taken.ours.extend(_seconds(lambda: _apply(plan, file.arrival), each))
        with suppress(AttributeError):  # where it stops, there is nothing to compare with
            taken.deids.extend(_seconds(lambda: _deid(file.content, recipe), 5 if small else 1))
    return taken


def memory(count: int) -> list[float]:
    """Resident MiB of this process after each tenth of `count` instances, behind a tenth that is not counted."""
    plan = compile_plan(load("mip"), Policy({}))
    dataset = _classic()
    dataset.Rows = dataset.Columns = 16
    dataset.PixelData = bytes(16 * 16 * 2)
    arrival = _file("", dataset).arrival
    for _ in range(count // MARKS):
        _apply(plan, arrival)
    found = []
    for _ in range(MARKS):
        for _ in range(count // MARKS):
            _apply(plan, arrival)
        found.append(processes.resident(_own()) / _MEBIBYTE)
    return found


def _apply(plan: Plan, arrival: Arrival) -> None:
    plan.apply(Instance(arrival, read(arrival.data, explicit=True)), SUBJECT)


def _deid(content: bytes, recipe: Path) -> None:
    """Reading and writing included, as it cannot do without."""
    dataset = pydicom.dcmread(BytesIO(content))
    dataset.filename = "instance"
    (clean,) = replace_identifiers(
        [dataset], deid=str(recipe), ids={"instance": _LOOKUPS}, save=False, strip_sequences=False
    )
    clean.save_as(BytesIO())


_LOOKUPS: Mapping[str, Any] = dict.fromkeys((*FUNCTIONS, *FITTED), lambda *_args: "1.2.3")


def _seconds(run: Callable[[], None], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.thread_time()
        run()
        taken.append(time.thread_time() - start)
    return taken


def _file(title: str, dataset: Dataset) -> File:
    """Explicit VR little endian, whatever it was: the pixels play no part."""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    content = stream.getvalue()
    data = content[144 + int.from_bytes(content[140:144], "little") :]
    uid = str(dataset.SOPClassUID)
    arrival = Arrival(PEER, uid, str(dataset.SOPInstanceUID), uid, ExplicitVRLittleEndian, data)
    return File(title, content, data, arrival, sum(1 for _ in dataset.iterall()))


def _classic() -> Dataset:
    return phantom.study()[0]


def _enhanced() -> Dataset:
    """As many elements as a long enhanced series has, in functional groups."""
    dataset = phantom.study()[0]
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedMRImageStorage, FRAMES
    dataset.PerFrameFunctionalGroupsSequence = [_frame(number) for number in range(FRAMES)]
    dataset.Rows = dataset.Columns = 8
    dataset.PixelData = bytes(8 * 8 * 2 * FRAMES)
    return dataset


def _frame(number: int) -> Dataset:
    frame = Dataset()
    frame.PlanePositionSequence = [_item(ImagePositionPatient=["0", "0", str(number)])]
    frame.PlaneOrientationSequence = [_item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])]
    frame.PixelMeasuresSequence = [_item(PixelSpacing=["1", "1"], SliceThickness="1", SpacingBetweenSlices="1")]
    frame.PixelValueTransformationSequence = [_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")]
    frame.FrameContentSequence = [
        _item(FrameAcquisitionNumber=number, StackID="1", InStackPositionNumber=number, FrameComments="made up",
              FrameAcquisitionDateTime="20250917134502", FrameReferenceDateTime="20250917134502")
    ]  # fmt: skip
    return frame


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _own() -> int:
    return int(Path("/proc/self").resolve().name)


def _row(file: File, recipe: str, taken: Taken) -> tuple[str, ...]:
    ours = f"{statistics.median(taken.ours) * 1000:.3f} ms"
    if not taken.deids:
        return file.title, f"{file.elements:,}", f"`{recipe}`", ours, "raises AttributeError", ""
    deids = f"{statistics.median(taken.deids) * 1000:,.1f} ms"
    reached = "" if taken.ratio >= FACTOR else ", **not reached**"
    return file.title, f"{file.elements:,}", f"`{recipe}`", ours, deids, f"{taken.ratio:,.0f}{reached}"


def _memory(found: list[float], count: int) -> str:
    marks = ", ".join(f"{mark:.1f}" for mark in found)
    grown = found[-1] - found[0]
    return f"Resident MiB, after each tenth of {count:,} instances under `mip`: {marks}; grown by {grown:.1f}.\n"


_METHOD = """CPU time of one thread, no network, no disk, medians. Cloakroom: the table of the received bytes, the plan
with the residual guard where there is one, and SHA-256 of what leaves. deid: its own executor with the same recipe,
less the lines that it cannot do, reading and writing by pydicom included; its functions are constants.
"""
