"""What comes ahead of its turn: PDUs cut and joined anyhow are read one by one, each length checked before its body."""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scp.config import Limits
from scp.receive.drain import Drain
from scp.receive.wire import AHEAD_BYTES, PDU, Overdue, ProtocolError, Reason, Wire

CAPS = {PDU.DATA: 1 << 20, PDU.RELEASE_RQ: 4, PDU.ABORT: 4}
SHORT = 0.2

sizes = st.one_of(st.integers(0, 40), st.integers(AHEAD_BYTES - 20, AHEAD_BYTES + 20), st.integers(0, 5 * AHEAD_BYTES))


def pdu(number: int, size: int) -> bytes:
    return struct.pack(">BBI", PDU.DATA, 0, size) + bytes((number + at) % 251 for at in range(size))


@contextmanager
def connected(limits: Limits | None = None) -> Iterator[tuple[Wire, socket.socket, Drain]]:
    drain = Drain()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), 10) as peer,
    ):
        select.select([listener], [], [], 10)
        sock, _ = listener.accept()
        with sock:
            yield Wire(sock, limits or Limits(), drain), peer, drain
    drain.close()


def later() -> float:
    return time.monotonic() + 30


@settings(max_examples=60)
@given(st.lists(sizes, min_size=1, max_size=8), st.lists(st.floats(0, 1), max_size=8))
def test_pdus_cut_and_joined_anyhow_are_read_as_they_were_sent(lengths: list[int], cuts: list[float]) -> None:
    sent = [pdu(number, size) for number, size in enumerate(lengths)]
    stream = b"".join(sent)
    places = sorted({0, len(stream), *(int(cut * len(stream)) for cut in cuts)})

    def send(peer: socket.socket) -> None:
        for start, end in pairwise(places):
            peer.sendall(stream[start:end])
            time.sleep(0.0005)

    with connected() as (wire, peer, _):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sender = threading.Thread(target=send, args=(peer,))
        sender.start()
        for each in sent:
            kind, body = wire.read_pdu(CAPS, idle=later())
            assert (kind, bytes(body)) == (PDU.DATA, each[6:])
        sender.join()


class Counted:
    """A socket that counts how often it is read."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.reads: list[int] = []

    def recv_into(self, view: memoryview) -> int:
        got = self._sock.recv_into(view)
        self.reads.append(got)
        return got

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def test_small_pdus_that_came_together_are_read_at_once() -> None:
    with connected() as (wire, peer, _):
        sent = [pdu(number, 100) for number in range(5)]
        peer.sendall(b"".join(sent))
        wire.read_pdu(CAPS, idle=later())
        wire._socket = counted = Counted(wire._socket)  # type: ignore[assignment]
        for each in sent[1:]:
            assert bytes(wire.read_pdu(CAPS, idle=time.monotonic())[1]) == each[6:]
        assert counted.reads == []


def test_of_a_large_body_no_more_than_its_beginning_is_copied() -> None:
    with connected() as (wire, peer, _):
        wire._socket = counted = Counted(wire._socket)  # type: ignore[assignment]
        peer.sendall(pdu(1, 30_000) + pdu(2, 3))
        body = bytes(wire.read_pdu(CAPS, idle=later())[1])
        assert body == pdu(1, 30_000)[6:]
        assert counted.reads[0] <= AHEAD_BYTES
        assert sum(counted.reads) == 30_006, "nothing is read behind a body that was read by itself"
        assert bytes(wire.read_pdu(CAPS, idle=later())[1]) == pdu(2, 3)[6:]


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_length_that_may_not_be_is_refused_with_its_body_there_or_not(before: int) -> None:
    with connected() as (wire, peer, _):
        peer.sendall(
            b"".join(pdu(number, 10) for number in range(before)) + struct.pack(">BBI", 4, 0, 1 << 31) + b"x" * 50
        )
        for _ in range(before):
            wire.read_pdu(CAPS, idle=later())
        with pytest.raises(ProtocolError) as refused:
            wire.read_pdu(CAPS, idle=later())
        assert (refused.value.reason, refused.value.limit) == (Reason.INVALID_PARAMETER, "max_pdu_bytes")
        assert len(wire._body) == 0, "no memory is taken for it"


@pytest.mark.parametrize(
    ("rest", "limit"), [(b"", "idle_seconds"), (b"\4\0\0", "header_seconds"), (b"\4\0\0\0\0\4ab", "body_seconds")]
)
def test_who_is_silent_behind_a_whole_pdu_is_overdue_all_the_same(rest: bytes, limit: str) -> None:
    with connected(Limits(header_seconds=SHORT, body_seconds=SHORT)) as (wire, peer, _):
        peer.sendall(pdu(1, 20) + rest)
        wire.read_pdu(CAPS, idle=later())
        with pytest.raises(Overdue) as late:
            wire.read_pdu(CAPS, idle=time.monotonic() + SHORT)
        assert late.value.limit == limit


def test_a_leaving_worker_takes_what_has_come_and_waits_for_no_more() -> None:
    with connected() as (wire, peer, drain):
        peer.sendall(pdu(1, 5) + pdu(2, 5))
        wire.read_pdu(CAPS, idle=later())
        drain.begin(0.1)
        assert bytes(wire.read_pdu(CAPS, idle=later(), grace=0)[1]) == pdu(2, 5)[6:]
        with pytest.raises(Overdue):
            wire.read_pdu(CAPS, idle=later(), grace=0)
