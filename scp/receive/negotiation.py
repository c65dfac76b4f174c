"""A-ASSOCIATE (PS3.8 9.3.2 to 9.3.4, PS3.7 Annex D): what a stranger asks, and the answer to it."""

import logging
import struct
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import pydicom.config
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor
from pynetdicom.sop_class import _STORAGE_CLASSES

from scp import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from scp.instance import Peer
from scp.outcome import Rejection
from scp.receive import extended, identity, items
from scp.receive.wire import PDU, ProtocolError, Reason

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
STORAGE_CLASSES: Final = frozenset(_STORAGE_CLASSES.values())
MAX_REQUEST_BYTES: Final = 256 * 1024

TRANSFER_SYNTAXES: Final = (  # in the order preferred; never deflated, big endian, or pixel data by reference (JPIP)
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.92",  # JPEG 2000 Multi-component Lossless
    "1.2.840.10008.1.2.4.201",  # High-Throughput JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.202",  # High-Throughput JPEG 2000 Lossless, RPCL
    "1.2.840.10008.1.2.5",  # RLE Lossless
    "1.2.840.10008.1.2.1.98",  # Encapsulated Uncompressed Explicit VR Little Endian
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline, 8 bit
    "1.2.840.10008.1.2.4.51",  # JPEG Extended, 12 bit
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.93",  # JPEG 2000 Multi-component
    "1.2.840.10008.1.2.4.203",  # High-Throughput JPEG 2000
    "1.2.840.10008.1.2.4.100",  # MPEG2 Main Profile / Main Level
    "1.2.840.10008.1.2.4.100.1",  # and fragmentable
    "1.2.840.10008.1.2.4.101",  # MPEG2 Main Profile / High Level
    "1.2.840.10008.1.2.4.101.1",
    "1.2.840.10008.1.2.4.102",  # MPEG-4 AVC/H.264 High Profile / Level 4.1
    "1.2.840.10008.1.2.4.102.1",
    "1.2.840.10008.1.2.4.103",  # and BD-compatible
    "1.2.840.10008.1.2.4.103.1",
    "1.2.840.10008.1.2.4.104",  # MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D video
    "1.2.840.10008.1.2.4.104.1",
    "1.2.840.10008.1.2.4.105",  # and for 3D video
    "1.2.840.10008.1.2.4.105.1",
    "1.2.840.10008.1.2.4.106",  # MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2
    "1.2.840.10008.1.2.4.106.1",
    "1.2.840.10008.1.2.4.107",  # HEVC/H.265 Main Profile / Level 5.1
    "1.2.840.10008.1.2.4.108",  # HEVC/H.265 Main 10 Profile / Level 5.1
)

_APPLICATION_CONTEXT_ITEM: Final = 0x10
_PRESENTATION_CONTEXT_ITEM: Final = 0x20
_ITEMS: Final = frozenset((_APPLICATION_CONTEXT_ITEM, _PRESENTATION_CONTEXT_ITEM))
# Maximum length, implementation class and version, operations window, roles; what else is read has a room of its own.
_USER_ITEMS: Final = frozenset((0x51, 0x52, 0x53, 0x54, 0x55))
_OUR_ITEMS: Final = frozenset((identity.REQUEST_ITEM, extended.ITEM))
_MAX_CONTEXTS: Final = 128
_MIN_PDU_BYTES: Final = 7  # room for one byte of a command
_MALFORMED: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, struct.error)


_UserItem: TypeAlias = (
    MaximumLengthNotification
    | ImplementationClassUIDNotification
    | ImplementationVersionNameNotification
    | AsynchronousOperationsWindowNegotiation
    | SCP_SCU_RoleSelectionNegotiation
)


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context: its abstract syntax and the one transfer syntax agreed on."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """An A-ASSOCIATE-RQ as far as this node goes into it; `max_pdu_bytes` 0 means that the peer sets no limit."""

    reserved: bytes  # titles and what follows them, which the answer repeats as received (PS3.8 9.3.3)
    peer: Peer
    application_context: str
    contexts: tuple[PresentationContext, ...]
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    max_pdu_bytes: int = 0
    asynchronous: bool = False
    claim: identity.Claim | None = None
    extended: frozenset[str] = frozenset()


def quieten() -> None:
    """Keep pydicom and pynetdicom, for this process, from naming received values in warnings and logs."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def read(body: bytes, address: str, certificate: frozenset[str] = frozenset()) -> Request | Rejection:
    """Read an A-ASSOCIATE-RQ from behind its header; raises ProtocolError where it does not follow PS3.8 9.3.2.

    `certificate` is what the peer has proven over TLS.
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
    recognised, others = _recognised(body[items.FIXED_BYTES :])
    try:
        primitive = _decode(body[: items.FIXED_BYTES] + recognised)
        request = _request(primitive, body[4 : items.FIXED_BYTES], Peer(calling, called, address, certificate))
    except _MALFORMED:
        # Their texts quote what was sent, so they end here.
        raise ProtocolError(Reason.INVALID_PARAMETER, "an association request that is malformed") from None
    if isinstance(request, Rejection):
        return request
    claims = [identity.read(item) for kind, item in others if kind == identity.REQUEST_ITEM]
    if len(claims) > 1:
        raise ProtocolError(Reason.INVALID_PARAMETER, "more than one user identity")
    asked = frozenset(extended.read(item) for kind, item in others if kind == extended.ITEM)
    return replace(request, claim=claims[0] if claims else None, extended=asked)


def accept(
    request: Request, sop_classes: Collection[str], max_pdu_bytes: int, *, identified: bool = False
) -> tuple[bytes, dict[int, Context]]:
    """The A-ASSOCIATE-AC and the contexts it accepts, by id; `max_pdu_bytes` is the most this node takes.

    `identified` says that the request's user identity was checked, so that it is answered if an answer is wanted.
    """
    wanted = {str(context.abstract_syntax) for context in request.contexts} & {VERIFICATION, *sop_classes}
    results, roles = negotiate_as_acceptor(
        list(request.contexts), [_offer(uid) for uid in wanted], {UID(uid): both for uid, both in request.roles.items()}
    )
    primitive = A_ASSOCIATE()
    primitive.calling_ae_title = request.peer.calling
    primitive.called_ae_title = request.peer.called
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.result, primitive.result_source = 0, 1
    primitive.presentation_context_definition_results_list = results
    primitive.user_information = [*_user_information(max_pdu_bytes, asynchronous=request.asynchronous), *roles]
    encoded = A_ASSOCIATE_AC(primitive).encode()
    start = len(request.reserved)
    contexts = {
        int(context.context_id): Context(str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in results
        if context.result == 0 and context.context_id is not None
    }
    more = extended.answer(
        request.extended, {context.abstract_syntax for context in contexts.values()} - {VERIFICATION}
    )
    if identified and request.claim is not None and request.claim.wants_answer:
        more += identity.answer()
    return items.extend(encoded[:10] + request.reserved + encoded[10 + start :], more), contexts


def reject(rejection: Rejection) -> bytes:
    """The A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    row = rejection.value
    return struct.pack(">BBIBBBB", PDU.ASSOCIATE_RJ, 0, 4, 0, row.result, row.source, row.reason)


