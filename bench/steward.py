"""What the steward costs a visit as published ones pile up, and how long a large one takes to be published."""

import hashlib
import statistics
import time
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure as Canvas
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from bench.progress import Steps
from scp import handover, log
from scp.config import Config
from scp.db.engine import Engine
from scp.db.index import Delivery, Index
from scp.db.writes import Write, run
from scp.layouts import LAYOUTS
from scp.metrics import declare
from scp.state import State

VISITS, INSTANCES = 1_000, 200
LARGE, TIMES = 2_000, 5
PARTS = 10
FLAT = 1.25
"""How much dearer the last tenth of the visits may be than the first one."""

_PATIENT = "SAAAAAAAAAAAAAAAA"
_NUMBER = "7777777"
_VISIT = "700000000000"
_PICTURE = "steward.png"


class Figures(NamedTuple):
    """Seconds of a steward's round for each visit in turn, of the CPU in it, and of publishing large ones."""

    rounds: list[float]
    cpu: list[float]
    large: list[float]

    @property
    def tenths(self) -> list[float]:
        """Medians of CPU seconds, each of a tenth of the visits: what else a machine does adds little to them."""
        return _tenths(self.cpu)

    @property
    def growth(self) -> float:
        """How many times as much a visit of the last tenth costs as one of the first."""
        return self.tenths[-1] / self.tenths[0]


