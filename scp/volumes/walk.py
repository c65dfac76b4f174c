"""The walk of one volume: examined, its subject found, cleaned into temporaries, its place committed, placed, known.

As for instances: nothing is answered before it is durable and indexed, and what fails for its content is sealed.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from scp import log
from scp.arriving import Passed
from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.db.volumes import Place, Volumes
from scp.instance import Arrival, Identity
from scp.metrics import Metrics
from scp.outcome import Failure, Outcome
from scp.steward.publish import OWN, READY
from scp.store import files, held
from scp.store.quarantine import Quarantine
from scp.store.staging import Staging
from scp.volumes.clean import Room, clean, examine
from scp.volumes.volume import DeidentifiedVolume, File, Volume
from scp.volumes.whose import identity, labels

_logger = log.get("volumes")


@dataclass(frozen=True, slots=True)
class Walk:
    """Takes volumes into `NIFTI/<yyyy>/<yyyymmdd>/<visit>/` below `export`; one for each process."""

    export: Path
    linkage: Linkage
    index: Index
    volumes: Volumes
    staging: Staging
    quarantine: Quarantine
    metrics: Metrics
    room: Room
    most: int
    group: int = OWN
    issuer: str = ""
    protocols: Mapping[str, str] = field(default_factory=dict)
    today: Callable[[], date] = date.today

    def take(self, volume: Volume) -> Outcome:
        """Carry one volume through and return what became of it; never raises Failure, but Broken."""
        try:
            outcome = self._walk(volume)
        except Failure as failure:
            outcome = self._refuse(volume, failure)
        self.metrics.instances.labels(outcome.label).inc()
        return outcome

    def _walk(self, volume: Volume) -> Outcome:
        examined = examine(volume, self.most)
        self.room(max(volume.file.size, examined.header.voxels))
        whose = identity(volume, examined.sidecar, self.issuer)
        source = self._source(volume, whose)
        if self.volumes.knows(source):
            return Outcome.UNCHANGED
        subject = self.linkage.resolve(whose)
        with clean(examined, subject, self.staging, self.protocols) as made:
            today = self.today()
            path = f"NIFTI/{today:%Y}/{today:%Y%m%d}/{made.scan_research_id}"
            place = self.volumes.claim(made.name, made.scan_research_id, made.pseudonym, path, source)
            if place.stored:
                return Outcome.UNCHANGED
            size = sum(written.file.size for written in made.files.values())
            self._place(made, self.export / place.path)
            digests = {made.name + suffix: written.digest for suffix, written in made.files.items()}
            self.volumes.placed(Place(made.name, place.path, stored=True), size, digests)
        self.metrics.stored_bytes.inc(size)
        return Outcome.STORED

    def _source(self, volume: Volume, whose: Identity) -> bytes:
        """A keyed fingerprint of all its files and of whose they are said to be."""
        seen = self.linkage.fingerprinting()
        seen.update(json.dumps([whose.patient_id, whose.issuer, whose.visit, labels(volume.parts).suffix]).encode())
        for suffix, file in (("", volume.file), *sorted(volume.beside.items())):
            seen.update(f"\0{suffix} {file.size}\0".encode())
            for piece in file.pieces():
                seen.update(piece)
        return seen.digest()

    def _place(self, made: DeidentifiedVolume, target: Path) -> None:
        """The folder has its marker only while nothing is on the way into it; what is placed twice stands once.

        Another import, or the process of the watched folder, may have a volume of the same visit.
        """
        with files.answerable("a visit's volumes"), self._alone(target):
            descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                (target / READY).unlink(missing_ok=True)
                os.fsync(descriptor)
                for suffix, written in sorted(made.files.items()):
                    written.file.place(descriptor, made.name + suffix, written.digest)
                    self._own(target / (made.name + suffix))
                (target / READY).touch(files.FILE_MODE)
                self._own(target / READY)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _alone(self, target: Path) -> Iterator[None]:
        self._folder(target)
        with held.waiting(target):
            yield

    def _folder(self, target: Path) -> None:
        missing = [folder for folder in (target, *target.parents) if not folder.exists()]
        files.make_folder(target)
        for folder in missing:
            self._own(folder)
            files.sync_folder(folder.parent)

    def _own(self, path: Path) -> None:
        if self.group != OWN:
            os.chown(path, OWN, self.group)

    def _refuse(self, volume: Volume, failure: Failure) -> Outcome:
        _logger.warning("refused", outcome=failure.outcome.label, why=failure.why, bytes=volume.file.size)
        if not failure.outcome.quarantined:
            return failure.outcome
        try:
            for name, file in volume.files():
                self._seal(volume, name, file, failure)
        except Failure as worse:
            _logger.error("quarantine_failed", outcome=worse.outcome.label, why=worse.why)
            return worse.outcome
        return failure.outcome

    def _seal(self, volume: Volume, name: str, file: File, failure: Failure) -> None:
        """Each of its files by itself, once; its name, which may be a patient's, is inside the seal."""
        known = self.linkage.fingerprinting()
        for piece in file.pieces():
            known.update(piece)
        if self.index.quarantined(failure.outcome, known.digest()):
            return
        passed = Passed(file.pieces(), self.linkage.fingerprinting())
        entry = self.quarantine.seal(Arrival(volume.peer, "", "", "", "", b""), failure, passed, name)
        if not self.index.record_quarantine(entry, failure, passed.digest(), passed.size):
            self.quarantine.forget(failure.outcome.label, entry)
