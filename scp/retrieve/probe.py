"""Asks a Storage SCP whether it would take a push, and leaves nothing behind (PS3.4 Annex A and B)."""

from io import BytesIO
from typing import NamedTuple

from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from scp.retrieve.rejection import Rejections

VERIFICATION = "1.2.840.10008.1.1"
SECONDS = 10.0
FRAGMENT = 4096  # no peer takes less, and a phantom has several


class ProbeError(RuntimeError):
    """The peer did not do what was expected of it; says what it did."""


class Peer(NamedTuple):
    """Who is asked, and under which title."""

    host: str
    port: int
    called: str
    calling: str


def rejects(peer: Peer) -> bool:
    """Whether the peer rejects the association; raises ProbeError where nobody answers."""
    association, rejected = _associate(peer, VERIFICATION, "1.2.840.10008.1.2")
    if association.is_established:
        association.release()
    elif not rejected:
        raise ProbeError(f"{peer.called} at {peer.host}:{peer.port} does not answer")
    return rejected


def echo(peer: Peer) -> None:
    """C-ECHO; raises ProbeError unless it is answered 0x0000."""
    association = _established(peer, VERIFICATION, "1.2.840.10008.1.2")
    status = association.send_c_echo()
    association.release()
    if status.get("Status") != 0:
        raise ProbeError(f"{peer.called} at {peer.host}:{peer.port} does not answer C-ECHO with 0x0000")


def begin_store(peer: Peer, instance: Dataset) -> None:
    """Send all of a C-STORE but its last fragment and abort: what is not whole, a receiver keeps nowhere.

    Shows that the class is accepted under these titles and that its bytes are taken. `instance` needs `file_meta` and
    more bytes than one fragment has. Raises ProbeError.
    """
    syntax = instance.file_meta.TransferSyntaxUID
    association = _established(peer, instance.SOPClassUID, syntax)
    context = association.accepted_contexts[0].context_id or 1
    data = encode(instance, syntax.is_implicit_VR, syntax.is_little_endian) or b""
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = instance.SOPClassUID
    request.AffectedSOPInstanceUID = instance.SOPInstanceUID
    request.Priority = 2
    request.DataSet = BytesIO(data)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    for fragment in list(message.encode_msg(context, FRAGMENT))[:-1]:
        association.dul.send_pdu(fragment)
    if not association.is_established:
        raise ProbeError(f"{peer.called} at {peer.host}:{peer.port} ended the association in the middle of a C-STORE")
    association.abort()


def _established(peer: Peer, sop_class: str, syntax: str) -> Association:
    association, rejected = _associate(peer, sop_class, syntax)
    if not association.is_established:
        did = "rejects the association" if rejected else "does not answer, or accepts nothing of it"
        raise ProbeError(f"{peer.called} at {peer.host}:{peer.port} {did}")
    return association


def _associate(peer: Peer, sop_class: str, syntax: str) -> tuple[Association, bool]:
    """The association, and whether the peer rejected it; raises ProbeError where nobody can be asked."""
    rejections = Rejections()
    try:
        entity = AE(ae_title=peer.calling)
        entity.requested_contexts = [build_context(sop_class, syntax)]
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = SECONDS
        association = entity.associate(peer.host, peer.port, ae_title=peer.called, evt_handlers=[rejections.handler])
    except OSError as error:
        raise ProbeError(f"{peer.host} is no address: {error.strerror}") from None
    except ValueError:
        raise ProbeError(f"{peer.calling} or {peer.called} is no AE title (1-16 ASCII characters)") from None
    return association, bool(rejections)
