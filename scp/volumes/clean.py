"""A volume made fit to leave: header and sidecar written anew, voxels copied in pieces, all of it looked through."""

import gzip
import hashlib
import hmac
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, cast

from scp.bounds import MIB
from scp.instance import Subject
from scp.layouts.names import visit
from scp.outcome import Failure, Outcome
from scp.store.files import Temporary, answerable
from scp.store.staging import Staging
from scp.volumes import header, sidecar
from scp.volumes.volume import PIECE, DeidentifiedVolume, File, Reader, Volume, Written, upto
from scp.volumes.whose import Guard, labels

_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31  # zlib's word for gzip around it: no name, no time
_BEHIND: Final = MIB  # bytes behind the last voxel that are passed over
_GIVEN: Final = frozenset({"PatientID", "StudyID"})


@dataclass(frozen=True, slots=True, repr=False)
class Examined:
    """A volume whose header is understood and whose neighbours were read: nothing of its voxels is yet."""

    volume: Volume
    header: header.Header
    sidecar: Mapping[str, Any]
    tables: Mapping[str, bytes] = field(default_factory=dict)


def examine(volume: Volume, most: int) -> Examined:
    """Read header, sidecar and tables; `most` bytes of voxels at most.

    Raises Failure MALFORMED, INCOMPLETE, PIXELS_WITHHELD, and Broken where the file cannot be read.
    """
    with _plain(volume.file) as (file, _):
        head = header.read(upto(file, header.MOST), most)
    small = {suffix: _small(file) for suffix, file in volume.beside.items()}
    fields = sidecar.read(small.pop(".json")) if ".json" in small else {}
    return Examined(volume, head, fields, {suffix: sidecar.gradients(data) for suffix, data in small.items()})


@contextmanager
def clean(
    examined: Examined, subject: Subject, staging: Staging, protocols: Mapping[str, str]
) -> Iterator[DeidentifiedVolume]:
    """All that may be written of it, each file whole in a temporary that is gone at the end unless it is placed.

    The name is the visit's and what a keyed digest makes of the content, so the same content has the same name.
    Raises Failure RESIDUAL where a value of the subject's would leave, INCOMPLETE where voxels are missing.
    """
    volume, guard = examined.volume, Guard(examined.volume, examined.sidecar)
    fields = sidecar.allowed(examined.sidecar, labels(volume.parts).suffix, subject, protocols)
    guard.check_sidecar(fields, _GIVEN)
    seen = hashlib.sha256()
    with ExitStack() as held:
        small = {**examined.tables, ".json": sidecar.written(fields)}
        made = {suffix: _small_file(held, staging, data, seen) for suffix, data in sorted(small.items())}
        packed, written = _voxels(held, staging, examined, guard, seen)
        made[".nii.gz" if packed else ".nii"] = written
        token = hmac.digest(subject.secret, b"volume\0" + seen.digest(), "sha256")[:8].hex()
        name = f"{visit(subject.scan_research_id)}_{token}"
        yield DeidentifiedVolume(subject.pseudonym, subject.scan_research_id, name, made)


def _small_file(held: ExitStack, staging: Staging, data: bytes, seen: "hashlib._Hash") -> Written:
    file = held.enter_context(staging.arriving())
    with answerable("a volume's sidecar"):
        file.write(data)
    seen.update(len(data).to_bytes(8, "big") + data)
    return Written(file, hashlib.sha256(data).digest())


def _voxels(
    held: ExitStack, staging: Staging, examined: Examined, guard: Guard, seen: "hashlib._Hash"
) -> tuple[bool, Written]:
    """The volume's own file, packed as it was, with whether it is; `seen` is shown it unpacked."""
    target = held.enter_context(staging.arriving())
    with _plain(examined.volume.file) as (source, packed):
        out, look = _Out(target, packed=packed), guard.looking()
        for piece in _pieces(source, examined.header):
            seen.update(piece)
            look(piece)
            out.write(piece)
    return packed, Written(target, out.end())


def _pieces(source: BinaryIO, head: header.Header) -> Iterator[bytes]:
    """The new header, then the voxels; what is behind them is read to the end, for gzip's checksum, and left out."""
    yield head.clean()
    _pass(source, head.offset)
    left = head.voxels
    while left:
        piece = source.read(min(left, PIECE))
        if not piece:
            raise Failure(Outcome.INCOMPLETE, "the volume ends before its last voxel")
        left -= len(piece)
        yield piece
    if len(upto(source, _BEHIND + 1)) > _BEHIND:
        raise Failure(Outcome.MALFORMED, "there is more behind the last voxel than padding")


class _Out:
    """A temporary that is written to as it is or packed, and its SHA-256."""

    def __init__(self, file: Temporary, *, packed: bool) -> None:
        self._file, self._seen = file, hashlib.sha256()
        self._pack = zlib.compressobj(6, zlib.DEFLATED, _GZIP_WINDOW) if packed else None

    def write(self, piece: bytes) -> None:
        self._put(self._pack.compress(piece) if self._pack else piece)

    def end(self) -> bytes:
        if self._pack:
            self._put(self._pack.flush())
        return self._seen.digest()

    def _put(self, data: bytes) -> None:
        self._seen.update(data)
        with answerable("the volume's file"):
            self._file.write(data)


@contextmanager
def _plain(file: File) -> Iterator[tuple[BinaryIO, bool]]:
    """The file unpacked, whatever its name, and whether it was packed; a damaged packing is INCOMPLETE."""
    with closing(file.open()) as probe:
        packed = upto(probe, len(_GZIP)) == _GZIP
    with closing(file.open()) as raw:
        try:
            yield (
                (
                    cast("BinaryIO", gzip.GzipFile(fileobj=cast("BinaryIO", _Buffered(raw))))
                    if packed
                    else cast("BinaryIO", raw)
                ),
                packed,
            )
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise Failure(Outcome.INCOMPLETE, "the volume's gzip is damaged, or ends too early") from None


class _Buffered:
    """What gzip reads from; it asks for a name byte by byte."""

    def __init__(self, raw: Reader) -> None:
        self._raw, self._left = raw, b""

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = self._raw.read(PIECE)
        part, self._left = (self._left, b"") if size < 0 else (self._left[:size], self._left[size:])
        return part


def _pass(source: BinaryIO, count: int) -> None:
    while count:
        piece = source.read(min(count, PIECE))
        if not piece:
            raise Failure(Outcome.INCOMPLETE, "the volume ends before its first voxel")
        count -= len(piece)


def _small(file: File) -> bytes:
    with closing(file.open()) as opened:
        data = upto(opened, sidecar.MOST + 1)
    if len(data) > sidecar.MOST:
        raise Failure(Outcome.MALFORMED, f"what lies beside the volume is longer than {sidecar.MOST} bytes")
    return data


Room = Callable[[int], None]
"""Raises Failure OUT_OF_RESOURCES where there is no room for so many bytes."""
