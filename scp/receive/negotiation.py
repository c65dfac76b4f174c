"""A-ASSOCIATE (PS3.8 9.3.2 to 9.3.4, PS3.7 Annex D): the answer to what a stranger asks."""

import logging
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pydicom.config
from pynetdicom.sop_class import _STORAGE_CLASSES

from scp import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from scp.outcome import Rejection
from scp.receive import extended, identity, items, request
from scp.receive.request import APPLICATION_CONTEXT, Proposal, Request, read
from scp.receive.wire import PDU, Reason

__all__ = ["APPLICATION_CONTEXT", "Context", "Request", "abort", "accept", "read", "reject", "release"]

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

_PREFERENCE: Final = {uid: rank for rank, uid in enumerate(TRANSFER_SYNTAXES)}
_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
_ACCEPTED, _USER_REJECTION, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = 0, 1, 3, 4  # PS3.8 Table 9-18
_PRESENTATION_CONTEXT: Final = 0x21
_VERSION: Final = b"\x00\x01\x00\x00"
_SHORT: Final = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context: its abstract syntax and the one transfer syntax agreed on."""

    abstract_syntax: str
    transfer_syntax: str


def quieten() -> None:
    """Keep pydicom and pynetdicom, for this process, from naming received values in warnings and logs."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def accept(
    asked: Request,
    sop_classes: Collection[str],
    max_pdu_bytes: int,
    *,
    identified: bool = False,
    transfer_syntaxes: Sequence[str] = (),
) -> tuple[bytes, dict[int, Context]]:
    """The A-ASSOCIATE-AC and the contexts it accepts, by id; `max_pdu_bytes` is the most this node takes.

    `identified` says that the request's user identity was checked, so that it is answered if an answer is wanted. What
    is chosen of the proposed transfer syntaxes is the first of `transfer_syntaxes`, by default of TRANSFER_SYNTAXES.
    """
    results = [items.item(request.APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode())]
    contexts: dict[int, Context] = {}
    preferred = {uid: rank for rank, uid in enumerate(transfer_syntaxes)} or _PREFERENCE
    for proposal in sorted(asked.contexts):
        result, syntax = _result(proposal, asked, sop_classes, preferred)
        if result == _ACCEPTED:
            contexts[proposal.context_id] = Context(proposal.abstract_syntax, syntax)
        name = items.item(request.TRANSFER_SYNTAX, syntax.encode())
        results.append(items.item(_PRESENTATION_CONTEXT, bytes((proposal.context_id, 0, result, 0)) + name))
    accepted = {context.abstract_syntax for context in contexts.values()}
    user = _user_information(max_pdu_bytes, asynchronous=asked.asynchronous)
    user += _roles(asked.roles, accepted) + extended.answer(asked.extended, accepted - {VERIFICATION})
    if identified and asked.claim is not None and asked.claim.wants_answer:
        user += identity.answer()
    body = b"".join((_VERSION, asked.reserved, *results, items.item(items.USER_INFORMATION, user)))
    return items.pdu(PDU.ASSOCIATE_AC, body), contexts


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


def _result(
    proposal: Proposal, asked: Request, sop_classes: Collection[str], preferred: Mapping[str, int]
) -> tuple[int, str]:
    """What becomes of a proposed context, and its transfer syntax: the one that is `preferred`.

    What a site takes of images says nothing of Verification, whose command has no data set.
    Where it is not accepted, the answer has one that is not to be tested (PS3.8 9.3.3.2): nothing a stranger sent.
    """
    uid = proposal.abstract_syntax
    if uid != VERIFICATION and uid not in sop_classes:
        return _NO_ABSTRACT_SYNTAX, _IMPLICIT_VR_LITTLE_ENDIAN
    if uid == VERIFICATION:
        preferred = _PREFERENCE
    known = [syntax for syntax in proposal.transfer_syntaxes if syntax in preferred]
    if not known:
        return _NO_TRANSFER_SYNTAX, _IMPLICIT_VR_LITTLE_ENDIAN
    as_scu, _ = asked.roles.get(uid, (True, False))
    if not as_scu:  # it would be the SCP only, and this node is never the SCU here (PS3.7 D.3.3.4)
        return _USER_REJECTION, _IMPLICIT_VR_LITTLE_ENDIAN
    return _ACCEPTED, min(known, key=preferred.__getitem__)


def _user_information(max_pdu_bytes: int, *, asynchronous: bool) -> bytes:
    window = items.item(request.OPERATIONS_WINDOW, struct.pack(">HH", 1, 1)) if asynchronous else b""
    return b"".join(
        (
            items.item(request.MAXIMUM_LENGTH, struct.pack(">I", max_pdu_bytes)),
            items.item(request.IMPLEMENTATION_CLASS, IMPLEMENTATION_CLASS_UID.encode()),
            window,
            items.item(request.IMPLEMENTATION_VERSION, IMPLEMENTATION_VERSION_NAME.encode()),
        )
    )


def _roles(asked: Iterable[str], accepted: Collection[str]) -> bytes:
    """For each class that was asked about: the requestor as SCU, never as SCP."""
    return b"".join(
        items.item(request.ROLE, _SHORT.pack(len(uid)) + uid.encode() + b"\1\0")
        for uid in sorted(set(asked) & set(accepted))
    )
