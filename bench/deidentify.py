"""The compiled plan and deid's own executor on the same files with the same recipe, and memory over many instances."""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from bench import processes
from bench.receivers import ROOT
from scp import phantom
from scp.alike import Neighbours
from scp.dataset import DataSet, read
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
REAL = {
    "classic MR, as GE writes it": ("ge-t1-head", MRImageStorage),
    "enhanced MR, as Siemens XA writes it": ("siemens-xa-enhanced", EnhancedMRImageStorage),
}
SLICES = 40
"""Instances of a series that follow one another, over and over; none comes twice in a row."""
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
    alone: list[float]
    deids: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long deid takes, of medians."""
        return statistics.median(self.deids) / statistics.median(self.ours)


@dataclass(frozen=True, slots=True)
class Row:
    """Instances of one series, in order: as Part 10 files, and their data sets."""

    title: str
    contents: tuple[bytes, ...]
    arrivals: tuple[Arrival, ...]
    elements: int


def section(*, quick: bool) -> str:
    """What the page says: a table of the files, and a line on memory."""
    rounds, count = (QUICK_ROUNDS, QUICK_INSTANCES) if quick else (ROUNDS, INSTANCES)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows():
            names = ("basic", "mip") if row.elements < SMALL else ("basic",)
            lines += [_line(row, name, compare(row, recipe(name, Path(folder)), rounds)) for name in names]
    heads = ("Instance", "Elements", "Recipe", "Cloakroom", "each alone", "deid 0.4.13", f"Ratio (target {FACTOR})")
    table = "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines))
    return f"### De-identification alone\n\n{_METHOD}\n{table}\n\n{_memory(memory(count), count)}"


def rows() -> list[Row]:
    """The made-up ones, and real ones where they are."""
    classic = phantom.study()
    number = classic[0].SeriesInstanceUID
    found = [
        _row_of("classic MR, made up", [one for one in classic if one.SeriesInstanceUID == number][:SLICES]),
        _row_of("enhanced MR, made up", [_enhanced(), _enhanced(1)]),
    ]
    for title, (folder, sop_class) in REAL.items():
        read_ones = (pydicom.dcmread(path) for path in sorted((SHARED / folder).rglob("*.dcm")))
        images = [one for one in read_ones if sop_class == one.SOPClassUID]
        series = [one for one in images if one.SeriesInstanceUID == images[0].SeriesInstanceUID]
        if series:
            found.append(_row_of(title, sorted(series, key=lambda one: int(one.InstanceNumber))[:SLICES]))
    return found


def recipe(name: str, folder: Path) -> Path:
    """A recipe of ours without the lines that deid stops at: it cannot add an attribute by its tag."""
    lines = find(name).read_text("ascii").splitlines(keepends=True)
    path = folder / f"{name}.dicom"
    path.write_text("".join(line for line in lines if not line.startswith("ADD (")), "ascii")
    return path


def compare(row: Row, recipe: Path, rounds: int) -> Taken:
    """All by turns, so that what else the machine does meets them alike; deid is far slower and runs less often."""
    small = row.elements < SMALL
    plan, neighbours = compile_plan(load(str(recipe)), Policy({})), Neighbours()
    each, turns = (400, 5) if small else (20, 1)
    arrivals, contents = cycle(row.arrivals), cycle(row.contents)
    taken = Taken([], [], [])
    for _ in range(rounds):
        taken.ours.extend(_seconds(lambda: _apply(plan, next(arrivals), neighbours.read), each))
        taken.alone.extend(_seconds(lambda: _apply(plan, next(arrivals), read), each))
        with suppress(AttributeError):  # where it stops, there is nothing to compare with
            taken.deids.extend(_seconds(lambda: _deid(next(contents), recipe), turns))
    return taken


def memory(count: int) -> list[float]:
    """Resident MiB of this process after each tenth of `count` instances, behind a tenth that is not counted."""
    plan = compile_plan(load("mip"), Policy({}))
    datasets = phantom.study()[:SLICES]
    for dataset in datasets:
        dataset.Rows = dataset.Columns = 16
        dataset.PixelData = bytes(16 * 16 * 2)
    arrivals, neighbours = cycle(_row_of("", datasets).arrivals), Neighbours()
    for _ in range(count // MARKS):
        _apply(plan, next(arrivals), neighbours.read)
    found = []
    for _ in range(MARKS):
        for _ in range(count // MARKS):
            _apply(plan, next(arrivals), neighbours.read)
        found.append(processes.resident(_own()) / _MEBIBYTE)
    return found


def _apply(plan: Plan, arrival: Arrival, reader: Callable[..., DataSet]) -> None:
    plan.apply(Instance(arrival, reader(arrival.data, explicit=True)), SUBJECT)


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


def _row_of(title: str, datasets: Sequence[Dataset]) -> Row:
    """Explicit VR little endian, whatever they were: the pixels play no part."""
    contents, arrivals = [], []
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        stream = BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        contents.append(stream.getvalue())
        data = contents[-1][144 + int.from_bytes(contents[-1][140:144], "little") :]
        uid = str(dataset.SOPClassUID)
        arrivals.append(Arrival(PEER, uid, str(dataset.SOPInstanceUID), uid, ExplicitVRLittleEndian, data))
    return Row(title, tuple(contents), tuple(arrivals), sum(1 for _ in datasets[0].iterall()))


def _enhanced(number: int = 0) -> Dataset:
    """As many elements as a long enhanced series has, in functional groups."""
    dataset = phantom.study()[number]
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedMRImageStorage, FRAMES
    dataset.PerFrameFunctionalGroupsSequence = [_frame(frame) for frame in range(number, FRAMES + number)]
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


def _line(row: Row, recipe: str, taken: Taken) -> tuple[str, ...]:
    ours, alone = (f"{statistics.median(times) * 1000:.3f} ms" for times in (taken.ours, taken.alone))
    if not taken.deids:
        return row.title, f"{row.elements:,}", f"`{recipe}`", ours, alone, "raises AttributeError", ""
    deids = f"{statistics.median(taken.deids) * 1000:,.1f} ms"
    reached = "" if taken.ratio >= FACTOR else ", **not reached**"
    return row.title, f"{row.elements:,}", f"`{recipe}`", ours, alone, deids, f"{taken.ratio:,.0f}{reached}"


def _memory(found: list[float], count: int) -> str:
    marks = ", ".join(f"{mark:.1f}" for mark in found)
    grown = found[-1] - found[0]
    return f"Resident MiB, after each tenth of {count:,} instances under `mip`: {marks}; grown by {grown:.1f}.\n"


_METHOD = """CPU time of one thread, no network, no disk, medians over instances of one series, one after the other as a
PACS sends them. Cloakroom: the table of the received bytes, the plan with the guard, and SHA-256 of what leaves;
"each alone" is the same for instances of which none knows of the one before. deid: its own executor with the same
recipe, less the lines that it cannot do, reading and writing by pydicom included; its functions are constants.
"""
