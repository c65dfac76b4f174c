"""The walk of one instance: read this first.

An Arrival (identified, in memory) is examined, admitted, joined to its subject, de-identified, made durable and
indexed; only then does the wire hear success. Any room may raise `Failure`; what becomes of the original is a row of
the table in `outcome`. Of a large instance only the header walks like that: its pixels go from the wire into a
temporary file, and the way of the others begins where that is whole.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from pydicom._uid_dict import UID_dictionary

from scp import faults, log
from scp.alike import Neighbours
from scp.arriving import Arriving, Passed
from scp.bounds import Bounds, Excess
from scp.dataset import BOUNDS, DataSet
from scp.db.commit import Unanswered
from scp.db.index import Delivery, Index, Recorded
from scp.db.linkage import Linkage
from scp.instance import Arrival, DeidentifiedHead, DeidentifiedInstance, Identity, Instance, Part, Source, Subject
from scp.layouts.names import file_name
from scp.metrics import Metrics
from scp.outcome import Failure, Outcome
from scp.pixels import PIXELS, Header, Pixels, begin
from scp.standing import missed
from scp.store import files
from scp.store.files import Content
from scp.store.quarantine import Quarantine
from scp.store.staging import Staging

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")  # leading zeros are wrong, but scanners send them and no output keeps them
_UID_LENGTH = 64
_IMAGES = frozenset(uid for uid, row in UID_dictionary.items() if row[1] == "SOP Class" and "Image Storage" in row[0])

Record = Callable[[str, Delivery], Recorded]

_logger = log.get("intake")


@dataclass(frozen=True, slots=True)
class Intake:
    """The walk with everything it needs; one for each worker process, used by all its associations' threads."""

    rules: Sequence[Callable[[Instance], None]]
    identity: Callable[[Instance], Identity]
    deidentify: Callable[[Instance, Subject], DeidentifiedInstance | DeidentifiedHead]
    linkage: Linkage
    index: Index
    staging: Staging
    quarantine: Quarantine
    metrics: Metrics
    bounds: Bounds = BOUNDS
    streams: frozenset[int] = PIXELS
    neighbours: Neighbours = field(default_factory=Neighbours)

    def take(self, arrival: Arrival) -> Outcome:
        """Carry one instance through the house and return what the wire shall hear; never raises Failure."""
        faults.point("intake.taken")
        try:
            outcome = self._walk(arrival)
        except Failure as failure:
            outcome = self._refuse(arrival, failure, chain((arrival.data,), arrival.rest or ()))
        self.metrics.instances.labels(outcome.label).inc()
        return outcome

    def _walk(self, arrival: Arrival) -> Outcome:
        with self.metrics.step("examine"):
            instance = examine(arrival, self.bounds, self.streams, self.neighbours)
            source = self.linkage.source(arrival.sop_instance_uid, arrival.data)
        with self.metrics.step("admission"):
            self._admit(instance)
            if instance.pixels is None and self._is_known(source):
                return Outcome.UNCHANGED
        faults.point("intake.admitted")
        with self.metrics.step("linkage"):
            subject = self.linkage.resolve(self.identity(instance))
        faults.point("intake.resolved")
        with self.metrics.step("deidentify"):
            clean = self.deidentify(instance, subject)
        faults.point("intake.deidentified")
        if isinstance(clean, DeidentifiedHead):
            return self._stream(instance, clean)
        return self._keep(clean, source, clean.parts)

    def _admit(self, instance: Instance) -> None:
        for admitted in self.rules:
            admitted(instance)

    def _stream(self, instance: Instance, head: DeidentifiedHead) -> Outcome:
        """The pixels go from the wire into a temporary; where they end, the way of the others begins.

        Whether the original is known is asked then; the rules are asked again while it grows. An original that fails
        here is sealed before the temporary that holds its pixels is gone.
        """
        with self.staging.growing() as file:
            seen = self.linkage.fingerprinting()
            arriving = Arriving(instance, head, file, seen, self.bounds)
            try:
                with self.metrics.step("receive"):
                    clean = arriving.receive(partial(self._admit, instance))
                source = self.linkage.source_of(instance.arrival.sop_instance_uid, seen.digest())
                return Outcome.UNCHANGED if self._is_known(source) else self._keep(clean, source, file)
            except Failure as failure:
                return self._refuse(instance.arrival, failure, arriving.original())

    def _keep(self, clean: DeidentifiedInstance, source: Source, content: Content) -> Outcome:
        """Durable file, then committed row, then the answer: never another order.

        What is known and lost is stored again, as something that came late where its visit was published.
        """
        lost = None
        if self.index.agrees(clean, source):
            lost = missed(self.index, self.staging.root.parent, source, clean.sop_instance_uid)
            if lost is None:
                return Outcome.UNCHANGED
            _logger.warning("stored_again", why="its file was gone")
        record = partial(self.index.record, clean, source, lost=lost)
        while True:
            delivery = self.index.gathering(clean)
            with self.staging.adding(delivery.folder) as folder:
                if self.index.is_receiving(delivery, clean.moves):
                    return self._store(folder, content, clean, record, delivery)
            self.staging.leave(delivery.folder)  # published between the two questions: the next one receives

    def _is_known(self, source: Source) -> bool:
        return self.index.unchanged(source) and missed(self.index, self.staging.root.parent, source) is None

    def _store(
        self, folder: int, content: Content, clean: DeidentifiedInstance, record: Record, delivery: Delivery
    ) -> Outcome:
        name = file_name(clean)
        with self.metrics.step("store"):
            new = files.place(folder, name, content, clean.digest, self.staging.sync)
        with self.metrics.step("index"):
            try:
                recorded = record(name, delivery)
            except Unanswered:
                raise  # the row may yet come, and must find its file; if it does not, a re-send or the steward will
            except Failure as failure:
                # After a failed disk nothing is known, so nothing is taken away: the steward looks at such files.
                if new and failure.outcome is not Outcome.STORAGE_FAULT:
                    self._take_back(folder, name, clean, delivery)
                raise
        faults.point("intake.recorded")
        if recorded.outcome is Outcome.STORED:
            self.metrics.stored_bytes.inc(clean.size)
        elif new and recorded.delivery != delivery:
            self._take_back(folder, name, clean, delivery)  # another worker was quicker, into another delivery
        return recorded.outcome

    def _take_back(self, folder: int, name: str, clean: DeidentifiedInstance, delivery: Delivery) -> None:
        """Remove a file that the index would not have, unless another worker, sent the same, took it for its own.

        While others add to the folder nobody knows that: the file stays for a re-send or for the steward.
        """
        if not self.staging.is_alone(folder):
            return
        mine = (delivery.scan_research_id, delivery.number, name)
        rows = self.index.listing("instance", sop_instance_uid=clean.sop_instance_uid)
        if not any((row["scan_research_id"], row["delivery"], row["file_name"]) == mine for row in rows):
            faults.point("intake.removing")
            files.remove(folder, name)

    def _refuse(self, arrival: Arrival, failure: Failure, original: Iterable[Part]) -> Outcome:
        """What the table says of a failure; an original that cannot be sealed was not taken, and the sender hears."""
        _logger.warning("refused", outcome=failure.outcome.label, why=failure.why, bytes=len(arrival.data))
        if isinstance(failure, Excess):
            self.metrics.limits.labels(failure.limit).inc()
        if not failure.outcome.quarantined:
            return failure.outcome
        try:
            self._seal(arrival, failure, original)
        except Failure as worse:
            _logger.error("quarantine_failed", outcome=worse.outcome.label, why=worse.why)
            return worse.outcome
        return failure.outcome

    def _seal(self, arrival: Arrival, failure: Failure, original: Iterable[Part]) -> None:
        """A sender that tries again fills no disk: what is sealed already stays as it is, and is not kept twice."""
        if arrival.rest is None and self.index.quarantined(failure.outcome, self.linkage.fingerprint(arrival.data)):
            return
        passed = Passed(original, self.linkage.fingerprinting())
        faults.point("quarantine.sealing")
        entry = self.quarantine.seal(arrival, failure, passed)
        faults.point("quarantine.sealed")
        if not self.index.record_quarantine(entry, failure, passed.digest(), passed.size):
            self.quarantine.forget(failure.outcome.label, entry)
        faults.point("quarantine.recorded")


