"""What the gates read of a visit: a few attributes of each file, as text, whatever stands in them."""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag

from scp.outcome import Failure, Outcome

KEYWORDS = (
    "ImageType", "SOPClassUID", "AcquisitionDate", "SeriesDate", "Modality", "SeriesDescription", "PatientID",
    "PatientBirthDate", "PatientSex", "PatientAge", "SliceThickness", "SpacingBetweenSlices", "StudyInstanceUID",
    "SeriesInstanceUID", "StudyID", "SeriesNumber", "AcquisitionNumber", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "SliceLocation", "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns", "PixelSpacing",
    "BitsAllocated", "BitsStored", "HighBit", "EchoTime", "TemporalPositionIdentifier",
)  # fmt: skip
_TAGS = {Tag(keyword): keyword for keyword in KEYWORDS}
_BROKEN = (
    OSError, InvalidDicomError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError,
    EOFError, MemoryError, BytesLengthException, struct.error,
)  # fmt: skip
"""What pydicom raises over a file that a disk has spoilt, in whatever place: one file must not end the steward."""
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_LARGEST = 1e12
"""No place, size or count is larger; DS can say 9E999, with which nothing can be reckoned."""


@dataclass(frozen=True, slots=True)
class Header:
    """One file's attributes: a tuple of texts each, absent where the file has none or an empty one."""

    file: str
    values: Mapping[str, tuple[str, ...]]

    def text(self, keyword: str) -> str:
        """The whole value, several with a backslash between them; empty where there is none."""
        return "\\".join(self.values.get(keyword, ()))

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """The values as numbers; none at all where one of them is no decimal (PS3.5 6.2, DS and IS), or endless."""
        texts = self.values.get(keyword, ())
        found = tuple(float(text) for text in texts) if all(_DECIMAL.fullmatch(text) for text in texts) else ()
        return found if all(abs(number) <= _LARGEST for number in found) else ()


def read(path: Path) -> Header:
    """The header of one de-identified file; raises Failure when the disk does not give it, or it is no DICOM file."""
    try:
        return Header(path.name, _found(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))))
    except _BROKEN as error:
        raise Failure(Outcome.STORAGE_FAULT, f"a stored file cannot be read ({type(error).__name__})") from error


def _found(dataset: pydicom.Dataset) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for tag, keyword in _TAGS.items():
        if tag in dataset:
            element: Any = dataset.get_item(tag)  # as it was read: no value is converted, so none can be wrong
            if texts := _texts(element.VR, element.value):
                found[keyword] = texts
    return found


def of_visit(folder: Path, files: Iterable[str]) -> tuple[Header, ...]:
    """The headers of these files of a folder, in their order; raises as `read`."""
    return tuple(read(folder / file) for file in files)


def by_series(headers: Iterable[Header]) -> dict[str, tuple[Header, ...]]:
    """The headers by SeriesInstanceUID, in their order."""
    series: dict[str, list[Header]] = {}
    for header in headers:
        series.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    return {uid: tuple(members) for uid, members in series.items()}


def _texts(vr: str, raw: bytes | None) -> tuple[str, ...]:
    raw = raw or b""
    if vr == "US":  # what is stored is little endian
        return tuple(str(int.from_bytes(raw[at : at + 2], "little")) for at in range(0, len(raw) - 1, 2))
    texts = tuple(text.strip(" \x00") for text in raw.decode("latin-1").split("\\"))
    return texts if any(texts) else ()
