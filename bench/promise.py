"""The bare promise: `python -m bench.promise PORT FOLDER synced|unsynced`, a receiver that is no node.

It takes the bytes of an instance, writes and syncs a file and its folder, commits a row, and answers; it looks at
nothing, admits everybody, and serves one association after the other. What keeps the same promise and does anything
beside it cannot be faster on the same machine, however it is written: most of this is the operating system's.
"""

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
        self.count += 1
        name, folder = f"{self.count:08d}", self._folder
        file = os.open(f".{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=folder)
        os.writev(file, parts)
        if self._synced:
            os.fsync(file)
        os.link(f".{name}", name, src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink(f".{name}", dir_fd=folder)
        if self._synced:
            os.fsync(folder)
        os.close(file)
        self._database.execute("INSERT INTO row VALUES (?, ?, ?)", (name, name.encode(), name))


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


def main(port: int, folder: Path, *, synced: bool) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    keeper, room = Keeper(folder / "received", synced=synced), memoryview(bytearray(ROOM))
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            sock, _ = listener.accept()
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Connection(sock, keeper, room).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), synced=sys.argv[3] == "synced")
