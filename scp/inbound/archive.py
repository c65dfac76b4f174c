"""What a ZIP holds, within limits that are checked before anything is unpacked; nothing is ever extracted to a name."""

import struct
import zipfile
import zlib
from functools import partial
from typing import BinaryIO, Final, cast

from scp.config import Inbound
from scp.inbound.entry import Aside, Entry, Parts

SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")
# What zipfile raises of what is damaged, encrypted, or packed in a way it does not know.
DAMAGED: Final = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, struct.error,
)  # fmt: skip
_KNOWN: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 1
_ENTRY_BYTES: Final = 512  # of the central directory, an entry, on average
_LEAST_BYTES: Final = 1_048_576  # more than is read at once for anything else


class Beyond(Exception):  # noqa: N818  a limit, not an error
    """The ZIP holds more than `[inbound]` lets in."""


def members(file: BinaryIO, parts: Parts, limits: Inbound) -> list[Entry]:
    """The files of an open ZIP in the order of their names, without positions.

    `file` must stay open while they are read. Raises Beyond, and one of DAMAGED.
    """
    sparing = _Sparing(file, max(_LEAST_BYTES, limits.max_zip_entries * _ENTRY_BYTES))
    archive = zipfile.ZipFile(cast("BinaryIO", sparing))
    files = (info for info in archive.infolist() if not info.filename.endswith("/"))  # is_dir() fails on an empty name
    infos = sorted(files, key=lambda info: info.filename)
    if len(infos) > limits.max_zip_entries or sum(info.file_size for info in infos) > limits.max_zip_bytes:
        raise Beyond
    return [_entry(archive, info, parts) for info in infos]


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, parts: Parts) -> Entry:
    """No member reads more than its `file_size`: zipfile stops there, and then compares the CRC."""
    aside = Aside.UNREADABLE if info.flag_bits & _ENCRYPTED or info.compress_type not in _KNOWN else None
    names = tuple(name for name in info.filename.split("/") if name)
    return Entry((), (*parts, *names), info.file_size, partial(_opened, archive, info), aside)


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    return cast("BinaryIO", archive.open(info))


class _Sparing:
    """A file as zipfile wants it that gives no more at once than it may: the central directory is read at once."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        """Raises Beyond for more."""
        if size > self._most:
            raise Beyond
        data = self._file.read(self._most + 1 if size < 0 else size)
        if len(data) > self._most:
            raise Beyond
        return data
