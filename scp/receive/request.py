"""A-ASSOCIATE-RQ (PS3.8 9.3.2, PS3.7 Annex D) as it comes from a stranger: each byte is looked at once."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from scp.instance import Peer
from scp.outcome import Rejection
from scp.receive import extended, identity, items
from scp.receive.wire import ProtocolError, Reason

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
MAXIMUM_LENGTH, IMPLEMENTATION_CLASS, OPERATIONS_WINDOW, ROLE, IMPLEMENTATION_VERSION = 0x51, 0x52, 0x53, 0x54, 0x55
APPLICATION_CONTEXT_ITEM: Final = 0x10
TRANSFER_SYNTAX: Final = 0x40
_PRESENTATION_CONTEXT: Final = 0x20
_ABSTRACT_SYNTAX: Final = 0x30
_MAX_CONTEXTS: Final = 128
_MIN_PDU_BYTES: Final = 7  # room for one byte of a command
_CONTEXT_HEAD: Final = 4
_LONG: Final = struct.Struct(">I")
_SHORT: Final = struct.Struct(">H")


class Proposal(NamedTuple):
    """A proposed presentation context; the UIDs as sent, without their padding."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """An A-ASSOCIATE-RQ as far as this node goes into it; `max_pdu_bytes` 0 means that the peer sets no limit.

    `roles` are, by SOP class, whether the requestor would be its SCU and its SCP.
    """

    reserved: bytes  # titles and what follows them, which the answer repeats as received (PS3.8 9.3.3)
    peer: Peer
    contexts: tuple[Proposal, ...]
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    max_pdu_bytes: int = 0
    asynchronous: bool = False
    claim: identity.Claim | None = None
    extended: frozenset[str] = frozenset()


def read(body: bytes, address: str, certificate: frozenset[str] = frozenset()) -> Request | Rejection:
    """Read an A-ASSOCIATE-RQ from behind its header; raises ProtocolError where it does not follow PS3.8 9.3.2.

    `certificate` is what the peer has proven over TLS. Items of types that are not known are passed over (9.3.1).
    """
    if len(body) < items.FIXED_BYTES:
        raise ProtocolError(Reason.INVALID_PARAMETER, "an association request that is too short")
    if not body[1] & 1:  # the other bits are not tested, PS3.8 Table 9-11
        return Rejection.PROTOCOL_VERSION
    called, calling = _title(body[4:20]), _title(body[20:36])
    if not called:
        return Rejection.CALLED_AE_TITLE
    if not calling:
        return Rejection.CALLING_AE_TITLE
    names, contexts, user = _variable(body[items.FIXED_BYTES :])
    if names != [APPLICATION_CONTEXT]:
        return Rejection.APPLICATION_CONTEXT
    if len({context.context_id for context in contexts}) != len(contexts) or not 0 < len(contexts) <= _MAX_CONTEXTS:
        raise _malformed("presentation contexts without an id of their own")
    peer = Peer(calling, called, address, certificate)
    return _request(body[4 : items.FIXED_BYTES], peer, contexts, user)


def _title(raw: bytes) -> str:
    """An AE title without its padding; empty when it is none (PS3.5 AE: printable ASCII, no backslash)."""
    text = raw.decode("latin-1")
    return text.strip(" ") if text.isascii() and text.isprintable() and "\\" not in text else ""


def _variable(data: bytes) -> tuple[list[str], list[Proposal], list[tuple[int, bytes]]]:
    """Application context names, presentation contexts, and the type and value of each item of user information."""
    names: list[str] = []
    contexts: list[Proposal] = []
    user: list[tuple[int, bytes]] = []
    for kind, value in items.values(data):
        if kind == _PRESENTATION_CONTEXT:
            contexts.append(_proposal(value))
        elif kind == items.USER_INFORMATION:
            user += items.values(value)
        elif kind == APPLICATION_CONTEXT_ITEM:
            names.append(_uid(value))
    return names, contexts, user


def _proposal(value: bytes) -> Proposal:
    """PS3.8 9.3.2.2: an odd number, one abstract syntax, and transfer syntaxes."""
    if len(value) < _CONTEXT_HEAD or not value[0] & 1:
        raise _malformed("a presentation context without an odd id")
    abstract: list[str] = []
    transfer: list[str] = []
    for kind, name in items.values(value[_CONTEXT_HEAD:]):
        if kind == TRANSFER_SYNTAX:
            transfer.append(_uid(name))
        elif kind == _ABSTRACT_SYNTAX:
            abstract.append(_uid(name))
    if len(abstract) != 1 or not abstract[0] or not transfer or not all(transfer):
        raise _malformed("a presentation context without its syntaxes")
    return Proposal(value[0], abstract[0], tuple(transfer))


def _request(reserved: bytes, peer: Peer, contexts: Iterable[Proposal], user: list[tuple[int, bytes]]) -> Request:
    by_kind: dict[int, list[bytes]] = {}
    for kind, value in user:
        by_kind.setdefault(kind, []).append(value)
    claims = [identity.read(value) for value in by_kind.get(identity.REQUEST_ITEM, ())]
    if len(claims) > 1:
        raise _malformed("more than one user identity")
    return Request(
        reserved=reserved,
        peer=peer,
        contexts=tuple(contexts),
        roles=dict(_role(value) for value in by_kind.get(ROLE, ())),
        max_pdu_bytes=_maximum_length(by_kind.get(MAXIMUM_LENGTH, [])),
        asynchronous=OPERATIONS_WINDOW in by_kind,
        claim=claims[0] if claims else None,
        extended=frozenset(extended.read(value) for value in by_kind.get(extended.ITEM, ())),
    )


def _maximum_length(values: list[bytes]) -> int:
    """PS3.8 D.1.1; without one the peer sets no limit."""
    if any(len(value) != _LONG.size for value in values):
        raise _malformed("a maximum length that is none")
    size = int.from_bytes(values[-1]) if values else 0
    if 0 < size < _MIN_PDU_BYTES:
        raise _malformed("a maximum length that no message fits in")
    return size


def _role(value: bytes) -> tuple[str, tuple[bool, bool]]:
    """PS3.7 D.3.3.4."""
    length = int.from_bytes(value[: _SHORT.size])
    end = _SHORT.size + length
    if len(value) != end + 2 or not length:
        raise _malformed("a role that is malformed")
    return _uid(value[_SHORT.size : end]), (bool(value[end]), bool(value[end + 1]))


def _uid(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("latin-1")


def _malformed(why: str) -> ProtocolError:
    return ProtocolError(Reason.INVALID_PARAMETER, why)
