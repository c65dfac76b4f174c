"""An import: each file becomes an Arrival and is handed to the walk, as the front door hands what peers send."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final, NamedTuple

from scp.bounds import Bounds
from scp.config import Inbound, Limits
from scp.inbound import archive, part10
from scp.inbound.entry import Aside, Entry
from scp.inbound.tree import selected, together
from scp.instance import Arrival, Broken, Peer, Rest
from scp.outcome import Outcome
from scp.receive.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES
from scp.volumes import PIECE, File, Volume, stem, upto

_ENDS: Final = frozenset({Outcome.STORAGE_FAULT, Outcome.OUT_OF_RESOURCES})  # the next file would fare no better


class Answer(NamedTuple):
    """What became of one file."""

    entry: Entry
    result: Outcome | Aside

    @property
    def fine(self) -> bool:
        """Whether an import with such files is in order."""
        return self.result.fine if isinstance(self.result, Aside) else self.result.status == 0

    @property
    def last(self) -> bool:
        """Whether the import ends here, because the node has no room or its disk failed."""
        return self.result in _ENDS


@dataclass(frozen=True, slots=True)
class Import:
    """Takes files one after the other; `take` is the walk, behind the front door's one net for defects.

    `peer` is who they are said to come from. Nothing is written below a name that a file or an entry has.
    """

    take: Callable[[Arrival], Outcome]
    peer: Peer
    limits: Limits
    bounds: Bounds
    inbound: Inbound = field(default_factory=Inbound)
    take_volume: Callable[[Volume], Outcome] | None = None

    def answers(self, entry: Entry, *, whole: bool = False) -> Iterator[Answer]:
        """What became of a file, or of each entry of a ZIP; what cannot be read to its end leaves nothing behind.

        With `whole` a DICOMDIR in a ZIP leaves nothing out: for those who put the ZIP away afterwards.
        """
        if entry.aside is not None:
            yield Answer(entry, entry.aside)
            return
        try:
            if self.take_volume and stem(entry.parts[-1]):
                yield Answer(entry, self._volume(entry, self.take_volume))
                return
            with entry.open() as file:
                start = upto(file, part10.MOST)
                if len(entry.position) == 1 and start.startswith(archive.SIGNATURES):
                    yield from self._unpacked(entry, file, whole=whole)
                else:
                    yield Answer(entry, self._taken(entry, start, file))
        except archive.DAMAGED:
            yield Answer(entry, Aside.UNREADABLE)

    def _unpacked(self, entry: Entry, file: BinaryIO, *, whole: bool) -> Iterator[Answer]:
        """A ZIP within a ZIP is none: it is what nobody knows."""
        try:
            members = archive.members(file, entry.parts, self.inbound)
        except archive.Beyond:
            yield Answer(entry, Aside.TOO_LARGE)
            return
        for number, member in enumerate(selected(together(members), self.bounds, whole=whole), 1):
            yield from self.answers(member.at(*entry.position, number))

    def _taken(self, entry: Entry, start: bytes, file: BinaryIO) -> Outcome | Aside:
        head = part10.head(start)
        if head is None:
            return Aside.UNKNOWN
        if head.sop_class_uid == part10.DICOMDIR:
            return Aside.DICOMDIR
        if head.transfer_syntax not in TRANSFER_SYNTAXES:
            return Aside.TRANSFER_SYNTAX_REFUSED
        if head.sop_class_uid and head.sop_class_uid not in STORAGE_CLASSES:
            return Outcome.SOP_CLASS_REFUSED
        if entry.size - head.begins > self.limits.max_instance_bytes:
            return Aside.TOO_LARGE
        return self.take(self._arrival(head, start, file))

    def _volume(self, entry: Entry, take: Callable[[Volume], Outcome]) -> Outcome | Aside:
        """A file that is a volume's by its name, whatever it holds."""
        if any(one.aside for one in (entry, *entry.beside.values())):
            return Aside.UNREADABLE
        if entry.size > self.limits.max_instance_bytes:
            return Aside.TOO_LARGE
        beside = {suffix: _file(one) for suffix, one in entry.beside.items()}
        return take(Volume(self.peer, entry.parts, _file(entry), beside))

    def _arrival(self, head: part10.Head, start: bytes, file: BinaryIO) -> Arrival:
        data = bytearray(memoryview(start)[head.begins :])
        data += upto(file, max(0, self.limits.stream_bytes + 1 - len(data)))
        whole = len(data) <= self.limits.stream_bytes
        return Arrival(
            peer=self.peer,
            sop_class_uid=head.sop_class_uid,
            sop_instance_uid=head.sop_instance_uid,
            context_class=head.sop_class_uid,
            transfer_syntax=head.transfer_syntax,
            data=data,
            rest=None if whole else Rest(_pieces(file, self.limits.max_instance_bytes - len(data))),
        )


class _Reading:
    """A file of a volume's; one that cannot be read on is to the walk as an association that ends."""

    def __init__(self, entry: Entry) -> None:
        try:
            self._file = entry.open()
        except archive.DAMAGED as error:
            raise Broken(error) from None
        self.close = self._file.close

    def read(self, size: int = -1) -> bytes:
        """Raises Broken."""
        try:
            return self._file.read(size)
        except archive.DAMAGED as error:
            raise Broken(error) from None


def _file(entry: Entry) -> File:
    return File(entry.size, partial(_Reading, entry))


def _pieces(file: BinaryIO, most: int) -> Iterator[memoryview]:
    """The rest of a file; one that cannot be read on is to the walk as an association that ends within a data set."""
    try:
        while piece := file.read(PIECE):
            most -= len(piece)
            if most < 0:
                raise OSError("the file grew while it was read")
            yield memoryview(piece)
    except archive.DAMAGED as error:
        raise Broken(error) from None
