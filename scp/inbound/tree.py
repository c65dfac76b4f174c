"""The files of what is to be imported, in an order that is the same at every run, so that a position says which."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from scp.bounds import Bounds
from scp.inbound import archive, media
from scp.inbound.entry import Aside, Entry, Parts, nothing
from scp.volumes import BESIDE, stem


def entries(paths: Sequence[Path], bounds: Bounds) -> list[Entry]:
    """All files below `paths`, numbered from 1; of a medium with a DICOMDIR those that it names.

    Symbolic links inside a folder are not followed, and only regular files are taken. Raises OSError where one of
    `paths` itself cannot be looked into.
    """
    found: list[Entry] = []
    for path in paths:
        found += selected(files(path), bounds)
    return [one.at(number) for number, one in enumerate(found, 1)]


def files(path: Path) -> list[Entry]:
    """The files below a path in sorted order, without positions; raises OSError."""
    return together([_entry(file, parts) for file, parts in _files(path)])


def together(found: Sequence[Entry]) -> list[Entry]:
    """The same with each volume's sidecar and tables at it: they are one, and taken with it."""
    by_parts = {one.parts: one for one in found}
    volumes: dict[Parts, Entry] = {}
    for one in found:
        if name := stem(one.parts[-1]):
            beside = {suffix: by_parts.pop((*one.parts[:-1], name + suffix), None) for suffix in BESIDE}
            volumes[one.parts] = replace(one, beside={suffix: of for suffix, of in beside.items() if of is not None})
    return [volumes.get(one.parts, one) for one in found if one.parts in by_parts]


def selected(found: Sequence[Entry], bounds: Bounds) -> list[Entry]:
    """Without what lies beside the files that a DICOMDIR above them names; what it names in vain is MISSING.

    The nearest DICOMDIR decides. One that cannot be read names nothing, so everything below it is taken.
    """
    kept: list[Entry] = []
    named: dict[Parts, frozenset[Parts] | None] = {}
    for one in found:
        if media.plain(one.parts[-1:]) == (media.NAME,) and one.aside is None:
            named[one.parts[:-1]] = _named(one, bounds)
    there: dict[Parts, set[Parts]] = {base: set() for base, names in named.items() if names is not None}
    for one in found:
        base = _medium(one.parts, there)
        if base is None or (parts := media.plain(one.parts[len(base) :])) == (media.NAME,):
            kept.append(one)
        elif parts in (named[base] or ()):
            there[base].add(parts)
            kept.append(one)
    for base, seen in there.items():
        missing = sorted((named[base] or frozenset()) - seen)
        kept += [Entry((), (*base, *parts), 0, nothing, Aside.MISSING) for parts in missing]
    return kept


def _medium(parts: Parts, media_at: Mapping[Parts, object]) -> Parts | None:
    """The nearest folder above a file that has a DICOMDIR."""
    return next((parts[:at] for at in range(len(parts) - 1, -1, -1) if parts[:at] in media_at), None)


def _named(entry: Entry, bounds: Bounds) -> frozenset[Parts] | None:
    if entry.size > bounds.header_bytes:
        return None
    try:
        with entry.open() as file:
            return media.named(file.read(bounds.header_bytes), bounds)
    except archive.DAMAGED:
        return None


def _files(path: Path) -> Iterable[tuple[Path, Parts]]:
    if not path.is_dir():
        path.stat()
        return [(path, (path.name,))]
    return _below(path, ())


def _below(folder: Path, parts: Parts) -> Iterator[tuple[Path, Parts]]:
    with os.scandir(folder) as scan:
        inside = sorted(scan, key=lambda one: one.name)
    for one in inside:
        if one.is_dir(follow_symlinks=False):
            yield from _below(folder / one.name, (*parts, one.name))
        elif one.is_file(follow_symlinks=False):
            yield folder / one.name, (*parts, one.name)


def _entry(path: Path, parts: Parts) -> Entry:
    return Entry((), parts, _size(path), partial(_opened, path))


def _size(path: Path) -> int:
    """In bytes; one that went away in this moment is told so when it is opened."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")
