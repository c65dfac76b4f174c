"""The tree NIFTI/ against the volumes' rows: what came as files is all there, as it was; exports are made again."""

import os
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scp.db.index import Index
from scp.steward.publish import READY
from scp.store.files import TEMPORARY, digest_of
from scp.verify.finding import Finding, Kind

TREE = PurePosixPath("NIFTI")
_DEPTH = 4  # NIFTI/<yyyy>/<yyyymmdd>/<visit>


@dataclass(slots=True)
class _Folder:
    """What the rows say of one folder: files with their SHA-256, and volumes that are still on the way into it."""

    files: dict[str, bytes] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    def has_begun(self, name: str) -> bool:
        """Whether the file is one of a volume that an import began and will go on with."""
        return any(name.startswith(f"{stem}.") for stem in self.begun)


def look(export: Path, index: Index, *, digests: bool) -> Iterator[Finding]:
    """Everything that is wrong with imported volumes, and whatever stands among them that nobody knows."""
    folders = _folders(index)
    for place, folder in sorted(folders.items()):
        yield from _inside(export, place, folder, digests=digests)
    exported = {str(row["scan_research_id"]) for row in index.listing("nifti_exports")}
    names = {name for folder in folders.values() for name in folder.files}
    for place, is_folder in _others(export, TREE, folders.keys(), exported):
        yield Finding(Kind.DOUBLED if not is_folder and place.name in names else Kind.STRAY, str(place))


def _folders(index: Index) -> dict[PurePosixPath, _Folder]:
    folders: dict[PurePosixPath, _Folder] = defaultdict(_Folder)
    for row in index.listing("volume_files"):
        folder = folders[PurePosixPath(row["path"])]
        if row["stored"] and row["file_name"] is not None:
            folder.files[str(row["file_name"])] = row["digest"]
        else:
            folder.begun.add(str(row["name"]))
    return folders


def _inside(export: Path, place: PurePosixPath, folder: _Folder, *, digests: bool) -> Iterator[Finding]:
    try:
        names = {entry.name for entry in os.scandir(export / place)}
    except FileNotFoundError:
        names = set()
    except OSError:
        yield Finding(Kind.UNREADABLE, str(place))
        return
    for name in sorted(folder.files.keys() - names):
        yield Finding(Kind.MISSING, str(place / name))
    for name in sorted(names.difference(folder.files, (READY,))):
        if name.startswith(TEMPORARY):
            yield Finding(Kind.TEMPORARY, str(place / name))
        elif not folder.has_begun(name):
            yield Finding(Kind.STRAY, str(place / name))
    if folder.files and not folder.begun and READY not in names:
        yield Finding(Kind.UNMARKED, str(place))
    for name in sorted(folder.files.keys() & names if digests else ()):
        kind = _compared(export / place, name, folder.files[name])
        if kind is not None:
            yield Finding(kind, str(place / name))


def _compared(folder: Path, name: str, digest: bytes) -> Kind | None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return None if digest_of(descriptor, name) == digest else Kind.ALTERED
        finally:
            os.close(descriptor)
    except OSError:
        return Kind.UNREADABLE


def _others(
    export: Path, top: PurePosixPath, known: Container[PurePosixPath], exported: set[str]
) -> Iterator[tuple[PurePosixPath, bool]]:
    """Files and folders that belong neither to an imported visit nor to an exported one."""
    try:
        entries = sorted(os.scandir(export / top), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError:  # nobody can look into it
        yield top, True
        return
    for entry in entries:
        place, is_folder = top / entry.name, entry.is_dir(follow_symlinks=False)
        if place in known:
            continue
        if not is_folder:
            yield place, False
        elif len(place.parts) < _DEPTH:
            yield from _others(export, place, known, exported)
        elif entry.name not in exported:
            yield place, True
