"""The two acquisitions of the phantom: a sagittal 3D T1 and an axial FLAIR."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scp.phantom.head import FLAIR, T1


@dataclass(frozen=True)
class Series:
    """One acquisition: its words, its timing, and its slices; spacing and thickness in mm, orientation per PS3.3."""

    number: int
    description: str
    sequence: str
    slices: int
    size: int
    spacing: float
    thickness: float
    orientation: tuple[int, ...]
    signal: Mapping[str, float]
    header: Mapping[str, object]


SAGITTAL = Series(
    number=2,
    description="T1 MPRAGE SAG",
    sequence="tfl3d1",
    slices=112,
    size=160,
    spacing=1.4,
    thickness=1.4,
    orientation=(0, 1, 0, 0, 0, -1),
    signal=T1,
    header=MappingProxyType(
        {
            "ScanningSequence": ["GR", "IR"],
            "MRAcquisitionType": "3D",
            "RepetitionTime": "2300",
            "EchoTime": "2.98",
            "InversionTime": "900",
            "FlipAngle": "9",
            "EchoTrainLength": "1",
        }
    ),
)
AXIAL = Series(
    number=3,
    description="T2 FLAIR AX",
    sequence="tir2d1",
    slices=40,
    size=128,
    spacing=1.75,
    thickness=4.0,
    orientation=(1, 0, 0, 0, 1, 0),
    signal=FLAIR,
    header=MappingProxyType(
        {
            "ScanningSequence": ["SE", "IR"],
            "MRAcquisitionType": "2D",
            "RepetitionTime": "9000",
            "EchoTime": "81",
            "InversionTime": "2500",
            "FlipAngle": "150",
            "EchoTrainLength": "16",
        }
    ),
)