def release() -> bytes:
    """The A-RELEASE-RP (PS3.8 9.3.7)."""
    return struct.pack(">BBII", PDU.RELEASE_RP, 0, 4, 0)


def abort(reason: Reason | None) -> bytes:
    """The A-ABORT (PS3.8 9.3.8) of the service provider for `reason`, or of this node's own wish without one."""
    source, code = (0, 0) if reason is None else (2, reason)
    return struct.pack(">BBIBBBB", PDU.ABORT, 0, 4, 0, 0, source, code)


def _title(raw: bytes) -> str:
    """An AE title without its padding; empty when it is none (PS3.5 AE: printable ASCII, no backslash)."""
    text = raw.decode("latin-1")
    return text.strip(" ") if text.isascii() and text.isprintable() and "\\" not in text else ""


def _recognised(data: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The items that pynetdicom decodes, and the bodies of those that we do; others are passed over (PS3.8 9.3.1)."""
    kept = []
    others = []
    for kind, item in items.split(data):
        if kind in _ITEMS:
            kept.append(item)
        elif kind == items.USER_INFORMATION:
            subs = list(items.split(item[items.HEADER_BYTES :]))
            user = b"".join(sub for sub_kind, sub in subs if sub_kind in _USER_ITEMS)
            kept.append(items.item(kind, user))
            others += [(sub_kind, sub[items.HEADER_BYTES :]) for sub_kind, sub in subs if sub_kind in _OUR_ITEMS]
    return b"".join(kept), others


def _decode(body: bytes) -> A_ASSOCIATE:
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(items.pdu(PDU.ASSOCIATE_RQ, body))
    return pdu.to_primitive()


def _request(primitive: A_ASSOCIATE, reserved: bytes, peer: Peer) -> Request | Rejection:
    contexts = tuple(primitive.presentation_context_definition_list)
    if primitive.application_context_name != APPLICATION_CONTEXT:
        return Rejection.APPLICATION_CONTEXT
    if len({context.context_id for context in contexts}) != len(contexts) or not 0 < len(contexts) <= _MAX_CONTEXTS:
        raise ProtocolError(Reason.INVALID_PARAMETER, "presentation contexts without an id of their own")
    if not all(context.abstract_syntax and context.transfer_syntax for context in contexts):
        raise ProtocolError(Reason.INVALID_PARAMETER, "a presentation context without its syntaxes")
    size, asynchronous = 0, False
    roles: dict[str, tuple[bool, bool]] = {}
    for item in primitive.user_information:
        if isinstance(item, MaximumLengthNotification):
            size = item.maximum_length_received
        elif isinstance(item, AsynchronousOperationsWindowNegotiation):
            asynchronous = True
        elif isinstance(item, SCP_SCU_RoleSelectionNegotiation):
            roles[str(item.sop_class_uid)] = (bool(item.scu_role), bool(item.scp_role))
    if 0 < size < _MIN_PDU_BYTES:
        raise ProtocolError(Reason.INVALID_PARAMETER, "a maximum length that no message fits in")
    return Request(reserved, peer, APPLICATION_CONTEXT, contexts, roles, size, asynchronous)


def _offer(abstract_syntax: str) -> PresentationContext:
    """What this node accepts for one SOP class: the peer as SCU, never as SCP."""
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    context.transfer_syntax = [UID(uid) for uid in TRANSFER_SYNTAXES]
    context.scu_role, context.scp_role = True, False
    return context


def _user_information(max_pdu_bytes: int, *, asynchronous: bool) -> list[_UserItem]:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    if not asynchronous:
        return [length, implementation, version]
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 1
    return [length, implementation, version, window]
