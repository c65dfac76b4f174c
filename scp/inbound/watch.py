"""A watched folder: what is put into `in/` is taken once it lies still, and goes where its answer sends it.

The folders are called as the hospitals' earlier tool called them: `in/`, `quarantine/dicom/`, `quarantine/unknown/`,
and `done/` for originals that are kept. All of them hold originals, under the names that they were given, unless they
are sealed.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from scp import log
from scp.inbound.entry import Aside, Entry, Parts
from scp.inbound.run import Answer, Import
from scp.inbound.tree import files
from scp.outcome import Failure, Outcome
from scp.stop import Stopping

IN, DONE, REFUSED, UNKNOWN = Path("in"), Path("done"), Path("quarantine/dicom"), Path("quarantine/unknown")
_AGAIN: Final = frozenset({Outcome.OUT_OF_RESOURCES, Outcome.STORAGE_FAULT, Outcome.FAILED})
_NOTHING: Final = frozenset({Aside.UNKNOWN})
_LONGEST: Final = 255  # bytes of a name

_logger = log.get("inbound")


class _Seen(NamedTuple):
    """How a file lay there, and since when."""

    size: int
    changed: int
    since: float


@dataclass(slots=True)
class Watch:
    """Goes round in a process of its own; `after` says whether originals that were taken are kept in `done/`.

    With `seal` nothing is kept in the clear: what was taken goes, and the rest is sealed into quarantine/.

    A file has to have one size and one time of change for `settle_seconds`. What is stored is durable before its
    original is moved, so a crash between the two is a re-send: it is answered `unchanged`.
    """

    root: Path
    run: Import
    settle_seconds: float
    after: Literal["keep", "remove"] = "keep"
    now: Callable[[], float] = time.monotonic
    seal: Callable[[str, Path, Entry, str], None] | None = None
    _seen: dict[Path, _Seen] = field(default_factory=dict, init=False)
    _closed: int = field(default=0, init=False)

    def loop(self, stop: Stopping, alive: Callable[[], None]) -> None:
        """Go round until told to stop, or until the disk failed, calling `alive` each time."""
        while not stop.wait(min(1.0, self.settle_seconds)):
            alive()
            if not self.round(stop, alive):
                return

    def round(self, stop: Stopping | None = None, alive: Callable[[], None] = lambda: None) -> bool:
        """Take what lies still; False where the disk failed, after which a fresh process has to go on."""
        for entry in self._settled():
            if stop is not None and stop.is_set():
                break
            alive()
            answers = list(self.run.answers(entry, whole=True))
            results = {answer.result for answer in answers}
            if Outcome.STORAGE_FAULT in results:
                return False
            try:
                self._put_away(entry, answers)
            except Failure as failure:
                _logger.error("file_not_sealed", outcome=failure.outcome.label, why=failure.why)
                return failure.outcome is not Outcome.STORAGE_FAULT
            if Outcome.OUT_OF_RESOURCES in results:
                break  # the next one would fare no better
        return True

    def _settled(self) -> list[Entry]:
        """Hidden files are those that a copy is still making, as rsync's."""
        seen, still, now = self._seen, list[Entry](), self.now()
        try:
            found = files(self.root / IN)
        except OSError as error:
            _logger.error("round_failed", error=type(error).__name__)
            return []
        self._seen = {}
        self._say_closed(sum(one.aside is not None for one in found))
        for number, entry in enumerate((one for one in found if one.aside is None), 1):
            lies = [self._lies_still(one, seen, now) for one in (entry, *entry.beside.values())]
            if all(lies):
                still.append(entry.at(number))
        return still

    def _say_closed(self, folders: int) -> None:
        """Folders that cannot be looked into stay, and hold up none of the others; told when their number changes."""
        if folders and folders != self._closed:
            _logger.error("folder_unreadable", count=folders)
        self._closed = folders

    def _lies_still(self, entry: Entry, seen: Mapping[Path, _Seen], now: float) -> bool:
        """Whether a file has been as it is for `settle_seconds`; writes down how it is."""
        path = self._path(entry)
        before, here = seen.get(path), _look(path)
        if here is None or any(part.startswith(".") for part in entry.parts):
            return False
        same = before is not None and before[:2] == here
        self._seen[path] = before if same and before else _Seen(*here, now)
        return bool(same and before and now - before.since >= self.settle_seconds)

    def _path(self, entry: Entry) -> Path:
        return self.root.joinpath(IN, *entry.parts)

    def _put_away(self, entry: Entry, answers: Sequence[Answer]) -> None:
        where = goes(answers)
        whole = (entry, *entry.beside.values())
        seen = {path: self._seen.pop(path) for path in map(self._path, whole)}
        if where == IN or any(_look(path) != before[:2] for path, before in seen.items()):
            return  # or one went on growing: it is looked at anew
        for label in sorted({answer.result.label for answer in answers if not answer.fine}):
            _logger.warning("file_refused", result=label)
        held = any(answer.result in _NOTHING for answer in answers)  # what only this file has
        if where == DONE and (self.seal or self.after == "remove"):
            where = None if not held else UNKNOWN if self.seal else DONE
        why = ", ".join(sorted({answer.result.label for answer in answers}))
        for one in whole:  # a volume first: what is beside it says nothing alone, but it without them is another
            self._put(one, where, why)

    def _put(self, entry: Entry, where: Path | None, why: str) -> None:
        path = self._path(entry)
        try:
            if where is None:
                path.unlink()
            elif self.seal:
                self.seal(where.name, path, entry, why)
            else:
                _move(path, self.root / where, entry.parts)
        except OSError as error:
            _logger.error("file_not_moved", error=type(error).__name__)


def prepare(root: Path, *, sealed: bool = False) -> None:
    """Make the folders that are missing below `root`, without `done/` where all is sealed; raises OSError."""
    for folder in (IN, REFUSED, UNKNOWN) if sealed else (IN, DONE, REFUSED, UNKNOWN):
        (root / folder).mkdir(mode=0o770 if folder == IN else 0o700, parents=True, exist_ok=True)


def goes(answers: Sequence[Answer]) -> Path | None:
    """Where a file belongs by what became of it, or of what a ZIP holds; None where the quarantine has all of it.

    A ZIP of which something was sealed and something is unknown is kept: nothing else has the unknown part.
    """
    results = {answer.result for answer in answers}
    if results & _AGAIN:
        return IN
    if results <= _NOTHING:
        return UNKNOWN
    sealed = {result for result in results if isinstance(result, Outcome) and result.quarantined}
    if all(answer.fine or answer.result in sealed for answer in answers):
        return DONE if results - sealed - _NOTHING else REFUSED if results & _NOTHING else None
    return REFUSED


def _look(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of change in nanoseconds; None where it is gone."""
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _move(path: Path, root: Path, names: Parts) -> None:
    """Below `root` under its own names, or with a random ending where one is taken: nothing is ever overwritten."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root
    for name in names[:-1]:
        folder = _folder(folder, name)
    target = folder / names[-1]
    while True:
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            target = folder / _other(names[-1])
        else:
            break
    try:
        path.replace(target)
    except OSError:
        target.unlink()  # which is empty: it only kept the name
        raise


def _folder(above: Path, name: str) -> Path:
    """One to move into, made where it is missing."""
    folder = above / name
    while not folder.is_dir():
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            folder = above / _other(name)
    return folder


def _other(name: str) -> str:
    """The same with a random ending, no longer than a name may be."""
    ending = f".{secrets.token_hex(4)}"
    return os.fsdecode(os.fsencode(name)[: _LONGEST - len(ending)]) + ending
