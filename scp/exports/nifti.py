"""NIFTI/<yyyy>/<yyyymmdd>/<visit>: a volume of each series and beside it the attributes that the contract names."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from scp.exports.visit import ExportError, Surroundings, Visit
from scp.exports.volumes import NO_SIDECAR, convert
from scp.steward.gates.mandatory import EITHER, MANDATORY
from scp.steward.headers import Header
from scp.steward.publish import OWN, READY
from scp.store.exchange import show
from scp.store.files import FILE_MODE, FOLDER_MODE, answerable, make_folder, sync_folder

KEPT = (*MANDATORY, *(keyword for pair in EITHER for keyword in pair), "PatientSex", "Modality", "SliceThickness")
PHYSICS = (
    "MagneticFieldStrength", "Manufacturer", "ManufacturersModelName", "EchoTime", "RepetitionTime", "InversionTime",
    "FlipAngle", "PixelBandwidth", "EchoTrainLength", "PercentPhaseFOV", "PercentSampling", "PhaseEncodingSteps",
    "SpacingBetweenSlices", "MRAcquisitionType", "ScanningSequence", "SequenceVariant", "ImageType",
    "ImageOrientationPatientDICOM", "PhaseEncodingDirection", "SliceTiming", "TotalReadoutTime",
    "EffectiveEchoSpacing", "ConversionSoftware", "ConversionSoftwareVersion",
)  # fmt: skip
"""What is taken over from dcm2niix's own sidecar; no other of its fields passes."""


def nifti(visit: Visit, where: Surroundings) -> str:
    """Convert in a folder of its own, marker included, then one rename; what stood there before is replaced.

    Says how many volumes are not in it. Raises ExportError when dcm2niix is missing, fails, takes half an hour, or
    makes nothing that is whole.
    """
    headers, work = visit.headers(), where.in_hand("nifti", visit.scan_research_id, visit.number)
    today = where.today()
    target = where.root / "NIFTI" / f"{today:%Y}" / f"{today:%Y%m%d}" / visit.scan_research_id
    with answerable("a visit's volumes"):
        shutil.rmtree(work, ignore_errors=True)  # a killed exporter's
        make_folder(work)
        left = _convert(visit, work, zipped=where.gzip)
        try:
            for sidecar in sorted(work.glob("*.json")):
                _describe(sidecar, headers)
        except ValueError:  # no JSON, or no UTF-8
            raise ExportError("dcm2niix made a sidecar that cannot be read") from None
        _close(work, where.group)
        _place(work, target, where.group)
    return f"{left} series left out: {NO_SIDECAR}" if left else ""


def _convert(visit: Visit, work: Path, *, zipped: bool) -> int:
    """Make the volumes; how many were taken away because no sidecar is theirs."""
    made = convert(visit.folder, work, f"{visit.scan_research_id}_%s", zipped=zipped, uids=True)
    if not made.volumes:
        raise ExportError(f"dcm2niix made no volume and ended with {made.code}")
    bare = [volume for volume in made.volumes if not _has_sidecar(volume)]
    if len(bare) == len(made.volumes):
        raise ExportError(f"dcm2niix made no volume with a sidecar, and ended with {made.code}")
    for volume in bare:
        for path in work.glob(f"{volume.name.partition('.')[0]}.*"):  # its b-values go with it
            path.unlink()
    return len(bare)


def _has_sidecar(volume: Path) -> bool:
    """Of its own, or that of the volume it was made from, whose name it goes on with (`_Eq_1`, `_Tilt_1`)."""
    words = volume.name.partition(".")[0].split("_")
    return any(volume.with_name("_".join(words[:count]) + ".json").exists() for count in range(2, len(words) + 1))


def _describe(sidecar: Path, headers: tuple[Header, ...]) -> None:
    """The sidecar written anew from two allow-lists: dcm2niix's physics, and the visit's own attributes."""
    made = json.loads(sidecar.read_text("utf-8"))
    header = _of(made, headers)
    kept: dict[str, Any] = {keyword: made[keyword] for keyword in PHYSICS if keyword in made}
    kept |= {keyword: _value(header, keyword) for keyword in KEPT if header.values.get(keyword)}
    sidecar.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")


def _of(made: dict[str, Any], headers: tuple[Header, ...]) -> Header:
    """A header of the series that a volume was made of; by its number where no UID says: a visit may have it twice."""
    for keyword in ("SeriesInstanceUID", "SeriesNumber"):
        said = str(made.get(keyword, ""))
        if found := next((one for one in headers if said and one.text(keyword) == said), None):
            return found
    return headers[0]


def _value(header: Header, keyword: str) -> Any:  # noqa: ANN401  a text or a list of texts, as JSON has them
    values = header.values[keyword]
    return values[0] if len(values) == 1 else list(values)


def _close(work: Path, group: int) -> None:
    """Durable, and for the group only."""
    for path in sorted(work.iterdir()):
        if path.suffix not in {".nii", ".gz", ".json", ".bval", ".bvec"}:
            path.unlink()
            continue
        path.chmod(FILE_MODE)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    (work / READY).touch(FILE_MODE)
    for path in (work, *work.iterdir()):
        if group != OWN:
            os.chown(path, OWN, group)
    work.chmod(FOLDER_MODE)
    sync_folder(work)


def _place(work: Path, target: Path, group: int) -> None:
    missing = [folder for folder in target.parents if not folder.exists()]
    make_folder(target.parent)
    if group != OWN:
        for folder in missing:
            os.chown(folder, OWN, group)
    show(work, target)
    sync_folder(target.parent)
    shutil.rmtree(work, ignore_errors=True)  # what it was, where it was made again the same day
