"""What is pushed: made on the spot, as files for storescu and as one mapped file for the bench's own sender."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

from scp import phantom

PLACE = "2.25.3141592653589793238462643383279502884197"  # each instance's own digits replace the last ones


@dataclass(frozen=True, slots=True)
class Workload:
    """So many instances of rows x rows pixels of 16 bits and so many frames."""

    name: str
    title: str
    sop_class: str
    rows: int
    frames: int
    count: int


WORKLOADS = (
    Workload("mr", "MR 256²", MRImageStorage, 256, 1, 2_000),
    Workload("ct", "CT 512²", CTImageStorage, 512, 1, 400),
    Workload("tiny", "tiny 64²", MRImageStorage, 64, 1, 2_000),
    Workload("multiframe", "multi-frame of 105 MB", EnhancedMRImageStorage, 256, 800, 4),
)


def make(workload: Workload, folder: Path, *, count: int, files: bool) -> Path:
    """Write `count` instances below `folder`: `data` and `index.json`, and `files/` if asked; returns the folder."""
    folder.mkdir()
    if files:
        (folder / "files").mkdir()
    dataset = _dataset(workload)
    template, meta = _encoded(dataset), _file_meta(dataset)
    rows, at = [], 0
    with (folder / "data").open("wb") as data:
        for number in range(count):
            uid = PLACE[:-12] + f"{number:06d}000000"
            body = _unlike(template, uid, number)
            data.write(body)
            rows.append((at, len(body), workload.sop_class, uid))
            at += len(body)
            if files:
                path = folder / "files" / f"{number:05d}.dcm"
                path.write_bytes(meta.replace(PLACE.encode(), uid.encode()) + body)
    (folder / "index.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder


def shares(folder: Path, count: int, parts: int) -> list[Path]:
    """The first `count` files in `parts` folders of links, one for each storescu."""
    made = []
    for part in range(parts):
        share = folder / f"share-{count}-{part}-of-{parts}"
        if not share.exists():
            share.mkdir()
            for number in range(part, count, parts):
                (share / f"{number:05d}.dcm").hardlink_to(folder / "files" / f"{number:05d}.dcm")
        made.append(share)
    return made


def _unlike(template: bytes, uid: str, number: int) -> bytes:
    """The instance with its own UID and pixels that no other has."""
    return template.replace(PLACE.encode(), uid.encode())[:-8] + number.to_bytes(8, "little")


def _dataset(workload: Workload) -> Dataset:
    dataset = phantom.study()[0]
    dataset.SOPClassUID, dataset.SOPInstanceUID = workload.sop_class, PLACE
    dataset.Modality = "CT" if workload.sop_class == CTImageStorage else "MR"
    dataset.Rows = dataset.Columns = workload.rows
    noise = np.random.default_rng(workload.rows).integers(0, 4096, workload.rows**2 * workload.frames, dtype="<u2")
    dataset.PixelData = noise.tobytes()
    if workload.frames > 1:
        dataset.NumberOfFrames = workload.frames
        dataset.PerFrameFunctionalGroupsSequence = list(_frames(workload.frames))
    return dataset


def _frames(count: int) -> Iterator[Dataset]:
    for number in range(count):
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = ["0", "0", str(number)]
        frame.PlanePositionSequence = [position]
        yield frame


def _encoded(dataset: Dataset) -> bytes:
    stream = BytesIO()
    output = DicomIO(stream)
    output.is_little_endian, output.is_implicit_VR = True, False
    write_dataset(output, dataset)
    return stream.getvalue()


def _file_meta(dataset: Dataset) -> bytes:
    """Preamble and file meta information (PS3.10 7.1), for an instance still named PLACE."""
    only = Dataset()
    only.SOPClassUID, only.SOPInstanceUID = dataset.SOPClassUID, PLACE
    only.file_meta = FileMetaDataset()
    only.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    only.save_as(stream, enforce_file_format=True)
    return stream.getvalue().removesuffix(_encoded(only))
