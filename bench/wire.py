"""The bench's own sender's side of the upper layer: bytes by hand, so that the sender is never what is measured."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DICOM = "1.2.840.10008.3.1.1.1"
CALLED, CALLING = "CLOAKROOM", "BENCH"
RELEASE_RQ = struct.pack(">BBII", 5, 0, 4, 0)
MAX_PDU = 131_072
LARGEST = 1_000  # slices one sendmsg takes (IOV_MAX is 1,024)
PATIENCE = 120.0
COMMAND, LAST = 1, 2


class WireError(Exception):
    """The receiver did not answer as a Storage SCP does."""


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU (PS3.8 9.3.1)."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    """An item of an A-ASSOCIATE-RQ."""
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(abstract_syntax: str, transfer_syntax: str = EXPLICIT, called: str = CALLED) -> bytes:
    """A request with one presentation context, number 1."""
    names = item(0x30, abstract_syntax.encode()) + item(0x40, transfer_syntax.encode())
    user = item(0x51, struct.pack(">I", MAX_PDU)) + item(0x52, b"1.2.826.0.1.3680043.8.498.1") + item(0x55, b"BENCH")
    head = struct.pack(">HH16s16s32s", 1, 0, called.encode().ljust(16), CALLING.encode().ljust(16), b"")
    contexts = item(0x20, bytes((1, 0, 0, 0)) + names)
    return pdu(1, head + item(0x10, DICOM.encode()) + contexts + item(0x50, user))


def command_set(field: int, sop_class: str, uid: str = "") -> bytes:
    """A C-STORE-RQ or C-ECHO-RQ (PS3.7 9.3.1, 9.3.5)."""
    values = [(2, _ui(sop_class)), (0x100, _us(field)), (0x110, _us(1))]
    if uid:
        values += [(0x700, _us(0)), (0x800, _us(1)), (0x1000, _ui(uid))]
    else:
        values += [(0x800, _us(0x0101))]
    body = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in values)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def command_pdu(field: int, sop_class: str, uid: str = "") -> bytes:
    """A whole command as one P-DATA-TF."""
    return data_pdu(command_set(field, sop_class, uid), COMMAND | LAST)


def data_pdu(data: bytes, control: int, context: int = 1) -> bytes:
    """One P-DATA-TF with one presentation data value."""
    return pdu(4, struct.pack(">IBB", len(data) + 2, context, control) + data)


def store(sop_class: str, uid: str, data: memoryview, max_pdu: int) -> list[bytes | memoryview]:
    """A C-STORE-RQ and its data set as slices for sendmsg; nothing of `data` is copied."""
    room = (max_pdu or MAX_PDU) - 6
    slices: list[bytes | memoryview] = [command_pdu(1, sop_class, uid)]
    for start in range(0, len(data), room):
        part = data[start : start + room]
        last = LAST if start + room >= len(data) else 0
        slices += [struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, 1, last), part]
    return slices


def send_all(sock: socket.socket, slices: Sequence[bytes | memoryview]) -> None:
    """One system call for each thousand slices, as far as the socket takes them."""
    for start in range(0, len(slices), LARGEST):
        rest = [memoryview(part) for part in slices[start : start + LARGEST]]
        while rest:
            sent = sock.sendmsg(rest)
            while rest and sent >= len(rest[0]):
                sent -= len(rest.pop(0))
            if sent:
                rest[0] = rest[0][sent:]


def receive(sock: socket.socket) -> tuple[int, bytes]:
    """The next PDU."""
    kind, _, length = struct.unpack(">BBI", _exactly(sock, 6))
    return kind, _exactly(sock, length)


def status(sock: socket.socket) -> int:
    """The status of the next response (PS3.7 9.3), which is always this command set's last or last but one element."""
    kind, body = receive(sock)
    if kind != 4:
        raise WireError(f"PDU type {kind} instead of a response")
    at = body.index(b"\0\0\0\x09\x02\0\0\0", 6)
    return int.from_bytes(body[at + 8 : at + 10], "little")


def connect(port: int, abstract_syntax: str, transfer_syntax: str = EXPLICIT) -> tuple[socket.socket, int]:
    """An established association with Nagle's algorithm off, and the longest PDU its acceptor takes."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(associate_rq(abstract_syntax, transfer_syntax))
        return sock, _accepted(sock)
    except BaseException:
        sock.close()
        raise


def release(sock: socket.socket) -> None:
    """Release the association and close."""
    sock.sendall(RELEASE_RQ)
    receive(sock)
    sock.close()


@contextmanager
def association(port: int, abstract_syntax: str) -> Iterator[tuple[socket.socket, int]]:
    """An association that is released at the end."""
    sock, max_pdu = connect(port, abstract_syntax)
    with sock:
        yield sock, max_pdu
        release(sock)


def echo(port: int) -> None:
    """C-ECHO on an association of its own; raises OSError or WireError."""
    sock, _ = connect(port, VERIFICATION, IMPLICIT)
    with sock:
        sock.sendall(command_pdu(0x30, VERIFICATION))
        if status(sock):
            raise WireError("C-ECHO was not answered with success")
        release(sock)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise WireError("the receiver closed the connection")
        data += part
    return data


def _accepted(sock: socket.socket) -> int:
    """The maximum length that the A-ASSOCIATE-AC states."""
    kind, body = receive(sock)
    if kind != 2:
        raise WireError(f"PDU type {kind} instead of an A-ASSOCIATE-AC")
    at = body.rindex(b"\x51\x00\x00\x04")
    return int.from_bytes(body[at + 4 : at + 8], "big")


def _us(value: int) -> bytes:
    return struct.pack("<H", value)


def _ui(value: str) -> bytes:
    return value.encode() + b"\0" * (len(value) % 2)
