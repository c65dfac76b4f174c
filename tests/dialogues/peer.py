"""A scripted peer: PDUs written by hand, so that neither our codecs nor pynetdicom's check themselves."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from scp.config import Limits
from scp.instance import Arrival, Peer
from scp.metrics import Metrics, declare
from scp.outcome import Outcome, Rejection
from scp.receive.board import Board
from scp.receive.door import FrontDoor
from scp.receive.identity import Users
from scp.receive.negotiation import STORAGE_CLASSES
from scp.receive.supervisor import bind
from scp.receive.watched import Watched
from scp.receive.worker import Entrance, Worker

VERIFICATION = "1.2.840.10008.1.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
DICOM = "1.2.840.10008.3.1.1.1"
UID = "1.2.826.0.1.3680043.8.498.77"
NEEDLE = b"NEEDLE^PATIENT"
DATA = b"\x10\x00\x10\x00PN\x0e\x00" + NEEDLE
PATIENCE = 10.0
RESERVED = b"not for us, but to come back".ljust(32, b"\1")

STORE, ECHO = 0x0001, 0x0030
COMMAND, LAST = 1, 2


def pdu(kind: int, body: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def context(number: int, abstract: str, *transfer: str) -> bytes:
    names = item(0x30, abstract.encode()) + b"".join(item(0x40, name.encode()) for name in transfer)
    return item(0x20, bytes((number, 0, 0, 0)) + names)


def associate(  # noqa: PLR0913  as many things can be wrong with one
    *contexts: bytes,
    called: bytes = b"CLOAKROOM",
    calling: bytes = b"MODALITY",
    name: str = DICOM,
    version: int = 1,
    max_pdu: int = 16384,
    user: bytes = b"",
    extra: bytes = b"",
) -> bytes:
    proposed = contexts or (context(1, VERIFICATION, IMPLICIT), context(3, MR, EXPLICIT))
    information = item(0x51, struct.pack(">I", max_pdu)) + item(0x52, b"1.2.3") + item(0x55, b"SCRIPT") + user
    head = struct.pack(">HH16s16s32s", version, 0, called.ljust(16), calling.rjust(16), RESERVED)
    return pdu(1, head + item(0x10, name.encode()) + b"".join(proposed) + extra + item(0x50, information))


def pdv(number: int, control: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, number, control) + data


def element(tag: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        value = struct.pack("<H", value)
    if isinstance(value, str):
        value = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, tag, len(value)) + value


def elements(values: Mapping[int, bytes | int | str]) -> bytes:
    body = b"".join(element(tag, value) for tag, value in sorted(values.items()))
    return element(0, struct.pack("<I", len(body))) + body


def request(kind: int, sop_class: str = MR, uid: str = "", *, data: bool = False, message: int = 7) -> bytes:
    values: dict[int, bytes | int | str] = {2: sop_class, 0x100: kind, 0x110: message, 0x800: 1 if data else 0x0101}
    if uid:
        values |= {0x700: 0, 0x1000: uid}
    return elements(values)


def store_command(sop_class: str = MR, uid: str = UID, **more: int) -> bytes:
    return request(STORE, sop_class, uid, data=True, **more)


def command(number: int, data: bytes) -> bytes:
    return pdu(4, pdv(number, COMMAND | LAST, data))


def data_set(number: int, data: bytes = DATA) -> bytes:
    return pdu(4, pdv(number, LAST, data))


ECHO_RQ = command(1, request(ECHO, VERIFICATION))
STORE_RQ = command(3, store_command())
STORE_ALL = STORE_RQ + data_set(3)
RELEASE_RQ = pdu(5, bytes(4))
ABORT = pdu(7, bytes(4))


@dataclass
class Line:
    """The peer's end of a connection."""

    sock: socket.socket

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError(f"closed after {len(data)} of {count} bytes")
            data += part
        return data

    def receive(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBI", self.exactly(6))
        return kind, self.exactly(length)


@dataclass(frozen=True)
class Send:
    data: bytes

    def play(self, line: Line) -> None:
        line.sock.sendall(self.data)


@dataclass(frozen=True)
class Drip:
    """One byte a segment."""

    data: bytes

    def play(self, line: Line) -> None:
        line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in self.data:
            line.sock.sendall(bytes((byte,)))


@dataclass(frozen=True)
class Accepted:
    """An A-ASSOCIATE-AC with these results, and transfer syntaxes where accepted, by context id."""

    results: Mapping[int, int | str]

    def play(self, line: Line) -> None:
        kind, body = line.receive()
        assert kind == 2, f"PDU type {kind} instead of an A-ASSOCIATE-AC"
        found: dict[int, int | str] = {}
        for item_kind, value in split(body[68:]):
            if item_kind == 0x21:
                found[value[0]] = value[2] or next(split(value[4:]))[1].decode()
        assert found == dict(self.results)


@dataclass(frozen=True)
class Answered:
    """A response without a data set: its command field, status, message id and UIDs."""

    field: int
    status: int
    number: int = 3
    message: int = 7
    uid: str = ""

    def play(self, line: Line) -> None:
        kind, body = line.receive()
        assert kind == 4, f"PDU type {kind} instead of a P-DATA-TF"
        length, number, control = struct.unpack_from(">IBB", body)
        assert (length + 4, number, control) == (len(body), self.number, COMMAND | LAST)
        values = command_values(body[6:])
        found = tuple(int.from_bytes(values[tag], "little") for tag in (0x100, 0x900, 0x120, 0x800))
        assert found == (self.field, self.status, self.message, 0x0101)
        assert values.get(0x1000, b"").rstrip(b"\0").decode() == self.uid
        assert int.from_bytes(values[0], "little") == len(body) - 6 - 12


@dataclass(frozen=True)
class Told:
    """A PDU with exactly this type and body."""

    kind: int
    body: bytes

    def play(self, line: Line) -> None:
        assert line.receive() == (self.kind, self.body)


@dataclass(frozen=True)
class Closed:
    def play(self, line: Line) -> None:
        try:
            rest = line.sock.recv(1)
        except ConnectionResetError:
            rest = b""
        assert rest == b""


@dataclass(frozen=True)
class Shut:
    """The peer's side goes away."""

    def play(self, line: Line) -> None:
        line.sock.close()


Step = Send | Drip | Accepted | Answered | Told | Closed | Shut
RELEASED = Told(6, bytes(4))
ESTABLISHED = (Send(associate()), Accepted({1: IMPLICIT, 3: EXPLICIT}))
GOODBYE = (Send(RELEASE_RQ), RELEASED, Closed())
STORED = Answered(0x8001, 0, uid=UID)


def aborted(reason: int) -> tuple[Step, Step]:
    return Told(7, bytes((0, 0, 2, reason))), Closed()


# Before there is an association, the service user aborts (PS3.8 9.2.3, AA-1).
UNHEARD: tuple[Step, Step] = (Told(7, bytes(4)), Closed())


def rejected(result: int, source: int, reason: int) -> tuple[Step, Step]:
    return Told(3, bytes((0, result, source, reason))), Closed()


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, _, length = struct.unpack_from(">BBH", data, at)
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def command_values(data: bytes) -> dict[int, bytes]:
    values, at = {}, 0
    while at < len(data):
        _, tag, length = struct.unpack_from("<HHI", data, at)
        values[tag] = data[at + 8 : at + 8 + length]
        at += 8 + length
    return values


def titles(peer: Peer) -> Rejection | None:
    if peer.called != "CLOAKROOM":
        return Rejection.CALLED_AE_TITLE
    return None if peer.calling == "MODALITY" else Rejection.CALLING_AE_TITLE


@dataclass
class Node:
    """A worker in a thread of this process, with a house that keeps what it is handed."""

    limits: Limits = field(default_factory=Limits)
    admit: Callable[[Peer], Rejection | None] = titles
    answer: Callable[[Arrival], Outcome] = lambda _arrival: Outcome.STORED
    taken: list[Arrival] = field(default_factory=list)
    metrics: Metrics = field(default_factory=lambda: declare(CollectorRegistry()))
    contexts: Watched[ssl.SSLContext] | None = None
    users: Users | None = None
    transfer_syntaxes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.listener = bind("127.0.0.1", 0)
        self.address = self.listener.getsockname()
        self.board = Board(["worker-0", "worker-1"])
        entrances = [Entrance(self.listener)]
        if self.contexts is not None:
            entrances.append(Entrance(bind("127.0.0.1", 0), self.contexts))
            self.tls_address = entrances[1].listener.getsockname()
        door = FrontDoor(
            self.limits,
            STORAGE_CLASSES,
            self.admit,
            self._take,
            self.metrics,
            self.users,
            transfer_syntaxes=self.transfer_syntaxes,
        )
        self.worker = Worker(entrances, door, self.board, 0)
        self.thread = threading.Thread(target=self.worker.serve)
        self.thread.start()

    def _take(self, arrival: Arrival) -> Outcome:
        self.taken.append(arrival)
        return self.answer(arrival)

    def connect(self) -> Line:
        return Line(socket.create_connection(self.address[:2], timeout=PATIENCE))

    def play(self, steps: Sequence[Step]) -> None:
        line = self.connect()
        with line.sock:
            for step in steps:
                step.play(line)

    def is_shut(self) -> bool:
        """Whether a newcomer is turned away, which may reset the connection before it is there."""
        try:
            with self.connect().sock as sock:
                return sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def count(self, metric: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"cloakroom_{metric}", labels) or 0.0

    def settle(self) -> None:
        """Wait until every association has ended."""
        assert self.worker.guests.gone(time.monotonic() + PATIENCE, PATIENCE), "an association did not end"

    def stop_serving(self) -> None:
        """Wait until the worker, told by something else, has left."""
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the worker did not leave"

    def stop(self) -> None:
        self.worker.leave()
        self.stop_serving()
        self.worker.close()
        self.board.register.close()
