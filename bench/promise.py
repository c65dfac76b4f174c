"""The bare promise: `python -m bench.promise PORT FOLDER synced|logged|unsynced`, a receiver that is no node.

It takes the bytes of an instance, writes and syncs a file and its folder, commits a row, and answers; it looks at
nothing, admits everybody, and serves one association after the other. What keeps the same promise in the same way and
does anything beside it cannot be faster on the same machine, however it is written: most of this is the operating
system's. *Logged* keeps it in another way: the bytes go into a log that is synced alone, and files and rows are synced
when that is full.
"""

import ctypes
import os
import signal
import socket
import sqlite3
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import wire

ROOM = 1 << 23  # bytes of one instance with its command
ASSOCIATE_RQ, ASSOCIATE_AC, DATA, RELEASE_RQ, RELEASE_RP = 1, 2, 4, 5, 6
LOG = 1 << 25  # bytes of instances that are durable in the log alone, at most
_BLOCK = 4096
_HEADER = struct.Struct(">BBI")
_RELEASED = _HEADER.pack(RELEASE_RP, 0, 4) + bytes(4)
_TABLE = "CREATE TABLE row (uid TEXT PRIMARY KEY, source BLOB UNIQUE, file TEXT) WITHOUT ROWID"


class Keeper:
    """What is made durable of an instance: a file under its name, and a row."""

    def __init__(self, folder: Path, *, synced: bool) -> None:
        folder.mkdir()
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._synced = synced
        self._database = sqlite3.connect(folder.parent / "rows.db", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=wal")
        self._database.execute(f"PRAGMA synchronous={'full' if synced else 'off'}")
        self._database.execute(_TABLE)
        self.count = 0

    def keep(self, parts: Sequence[memoryview]) -> None:
        """Written first, then named, then known: the order in which a node that is killed loses nothing."""
        self._row(self._file(parts, synced=self._synced))

    def _file(self, parts: Sequence[memoryview], *, synced: bool) -> str:
        self.count += 1
        name, folder = f"{self.count:08d}", self._folder
        file = os.open(f".{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folder)
        os.writev(file, parts)
        if synced:
            os.fsync(file)
        os.link(f".{name}", name, src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink(f".{name}", dir_fd=folder)
        if synced:
            os.fsync(folder)
        os.close(file)
        return name

    def _row(self, name: str) -> None:
        self._database.execute("INSERT INTO row VALUES (?, ?, ?)", (name, name.encode(), name))


class Logged(Keeper):
    """The same behind a log: a power cut would be made good from it, so files and rows can be synced many at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, synced=True)
        self._log = os.open(folder.parent / "rows.log", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(self._log, bytes(LOG))  # blocks that are there already: to sync them changes nothing about the file
        os.fsync(self._log)
        self._at = 0
        self._names: list[str] = []

    def keep(self, parts: Sequence[memoryview]) -> None:
        """Durable in the log first; what was there before is durable elsewhere when its place is taken."""
        size = sum(map(len, parts))
        if self._at + size > LOG:
            self.settle()
        os.pwritev(self._log, parts, self._at)
        os.fdatasync(self._log)
        self._at += -(-size // _BLOCK) * _BLOCK
        self._names.append(self._file(parts, synced=False))

    def settle(self) -> None:
        """Sync all files, then commit all their rows; the log begins anew."""
        if ctypes.CDLL(None, use_errno=True).syncfs(self._folder):
            raise OSError(ctypes.get_errno(), "syncfs")
        self._database.execute("BEGIN")
        for name in self._names:
            self._row(name)
        self._database.execute("COMMIT")
        self._at, self._names = 0, []


class Connection:
    """One association, from the request to its end."""

    def __init__(self, sock: socket.socket, keeper: Keeper, room: memoryview) -> None:
        self._sock, self._keeper, self._room = sock, keeper, room
        self._at = self._end = 0

    def serve(self) -> None:
        """Until the peer releases or is gone."""
        parts: list[memoryview] = []
        while pdu := self._next():
            kind, body = pdu
            if kind == ASSOCIATE_RQ:
                self._sock.sendall(accept(bytes(body)))
            elif kind == RELEASE_RQ:
                self._sock.sendall(_RELEASED)
            elif body[5] & wire.COMMAND:
                if b"\x00\x00\x00\x01\x02\x00\x00\x00\x30\x00" in bytes(body):
                    self._sock.sendall(answer(0x8030))
            else:
                parts.append(body[6:])
                if body[5] & wire.LAST:
                    self._keeper.keep(parts)
                    parts = []
                    self._sock.sendall(answer(0x8001))
            if not parts and self._at == self._end:
                self._at = self._end = 0

    def _next(self) -> tuple[int, memoryview] | None:
        if not self._have(_HEADER.size):
            return None
        kind, _, length = _HEADER.unpack_from(self._room, self._at)
        if not self._have(_HEADER.size + length):
            return None
        begin = self._at + _HEADER.size
        self._at = begin + length
        return kind, self._room[begin : self._at]

    def _have(self, count: int) -> bool:
        while self._end - self._at < count:
            taken = self._sock.recv_into(self._room[self._end :])
            self._end += taken
            if not taken:
                return False
        return True


def accept(request: bytes) -> bytes:
    """An A-ASSOCIATE-AC that takes the one presentation context as it was proposed (PS3.8 9.3.3)."""
    at = request.rindex(b"\x40\x00")
    length = int.from_bytes(request[at + 2 : at + 4], "big")
    context = wire.item(0x21, bytes((1, 0, 0, 0)) + wire.item(0x40, request[at + 4 : at + 4 + length]))
    user = wire.item(0x50, wire.item(0x51, struct.pack(">I", wire.MAX_PDU)))
    return wire.pdu(ASSOCIATE_AC, request[:68] + wire.item(0x10, wire.DICOM.encode()) + context + user)


def answer(field: int) -> bytes:
    """A response of success (PS3.7 9.3)."""
    values = ((0x100, field), (0x120, 1), (0x800, 0x0101), (0x900, 0))
    body = b"".join(struct.pack("<HHIH", 0, tag, 2, value) for tag, value in values)
    return wire.data_pdu(struct.pack("<HHII", 0, 0, 4, len(body)) + body, wire.COMMAND | wire.LAST)


def main(port: int, folder: Path, how: str) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    received = folder / "received"
    keeper = Logged(received) if how == "logged" else Keeper(received, synced=how == "synced")
    room = memoryview(bytearray(ROOM))
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            sock, _ = listener.accept()
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Connection(sock, keeper, room).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
