"""Merging and splitting: closed in the index, repointed in the linkage, files made anew, rows, the old files last.

Every step can be taken up again, made twice it is as if made once, and what was acknowledged has a row and its file.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from scp import faults, log
from scp.bounds import Bounds
from scp.db.engine import DatabaseError
from scp.db.index import Delivery, Index
from scp.db.moved import Moved, Token
from scp.db.moves import Move, Moves, Renamed, UnmovableError
from scp.moving.renumber import Staged, Study, staged, summed
from scp.outcome import Failure, Outcome
from scp.steward.publish import UNCLAIMED
from scp.store import files, held
from scp.store.files import TEMPORARY, answerable, make_folder, sync_folder
from scp.store.staging import Staging
from scp.walks import Busy

_Seen = TypeVar("_Seen")

_logger = log.get("moving")
_NEVER_KEPT = "it came by day or accession to an older release, which did not keep that; publish the visit as it is"


@dataclass(frozen=True, slots=True)
class Moving:
    """Moves instances from one visit to another of the same subject; one at a time, whichever process it is in.

    `linkage` opens the linkage; `token` says what a StudyInstanceUID becomes; `reports` is where the gates' words are.
    """

    index: Index
    moves: Moves
    linkage: Callable[[], Moved]
    staging: Staging
    token: Token
    reports: Path
    bounds: Bounds

    def merge(self, target: str, source: str, why: str) -> int:
        """All of `source` becomes part of `target`, with whatever comes for it later; how many instances that were.

        Raises UnmovableError where that cannot be, and Failure where disk or database will not.
        """
        with self.staging.alone():
            move = Move(source, target, (), why)
            self.moves.check(move)
            names = set(self._looked_at(source, attrgetter("study")))
            if taken := {_renamed(name, move) for name in names} & set(self._names(target)):
                raise UnmovableError(f"{len(taken)} files of both visits would have one name")
            return self._carry(self._begin(move))

    def split(self, source: str, studies: Collection[str], why: str) -> tuple[str, int]:
        """Studies of a visit, by their StudyInstanceUIDs as they left, become one; its number, and how many instances.

        Raises as `merge` does.
        """
        asked = tuple(sorted(set(studies)))
        with self.staging.alone():
            self.moves.check(Move(source, source, asked, why))
            found = set(self._looked_at(source, attrgetter("study")).values())
            if missing := set(asked) - found:
                raise UnmovableError(f"visit {source} has no study {min(missing)}")
            if len(asked) == len(found):
                raise UnmovableError(f"visit {source} has no other study, so nothing would be left of it")
            with self._linked() as linkage:
                if unknown := [study for study in asked if not linkage.holds(source, study, self.token)]:
                    raise UnmovableError(f"the linkage does not know which study {unknown[0]} was: {_NEVER_KEPT}")
                target = linkage.reserve(source)
            return target, self._carry(self._begin(Move(source, target, asked, why)))

    def studies(self, visit: str) -> list[Study]:
        """What there is of it, by study; raises as `merge` does."""
        self.moves.check(Move(visit, visit, ("",), ""))
        return summed(self._looked_at(visit, attrgetter("seen")).values())

    def resume(self) -> int:
        """Finish what was begun, wherever it stopped; how many moves that were. Raises Failure."""
        if not self.moves.unfinished():
            return 0
        with self.staging.alone():
            unfinished = self.moves.unfinished()
            for move in unfinished:
                self._carry(move)
        return len(unfinished)

    def turn(self, _alive: Callable[[], None] = lambda: None) -> None:
        """`resume`, where what fails is logged and stays begun: it holds up neither a round nor a start."""
        try:
            self.resume()
        except Failure as failure:
            _logger.error("moving_failed", outcome=failure.outcome.label, why=failure.why)
        except DatabaseError as error:
            _logger.error("moving_failed", why=str(error))

    def _begin(self, move: Move) -> Move:
        """Close the source while nobody adds to it."""
        try:
            with held.alone(self._folder(move.delivery)):
                return self.moves.begin(move)
        except Busy:
            raise UnmovableError(f"an instance is just coming to visit {move.source}; try again") from None

    def _carry(self, move: Move) -> int:
        """Everything behind the beginning; how many instances went."""
        faults.point("move.begun")
        count = 0
        with self._linked() as linkage:
            for study in move.studies:
                linkage.split(move.source, move.target, study, move.moves, self.token)
            if not move.studies:
                linkage.merge(move.source, move.target)
        faults.point("move.linked")
        if not move.moved:
            self._settle(move)
            target = self.moves.target(move)
            with self.staging.adding(target.folder) as folder:
                renamed = list(self._placed(move, folder))
                with answerable("the folder of a merged or split visit"):
                    sync_folder(self._folder(target))
                faults.point("move.placed")
                move = self.moves.moved(move, renamed, target)
            count = len(renamed)
        faults.point("move.recorded")
        self._remove(move)
        faults.point("move.removed")
        self.moves.finish(move)
        _logger.info("moved", visit=move.source, name=move.target, count=count)
        return count

    def _placed(self, move: Move, folder: int) -> Iterator[Renamed]:
        """Make each file stand under its new number in the target's folder, beside the one it was."""
        for name, digest in sorted(self.index.files(move.delivery).items()):
            one = self._staged(move.delivery, name, digest)
            if not move.studies or one.study in move.studies:
                parts, made = one.renumbered(move.source, move.target)
                renamed = _renamed(name, move)
                files.place(folder, renamed, parts, made, _later)
                yield Renamed(name, renamed, made)

    def _looked_at(self, visit: str, what: Callable[[Staged], _Seen]) -> dict[str, _Seen]:
        """`what` of each of its files, by name: whatever cannot be taken apart is found before the start."""
        delivery = Delivery(visit, 1)  # a visit that was ever published is not moved
        rows = self.index.files(delivery)
        return {name: what(self._staged(delivery, name, digest)) for name, digest in rows.items()}

    def _staged(self, delivery: Delivery, name: str, digest: bytes) -> Staged:
        with answerable("a staged file"):
            one = staged(self._folder(delivery) / name, self.bounds)
        if one.digest != digest:
            raise Failure(Outcome.FAILED, "a staged file is not what was stored; see `cloakroom verify`")
        return one

    def _settle(self, move: Move) -> None:
        """Files without a row, which were never acknowledged, are set aside: what goes later is what has gone."""
        folder = self._folder(move.delivery)
        with answerable("a visit's staging folder"):
            rows = self.index.files(move.delivery)
            for path in self._present(folder):
                if path.name not in rows:
                    aside = self.staging.root / UNCLAIMED
                    make_folder(aside)
                    path.rename(aside / path.name)
                    sync_folder(aside)
                    sync_folder(folder)
                    _logger.warning("unclaimed_file", visit=move.source)

    def _remove(self, move: Move) -> None:
        """What has no row here any more stands in the other visit; a report names files that are not there."""
        folder = self._folder(move.delivery)
        with answerable("the removal of what was moved"):
            rows = self.index.files(move.delivery)
            for path in self._present(folder):
                if path.name not in rows:
                    path.unlink()
            if folder.exists():
                sync_folder(folder)
            if not rows:
                with suppress(OSError):
                    folder.rmdir()
            (self.reports / f"{move.delivery.folder}.json").unlink(missing_ok=True)

    def _present(self, folder: Path) -> list[Path]:
        if not folder.exists():
            return []
        return sorted(path for path in folder.iterdir() if not path.name.startswith(TEMPORARY))

    def _names(self, visit: str) -> Iterator[str]:
        for entry in self.index.of_visit(visit):
            yield from self.index.names(entry.delivery)

    def _folder(self, delivery: Delivery) -> Path:
        return self.staging.root / delivery.folder

    @contextmanager
    def _linked(self) -> Iterator[Moved]:
        linkage = self.linkage()
        try:
            yield linkage
        finally:
            linkage.close()


def _later(_folder: int) -> None:
    """The names become durable together, before any row says so."""


def _renamed(name: str, move: Move) -> str:
    """A file's name in the other visit: it begins with the visit's number."""
    return f"{move.target}{name.removeprefix(move.source)}"
