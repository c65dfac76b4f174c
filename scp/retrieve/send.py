"""Sends instances to a Storage SCP as a modality would (C-STORE, PS3.4 Annex B)."""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext, build_context

from scp.retrieve.rejection import Rejections

_CONTEXTS = 128  # PS3.8 7.1.1.13: the odd numbers from 1 to 255


class SendError(RuntimeError):
    """No association, or it ended before every instance was answered; says how many were."""


def send(  # noqa: PLR0913  host, port and two titles are what DICOM needs
    instances: Sequence[Dataset | Path],
    *,
    host: str,
    port: int,
    called: str,
    calling: str,
    progress: Callable[[int, int], None] | None = None,
    attempts: int = 1,
) -> list[int]:
    """Send the instances on one association and return their DIMSE statuses in order.

    `progress` hears how many of how many are answered. Data sets need `file_meta` with their transfer syntax. Raises
    SendError without an association or when it breaks, ValueError for more than 128 kinds of instance. With more
    `attempts`, what was not answered is sent again on a new association: pynetdicom loses an answer now and then,
    when its own reactor takes it off the queue.
    """
    entity = AE(ae_title=calling)
    entity.requested_contexts = contexts(instances)
    statuses: list[int] = []
    for left in reversed(range(attempts)):
        try:
            _send(entity, (host, port, called), instances, statuses, progress)
            break
        except SendError:
            if not left:
                raise
    return statuses


def _send(
    entity: AE,
    peer: tuple[str, int, str],
    instances: Sequence[Dataset | Path],
    statuses: list[int],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Send what has no status yet, and append each that comes."""
    host, port, called = peer
    connected: list[socket.socket] = []
    rejections = Rejections()
    opened = (evt.EVT_CONN_OPEN, _opened, [connected])
    association = entity.associate(host, port, ae_title=called, evt_handlers=[opened, rejections.handler])
    try:
        if not association.is_established:
            did = f"{'rejected' if rejections else 'aborted'} the association" if connected else "cannot be reached"
            raise SendError(f"{called} at {host}:{port} {did}")
        for status in _statuses(association, instances, len(statuses)):
            statuses.append(status)
            if progress is not None:
                progress(len(statuses), len(instances))
    finally:
        if association.is_established:
            association.release()
        _close(association, connected)


def contexts(instances: Sequence[Dataset | Path]) -> list[PresentationContext]:
    """One presentation context for each pair of SOP class and transfer syntax that is sent (PS3.7 D.3.2)."""
    pairs = {_pair(instance): None for instance in instances}
    if len(pairs) > _CONTEXTS:
        raise ValueError(f"{len(pairs)} pairs of SOP class and transfer syntax do not fit one association")
    return [build_context(sop_class, syntax) for sop_class, syntax in pairs]


def _pair(instance: Dataset | Path) -> tuple[str, str]:
    if isinstance(instance, Path):
        meta = pydicom.filereader.read_file_meta_info(instance)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    return str(instance.SOPClassUID), str(instance.file_meta.TransferSyntaxUID)


def _statuses(association: Association, instances: Sequence[Dataset | Path], done: int) -> Iterator[int]:
    for count, instance in enumerate(instances[done:], done):
        dataset = pydicom.dcmread(instance) if isinstance(instance, Path) else instance
        try:
            response = association.send_c_store(dataset)
        except ValueError:
            raise SendError(f"no presentation context accepted for instance {count + 1} of {len(instances)}") from None
        if "Status" not in response:
            raise SendError(f"the association ended after {count} of {len(instances)} instances")
        yield int(response.Status)


def _close(association: Association, connected: list[socket.socket]) -> None:
    """Where the peer went first, or was never there, pynetdicom leaves the socket to the garbage collector."""
    transport = association.dul.socket
    if transport is not None and transport.socket is not None:
        connected.append(transport.socket)
    for sock in connected:
        sock.close()


def _opened(event: Event, connected: list[socket.socket]) -> None:
    """Nagle's algorithm would wait for an acknowledgement between the command and its data set."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        connected.append(transport.socket)
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