def examine(
    arrival: Arrival,
    bounds: Bounds = BOUNDS,
    streams: frozenset[int] = PIXELS,
    neighbours: Neighbours | None = None,
) -> Instance:
    """Check that the data set is complete and that command, data set and presentation context name the same object.

    Of one that is still coming, what stands before pixel data that `streams` is gathered. Raises Failure MISMATCHED
    (PS3.4 B.2.2: the data set's own class and instance count), INCOMPLETE, or MALFORMED, also for what is beyond
    `bounds`.
    """
    header = Header(arrival.transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN, streams, bounds)
    dataset, pixels = _read(arrival, header, neighbours or Neighbours())
    if arrival.sop_class_uid != arrival.context_class:
        raise Failure(Outcome.MISMATCHED, "AffectedSOPClassUID is not the presentation context's abstract syntax")
    if dataset.text(_SOP_CLASS_UID) != arrival.sop_class_uid:
        raise Failure(Outcome.MISMATCHED, "SOPClassUID is not the command's AffectedSOPClassUID")
    if dataset.text(_SOP_INSTANCE_UID) != arrival.sop_instance_uid:
        raise Failure(Outcome.MISMATCHED, "SOPInstanceUID is not the command's AffectedSOPInstanceUID")
    if len(arrival.sop_instance_uid) > _UID_LENGTH or not _UID.fullmatch(arrival.sop_instance_uid):
        raise Failure(Outcome.MISMATCHED, "SOPInstanceUID is no UID as PS3.5 9.1 defines it")
    if arrival.sop_class_uid in _IMAGES and not any(dataset.find(tag) for tag in PIXELS):
        # Cut between two elements, no length is wrong; but an image has pixels (PS3.3 C.7.6.3), and they come last.
        raise Failure(Outcome.INCOMPLETE, "an image without pixel data")
    return Instance(arrival, dataset, pixels)


def _read(arrival: Arrival, header: Header, neighbours: Neighbours) -> tuple[DataSet, Pixels | None]:
    if arrival.rest is None:
        return neighbours.read(arrival.data, explicit=header.explicit, bounds=header.bounds), None
    if not isinstance(arrival.data, bytearray):
        raise TypeError("the beginning of what is still coming has to be able to grow")
    return begin(arrival.data, arrival.rest, header, arrival.rest.keep)
