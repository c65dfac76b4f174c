"""The files of what is to be imported, in an order that is the same at every run, so that a position says which."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
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

    Symbolic links inside a folder are not followed, and only regular files are taken; a folder that cannot be looked
    into is UNREADABLE. Raises OSError where one of `paths` itself cannot be, or is neither a file nor a folder.
    """
    found: list[Entry] = []
    for path in paths:
        found += selected(files(path), bounds)
    return [one.at(number) for number, one in enumerate(found, 1)]


def files(path: Path) -> list[Entry]:
    """The files below a path in sorted order, without positions, and UNREADABLE the folders that are closed.

    Raises OSError where the path itself cannot be looked into, or is neither a file nor a folder.
    """
    return together(list(_files(path)))


def together(found: Sequence[Entry]) -> list[Entry]:
    """The same with each volume's sidecar and tables at it: they are one, and taken with it."""
    by_parts = {one.parts: one for one in found}
    volumes: dict[Parts, Mapping[str, Entry]] = {}
    for one in found:
        if (name := stem(one.parts[-1])) and one.parts not in volumes:  # a ZIP may have a name twice
            beside = {suffix: by_parts.pop((*one.parts[:-1], name + suffix), None) for suffix in BESIDE}
            volumes[one.parts] = {suffix: of for suffix, of in beside.items() if of is not None}
    left = (one for one in found if one.parts in by_parts)
    return [replace(one, beside=volumes[one.parts]) if one.parts in volumes else one for one in left]


def selected(found: Sequence[Entry], bounds: Bounds, *, whole: bool = False) -> list[Entry]:
    """Without what lies beside the files that a DICOMDIR above them names; what it names in vain is MISSING.

    The nearest DICOMDIR decides. One that cannot be read names nothing, so everything below it is taken; with `whole`
    everything is, whatever it names.
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
        elif whole:
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


def _files(path: Path) -> Iterator[Entry]:
    if path.is_dir():
        return _below(path)
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        raise OSError(errno.EINVAL, "neither a file nor a folder")
    return iter([_entry(path, (path.name,))])


def _below(top: Path) -> Iterator[Entry]:
    """Depth first, and not by recursion: folders may lie deeper in one another than calls."""
    waiting = [(top, Parts(), True)]
    while waiting:
        path, parts, folder = waiting.pop()
        if not folder:
            yield _entry(path, parts)
            continue
        try:
            inside = _inside(path)
        except OSError:
            if path is top:
                raise
            yield Entry((), parts, 0, nothing, Aside.UNREADABLE)
        else:
            waiting += [(path / name, (*parts, name), folder) for name, folder in reversed(inside)]


def _inside(folder: Path) -> list[tuple[str, bool]]:
    """The names of folders and files in it, each with whether it is a folder."""
    with os.scandir(folder) as scan:
        found = sorted(scan, key=lambda one: one.name)
    kinds = ((one.name, one.is_dir(follow_symlinks=False), one.is_file(follow_symlinks=False)) for one in found)
    return [(name, is_dir) for name, is_dir, is_file in kinds if is_dir or is_file]


def _entry(path: Path, parts: Parts) -> Entry:
    return Entry((), parts, _size(path), partial(_opened, path))


def _size(path: Path) -> int:
    """In bytes; one that went away in this moment, or may not be looked at, is told so when it is opened."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")
