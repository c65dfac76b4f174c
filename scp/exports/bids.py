"""BIDS/sub-<pseudonym>/ses-<visit>: the volumes of the series that the site's patterns name, in one growing dataset."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scp.config.bids import Place, place_of
from scp.exports.dataset import Dataset
from scp.exports.nifti import PHYSICS
from scp.exports.visit import ExportError, Surroundings, Visit
from scp.exports.volumes import NO_SIDECAR, convert, dimensions
from scp.steward.headers import Header
from scp.store.files import answerable, make_folder

KEPT = (*PHYSICS, "Modality", "SeriesDescription", "SeriesNumber", "SliceThickness")
"""What is taken over from dcm2niix's own sidecar; no other of its fields passes."""
OF_THE_PERSON = ("PatientSex", "PatientAge")

_LABEL = re.compile(r"[A-Za-z0-9]+")
_ECHO = re.compile(r"volume_e([0-9]+)\.nii\.gz")
_WHOLE, _PARTLY, _NO_IMAGE = (0, 1), (4, 8, 10), 2  # how dcm2niix ends; 1 is that it has something to say


class Need(NamedTuple):
    """What BIDS wants of a volume besides its name: how many axes, which fields of its sidecar, which files."""

    dimensions: tuple[int, ...] = (3,)
    fields: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    echoes: bool = False


NEEDS = {
    "bold": Need((4,), ("RepetitionTime",), echoes=True),
    "sbref": Need((3, 4), echoes=True),
    "dwi": Need((4,), files=(".bval", ".bvec")),
    "epi": Need((3, 4), ("PhaseEncodingDirection", "TotalReadoutTime")),
}


@dataclass(frozen=True, slots=True)
class Series:
    """A series that has a place, and its files in however many folders."""

    number: float
    place: Place
    files: tuple[Path, ...]
    header: Header


class Volume(NamedTuple):
    """A finished volume in the work folder, and what tells it from others of its series."""

    path: Path
    echo: str


def bids(visit: Visit, where: Surroundings) -> str:
    """Make the visit's session of all its days, and show it by one rename; says which series are not in it.

    Raises ExportError when a folder of the visit is gone, the files name no one subject, or dcm2niix is missing, fails
    on a series, or takes half an hour for one; the session then stays as it was.
    """
    headers, work = visit.every(), where.in_hand("bids", visit.scan_research_id, visit.number)
    subject, left = _subject(headers), Counter[str]()
    with answerable("a visit's session"):
        shutil.rmtree(work, ignore_errors=True)  # a killed exporter's
        make_folder(work)
        session = work / f"ses-{visit.scan_research_id}"
        finished = [
            (one, volumes)
            for number, one in enumerate(_series(headers, where, left))
            if (volumes := tuple(_volumes(one, work / str(number), left)))
        ]
        _name(finished, session, f"sub-{subject}_{session.name}")
        dataset = Dataset(where.root / "BIDS", work, where.group)
        if session.exists():
            dataset.put(session, subject)
        else:
            dataset.drop(session.name, subject)
        shutil.rmtree(work)
    return "; ".join(f"{count} series left out: {why}" for why, count in sorted(left.items()))


def _subject(headers: dict[Path, Header]) -> str:
    """PatientID as it is, because a label that is made of it could be made of another one too."""
    labels = {header.text("PatientID") for header in headers.values()}
    label = labels.pop()
    if labels:
        raise ExportError("the visit's files name several subjects")
    if not _LABEL.fullmatch(label):
        raise ExportError("PatientID is not of letters and digits alone, so it is no label in BIDS")
    return label


def _series(headers: dict[Path, Header], where: Surroundings, left: Counter[str]) -> list[Series]:
    """Those that a pattern places, in the order of their numbers."""
    found: dict[tuple[str, ...], list[Path]] = {}
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription")
    for path, header in headers.items():
        found.setdefault(tuple(header.text(keyword) for keyword in keywords), []).append(path)
    placed = []
    for (*_, description), paths in sorted(found.items()):
        place = place_of(description, where.bids)
        if place is None:
            left["no place in [bids]"] += 1
        else:
            first = headers[paths[0]]
            placed.append(Series(max(first.numbers("SeriesNumber"), default=0), place, tuple(paths), first))
    return sorted(placed, key=lambda one: one.number)


