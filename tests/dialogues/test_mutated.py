"""Good conversations, damaged: whatever is heard, the worker goes on, and nothing half-said is handed in."""

import socket
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from peer import ABORT, DATA, ECHO_RQ, ESTABLISHED, GOODBYE, RELEASE_RQ, STORE_ALL, Answered, Node, Send, associate

from scp.config import Limits

PARTS = (associate(), ECHO_RQ, STORE_ALL, ECHO_RQ, STORE_ALL, RELEASE_RQ, ABORT)
STORE_RSP_FIELD = b"\0\0\0\1\2\0\0\0\1\x80"
CONVERSATION = b"".join(PARTS[:-1])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A conversation with its parts in another order, bytes changed, left out and put in, and cut."""
    kept = draw(st.just(list(PARTS[:-1])) | st.lists(st.sampled_from(PARTS), max_size=8))
    data = bytearray(b"".join(kept))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        change = draw(st.sampled_from(["set", "remove", "insert"]))
        if change == "set":
            data[at : at + 1] = bytes((draw(st.integers(0, 255)),))
        elif change == "remove":
            del data[at : at + draw(st.integers(1, 8))]
        else:
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(data[: draw(st.integers(0, len(data)) | st.just(len(data)))])


def say(node: Node, data: bytes) -> bytes:
    """Send it all, say no more, and hear everything."""
    heard = b""
    line = node.connect()
    with line.sock:
        try:
            line.sock.sendall(data)
            line.sock.shutdown(socket.SHUT_WR)
            while part := line.sock.recv(65536):
                heard += part
        except ConnectionError:
            return heard
    return heard


def test_the_whole_conversation_is_understood(node: Callable[..., Node]) -> None:
    spoken = node()
    heard = say(spoken, CONVERSATION)
    spoken.settle()
    assert heard.startswith(b"\2")
    assert heard.endswith(b"\6\0\0\0\0\4\0\0\0\0")
    assert [bytes(arrival.data) for arrival in spoken.taken] == [DATA, DATA]


def test_damage_stays_with_its_association(node: Callable[..., Node]) -> None:
    """One worker hears all examples: a thread that dies of an exception is an error of the test."""
    spoken = node(limits=Limits(max_fruitless_per_second=1_000_000))  # what is never read finds no defect

    @settings(max_examples=400, deadline=None)
    @given(data=damaged())
    def hear(data: bytes) -> None:
        spoken.taken.clear()
        heard = say(spoken, data)
        spoken.settle()
        assert heard[:1] in {b"", b"\2", b"\3", b"\7"}
        assert heard.count(STORE_RSP_FIELD) <= len(spoken.taken)
        for arrival in spoken.taken:
            assert len(arrival.data) <= len(data)

    hear()
    spoken.play([*ESTABLISHED, Send(ECHO_RQ), Answered(0x8030, 0, number=1), *GOODBYE])
