"""What a file that was never indexed says of itself; only what this node itself has made whole is understood."""

import hashlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from struct import Struct, error

from scp.bounds import Bounds
from scp.dataset import PIXEL_DATA, read
from scp.db.index import Delivery
from scp.db.writes import Row
from scp.deidentify import part10
from scp.layouts.names import unique, visit
from scp.outcome import Failure

_META = 132  # preamble and prefix (PS3.10 7.1)
_GROUP_LENGTH = 12
_SHORT = Struct("<HH2sH")
_LONG = Struct("<I")
_WITH_LONG = frozenset({b"OB"})
_SOP_CLASS_UID, _SOP_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x00080016, 0x00080018, 0x0020000E
_NATIVE = "1.2.840.10008.1.2.1"  # this node writes no other without encapsulation


class NotOursError(ValueError):
    """The file is none that this node has made for this visit, or not all of it; its text holds no value."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file under a name of its own in a delivery's staging folder, without a row."""

    path: Path
    delivery: Delivery

    def digest(self) -> bytes:
        """SHA-256 of its content; raises OSError."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def row(self, recipe: str, bounds: Bounds) -> Row:
        """The row it would have had, made by `recipe`; raises NotOursError where that cannot be told, and OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size <= _META + _GROUP_LENGTH:
                raise NotOursError("it is shorter than any file")
            # Closed when nothing looks into it any more: an exception's frames may.
            told = self._told(mmap.mmap(descriptor, size, prot=mmap.PROT_READ), bounds)
        finally:
            os.close(descriptor)
        return {
            **told,
            "digest": self.digest(),
            "size": size,
            "file_name": self.path.name,
            "recipe": recipe,
            "scan_research_id": self.delivery.scan_research_id,
            "delivery": self.delivery.number,
            "calling": "",
        }

    def _told(self, data: mmap.mmap, bounds: Bounds) -> dict[str, str]:
        """UIDs and transfer syntax, from file meta information and data set, which have to agree."""
        meta = _meta(data)
        sop_class, uid, syntax = (meta.get(tag, "") for tag in (0x00020002, 0x00020003, 0x00020010))
        head = part10.head(sop_class, uid, syntax)
        if data[: len(head)] != head:
            raise NotOursError("its file meta information is not this node's")
        expected = f"{visit(self.delivery.scan_research_id)}_"
        if not self.path.name.startswith(expected) or not self.path.name.endswith(f"_{unique(uid)}.dcm"):
            raise NotOursError("its name is not that of its content")
        try:
            dataset = read(memoryview(data)[len(head) :], explicit=True, bounds=bounds)
            found = [dataset.text(tag) for tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID, _SERIES_INSTANCE_UID)]
        except Failure as failure:
            raise NotOursError(failure.why) from failure
        if found[:2] != [sop_class, uid]:
            raise NotOursError("its data set is another instance's")
        pixels, series = dataset.find(PIXEL_DATA), found[2]
        if pixels and (pixels.end == pixels.stop) != (syntax == _NATIVE):
            raise NotOursError("its pixel data is not encoded as its transfer syntax says")
        return {"sop_instance_uid": uid, "series_uid": series, "sop_class_uid": sop_class, "transfer_syntax": syntax}


def _meta(data: mmap.mmap) -> dict[int, str]:
    """The elements of group 0002, as text (PS3.10 7.1)."""
    if data[128:_META] != b"DICM":
        raise NotOursError("it has no prefix")
    found = {}
    try:
        end = _META + _GROUP_LENGTH + _LONG.unpack_from(data, _META + 8)[0]
        at = _META + _GROUP_LENGTH
        while at < min(end, len(data)):
            group, element, vr, length = _SHORT.unpack_from(data, at)
            at += _SHORT.size
            if vr in _WITH_LONG:
                length = _LONG.unpack_from(data, at)[0]
                at += _LONG.size
            found[group << 16 | element] = data[at : at + length].decode("ascii").rstrip(" \0")
            at += length
    except (error, UnicodeDecodeError) as broken:
        raise NotOursError("its file meta information cannot be read") from broken
    return found