def _volumes(series: Series, work: Path, left: Counter[str]) -> Iterator[Volume]:
    """The volume of a series, or those of its echoes; none where BIDS would not take what dcm2niix makes of it."""
    source, target = work / "in", work / "out"
    make_folder(source)
    make_folder(target)
    for path in series.files:
        os.link(path, source / path.name)
    made, need = convert(source, target, "volume", zipped=True), NEEDS.get(series.place.suffix, Need())
    shutil.rmtree(source)
    if made.code not in (*_WHOLE, *_PARTLY, _NO_IMAGE) or (made.code in _WHOLE and not made.volumes):
        raise ExportError(f"dcm2niix made no volume of a series that [bids] places, and ended with {made.code}")
    echoes = [_ECHO.fullmatch(path.name) for path in made.volumes]
    if made.code == _NO_IMAGE:
        left["dcm2niix finds no image in it"] += 1  # a report, say
    elif made.code in _PARTLY:
        left["dcm2niix does not take all of it"] += 1
    elif len(made.volumes) > 1 and not (need.echoes and all(echoes)):
        left["dcm2niix makes several volumes of it"] += 1
    elif not all(_beside(path, ".json").exists() for path in made.volumes):
        left[NO_SIDECAR] += 1
    elif not all(_is_taken(path, need) for path in made.volumes):
        left["not what BIDS wants under this suffix"] += 1
    else:
        for path, echo in zip(made.volumes, echoes, strict=True):
            _describe(_beside(path, ".json"), series)
            yield Volume(path, echo[1] if echo and len(echoes) > 1 else "")


def _is_taken(volume: Path, need: Need) -> bool:
    said = _read(_beside(volume, ".json"))
    beside = all(_beside(volume, suffix).exists() for suffix in need.files)
    return beside and dimensions(volume) in need.dimensions and all(field in said for field in need.fields)


def _describe(sidecar: Path, series: Series) -> None:
    """The sidecar written anew from an allow-list, with what the tables and the suffix need."""
    made = _read(sidecar)
    kept = {field: made[field] for field in KEPT if field in made}
    kept |= {keyword: series.header.text(keyword) for keyword in OF_THE_PERSON if series.header.text(keyword)}
    if task := next((entity for entity in series.place.entities if entity.startswith("task-")), ""):
        kept["TaskName"] = task.removeprefix("task-")
    sidecar.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")


def _read(sidecar: Path) -> dict[str, object]:
    try:
        said = json.loads(sidecar.read_text("utf-8"))
    except ValueError:  # no JSON, or no UTF-8
        raise ExportError("dcm2niix made a sidecar that cannot be read") from None
    return said if isinstance(said, dict) else {}


def _name(finished: list[tuple[Series, tuple[Volume, ...]]], session: Path, prefix: str) -> None:
    """Move every volume to its place in the session; series of one place are runs, in their order."""
    counts, runs = Counter(series.place for series, _ in finished), Counter[Place]()
    for series, volumes in finished:
        place = series.place
        runs[place] += 1
        run = [f"run-{runs[place]}"] if counts[place] > 1 else []
        folder = session / place.datatype
        make_folder(folder)
        for volume in volumes:
            echo = [f"echo-{volume.echo}"] if volume.echo else []
            name = "_".join((prefix, *place.entities, *run, *echo, place.suffix))
            need = NEEDS.get(place.suffix, Need())
            for suffix in (".nii.gz", ".json", *need.files):
                _beside(volume.path, suffix).rename(folder / f"{name}{suffix}")


def _beside(volume: Path, suffix: str) -> Path:
    return volume.with_name(volume.name.removesuffix(".nii.gz") + suffix)
