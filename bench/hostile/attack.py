"""What an attack is, and the bytes that attacks are made of."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

from bench.wire import COMMAND, LAST, VERIFICATION, associate_rq, command_pdu, data_pdu, pdu

MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "2.25.271828182845904523536028747135266249"
MIB = 2**20
# The node's limits of time while it is attacked, so that they are met within the run.
LIMITS = {
    "header_seconds": 2.0,
    "body_seconds": 2.0,
    "idle_seconds": 2.0,
    "artim_seconds": 3.0,
    "tls_handshake_seconds": 3.0,
    "instance_seconds": 6.0,
    "max_instance_bytes": 256 * MIB,
}
AT_ONCE, ARTIM, HANDSHAKE, SHORT, BODY, INSTANCE, ANSWER = 0.1, 3.0, 3.0, 2.0, 4.0, 6.0, 5.0
STORE, ECHO, N_EVENT_REPORT = 1, 0x30, 0x100
Pieces = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Attack:
    """`pieces` are sent one after the other, `pause` seconds apart; then it waits to be told off.

    `ends` are the endings that count as held: abort, reject, close, answer (a failure status), refused (a context), or
    left (by the attacker: nothing is to end); `limit` the seconds from the last byte that mattered until then.
    """

    name: str
    title: str
    pieces: Pieces
    ends: tuple[str, ...]
    limit: float
    associated: bool = True
    sockets: int = 1
    pause: float = 0.0
    from_first: bool = False  # the limit counts from the connection, not from the last piece sent
    reads: bool = True
    leaves: bool = False  # it closes as soon as it has sent everything
    secure: bool = False  # at the port for TLS, where only its closing is looked at


def once(*pieces: bytes) -> Pieces:
    """These, and no more."""
    return lambda: iter(pieces)


def for_ever(piece: bytes) -> Pieces:
    """This, again and again."""
    return lambda: repeat(piece)


def slowly(data: bytes) -> Pieces:
    """Byte by byte."""
    return lambda: iter([bytes((byte,)) for byte in data])


def element(tag: int, vr: str, value: bytes = b"", length: int | None = None) -> bytes:
    """An element with explicit VR whose length may lie."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    long = vr in {"OB", "OW", "SQ", "UN", "UT"}
    return head + (struct.pack("<HI", 0, size) if long else struct.pack("<H", size)) + value


HEAD = b"".join(
    (
        element(0x00080016, "UI", MR.encode() + b"\0"),
        element(0x00080018, "UI", UID.encode() + b"\0" * (len(UID) % 2)),
        element(0x00100020, "LO", b"HOSTILE1"),
        element(0x0020000D, "UI", b"2.25.11\0"),
        element(0x0020000E, "UI", b"2.25.12\0"),
    )
)
ITEM, ITEM_END, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"
ENDLESS = b"\xff\xff\xff\xff"
NONE = bytes(4)


def nested(depth: int) -> bytes:
    """Sequences of undefined length in each other."""
    opened = element(0x00081140, "SQ", length=0xFFFFFFFF) + ITEM + ENDLESS
    return HEAD[:0] + opened * depth + (ITEM_END + NONE + SEQUENCE_END + NONE) * depth


def stored(data: bytes, uid: str = UID) -> Pieces:
    """A whole C-STORE of this data set."""

    def pieces() -> Iterator[bytes]:
        yield command_pdu(STORE, MR, uid)
        room = 100_000
        for start in range(0, len(data), room):
            yield data_pdu(data[start : start + room], LAST if start + room >= len(data) else 0)

    return pieces


def endless() -> Iterator[bytes]:
    """A data set without an end."""
    yield command_pdu(STORE, MR, UID)
    yield from repeat(data_pdu(bytes(131_000), 0))


def crumbs(in_each: int) -> Pieces:
    """A data set in fragments of one byte."""
    fragment = struct.pack(">IBBB", 3, 1, 0, 8)

    def pieces() -> Iterator[bytes]:
        yield command_pdu(STORE, MR, UID)
        yield from repeat(pdu(4, fragment * in_each))

    return pieces


def commands(*elements: tuple[int, int]) -> bytes:
    """A command set of US elements."""
    body = b"".join(struct.pack("<HHIH", 0, tag, 2, value) for tag, value in elements)
    return data_pdu(struct.pack("<HHII", 0, 0, 4, len(body)) + body, COMMAND | LAST)


def many_contexts() -> bytes:
    """A request as long as one may be, full of transfer syntaxes."""
    names = [f"1.2.840.10008.1.2.4.{number}".encode() for number in range(1000, 1060)]
    syntaxes = b"".join(struct.pack(">BBH", 0x40, 0, len(name)) + name for name in names)
    context = struct.pack(">BBH", 0x30, 0, len(MR)) + MR.encode() + syntaxes
    items = b"".join(
        struct.pack(">BBHBBBB", 0x20, 0, len(context) + 4, number, 0, 0, 0) + context for number in range(1, 256, 2)
    )
    request = associate_rq(VERIFICATION)
    at = request.index(b"\x20\x00", request.index(b"1.2.840.10008.3.1.1.1"))
    user = request[request.rindex(b"\x50\x00") :]
    return pdu(1, request[6:at] + items + user)


RELEASE = pdu(5, bytes(4))
ECHO_RQ = command_pdu(ECHO, MR)
HALF = command_pdu(STORE, MR, UID) + data_pdu(bytes(131_000), 0)[:66_000]
EVENT = commands((0x100, N_EVENT_REPORT), (0x110, 1), (0x800, 0x0101))
BIG = struct.pack(">BBI", 4, 0, 512 * MIB)
HUGE = struct.pack(">BBI", 1, 0, 0xFFFFFFF0)
FOUR_MIB = command_pdu(STORE, MR, UID) + b"".join(
    data_pdu(part, last) for part, last in [(HEAD, 0)] + [(bytes(131_000), 0)] * 31 + [(bytes(131_000), LAST)]
)