class House:
    """State and export folder of a node of which only the steward is at work."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(state=folder / "state", export=folder / "export", visit_quiet_seconds=0.001)
        self.config.state.mkdir(parents=True)
        Index(self.config.index_path).open("bench")
        self.steward = handover.steward(self.config, LAYOUTS["dated"], declare())
        self.steward.publisher.staging.prepare()
        self._engine = Engine(self.config.index_path, "index")
        self._whole = _slice()

    def fill(self, visit: str, count: int) -> Delivery:
        """Put so many slices of a visit into staging, as the walk leaves them; nothing is synced but the rows."""
        folder = self.steward.publisher.staging.root / f"{visit}-1"
        folder.mkdir()
        opened = Write("delivery", {"scan_research_id": visit, "pseudonym": _PATIENT, "now": time.time()})
        writes = [opened, *(self._row(folder, visit, number) for number in range(1, count + 1))]
        if bad := [found for found in run(self._engine, writes) if isinstance(found, Exception)]:
            raise bad[0]
        return Delivery(visit, 1)

    def _row(self, folder: Path, visit: str, number: int) -> Write:
        uid = f"2.25.{visit}{number:07d}"
        content = self._whole.replace(_VISIT.encode(), visit.encode()).replace(_NUMBER.encode(), b"%07d" % number)
        name = f"{visit}_0001_{number:05d}_{hashlib.sha256(uid.encode()).hexdigest()[:8]}.dcm"
        (folder / name).write_bytes(content)
        row = {
            "sop_instance_uid": uid, "source_uid": None, "source_digest": None, "size": len(content),
            "digest": hashlib.sha256(content).digest(), "series_uid": "2.25.7", "sop_class_uid": MRImageStorage,
            "transfer_syntax": ExplicitVRLittleEndian, "file_name": name, "recipe": "bench",
            "scan_research_id": visit, "delivery": 1, "calling": "BENCH", "now": time.time(),
        }  # fmt: skip
        return Write("instance", row)

    def approve(self, delivery: Delivery) -> None:
        """Where a visit stands when its gates have been asked."""
        for state in (State.QUIET, State.CHECKED, State.APPROVED):
            (entry,) = self.steward.index.of_visit(delivery.scan_research_id)
            if not self.steward.index.enter(entry, state, "bench"):
                raise RuntimeError("a visit changed that nobody knows")


def measure(folder: Path, progress: Steps, visits: int = VISITS, instances: int = INSTANCES) -> Figures:
    """One visit after the other comes, is found quiet, is checked by its gates and published; then some large ones."""
    log.configure("json", "error")
    house, rounds, cpu, large = House(folder), [], [], []
    for number in range(visits):
        if number % max(1, visits // PARTS) == 0:
            progress.step(f"visits of {instances} instances: {number} of {visits} published")
        house.fill(str(100_000_000_000 + number), instances)
        time.sleep(0.002)  # so long it has to be quiet
        start, spent = time.perf_counter(), time.process_time()
        if house.steward.round() != 1:
            raise RuntimeError("a visit was not published")
        rounds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - spent)
    progress.step(f"publishing visits of {LARGE} instances")
    for number in range(TIMES):
        delivery = house.fill(str(200_000_000_000 + number), LARGE)
        house.approve(delivery)
        start = time.perf_counter()
        if house.steward.publisher.publish(delivery) is None:
            raise RuntimeError("a visit was not published")
        large.append(time.perf_counter() - start)
    return Figures(rounds, cpu, large)


def section(figures: Figures, instances: int = INSTANCES) -> str:
    """What the page says."""
    spent, taken = (
        ", ".join(f"{tenth * 1000:.0f}" for tenth in each) for each in (figures.tenths, _tenths(figures.rounds))
    )
    return (
        f"### The steward\n\n{len(figures.rounds):,} visits of {instances} instances, made on the fly, come one after "
        "the other; a round of the steward finds each quiet, reads every header for its gates, and publishes it. "
        f"Medians of tenths: {spent} ms of CPU a visit, and {taken} ms by the clock. By CPU the last tenth is "
        f"{figures.growth:.2f} times the first.\n\n"
        f"Publishing one visit of {LARGE:,} instances, without its gates, took {min(figures.large):.3f} to "
        f"{max(figures.large):.3f} s in {len(figures.large)} runs.\n\n![What the steward costs a visit]({_PICTURE})\n"
    )


def plot(folder: Path, figures: Figures) -> None:
    """Each visit, and the medians of tenths."""
    canvas = Canvas(figsize=(9, 3.5), layout="constrained")
    axes = canvas.subplots()
    for each, colour, label in ((figures.rounds, "#c7c7c7", "by the clock"), (figures.cpu, "#7fbf7b", "of CPU")):
        milliseconds = [seconds * 1000 for seconds in each]
        axes.plot(range(1, len(each) + 1), milliseconds, ".", markersize=3, color=colour, label=label)
    size = max(1, len(figures.rounds) // PARTS)
    middles = [size * (at + 0.5) for at in range(PARTS)]
    axes.plot(
        middles, [each * 1000 for each in figures.tenths], "o-", color="#1b7837", label="of CPU, median of a tenth"
    )
    axes.set_ylim(0, 3000 * max(figures.tenths))
    axes.set_xlabel("visits published before")
    axes.set_ylabel("ms a visit")
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(folder / _PICTURE, dpi=120, metadata={"Software": None})


def _tenths(seconds: list[float]) -> list[float]:
    size = max(1, len(seconds) // PARTS)
    return [statistics.median(seconds[at : at + size]) for at in range(0, size * PARTS, size)]


def _slice() -> bytes:
    """The file of a de-identified slice, with numbers in it that each gets its own for."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, f"2.25.{_VISIT}{_NUMBER}"
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "M"], "MR"
    dataset.AcquisitionDate = dataset.SeriesDate = "20250901"
    dataset.PatientID, dataset.StudyID = _PATIENT, _VISIT
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19520101", "F", "072Y"
    dataset.SeriesDescription, dataset.SeriesNumber, dataset.InstanceNumber = "T1 MPRAGE", "1", _NUMBER
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "2.25.7", "2.25.6"
    dataset.ImagePositionPatient, dataset.SliceLocation = ["-10", "-20", _NUMBER], _NUMBER
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing, dataset.SliceThickness = ["1", "1"], "1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.add_new("PixelData", "OW", bytes(16 * 16 * 2))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
