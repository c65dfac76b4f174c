"""C-STORE (PS3.7 9.1.1, PS3.4 Annex B): a command and its data set become an Arrival, handed in once."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from scp import log
from scp.instance import Arrival, Broken, Peer, Rest
from scp.outcome import Outcome
from scp.receive.commands import Command
from scp.receive.messages import Finished
from scp.receive.wire import ProtocolError, Reason

if TYPE_CHECKING:
    from scp.receive.door import FrontDoor
    from scp.receive.messages import Messages
    from scp.receive.negotiation import Context

_logger = log.get("receive")


def receive(messages: "Messages", context_id: int, context: "Context", command: Command, peer: Peer) -> Arrival:
    """Read the data set that follows a C-STORE-RQ; raises ProtocolError when the command announces none."""
    if not command.has_data_set:
        raise ProtocolError(Reason.INVALID_PARAMETER, "a C-STORE without a data set")
    data, rest = messages.data_set(context_id)
    return Arrival(
        peer=peer,
        sop_class_uid=command.sop_class_uid.decode("latin-1"),
        sop_instance_uid=command.sop_instance_uid.decode("latin-1"),
        context_class=context.abstract_syntax,
        transfer_syntax=context.transfer_syntax,
        data=data,
        rest=None if rest is None else Rest(_pulled(rest), messages.holds),
    )


def take(door: "FrontDoor", arrival: Arrival) -> Outcome:
    """Hand an instance in; a defect of the node itself is answered as FAILED and told by its type and place only.

    What the house did not want of a large one is pulled from the wire all the same. Where the association ends within
    it, the wire's own error is raised: there is nobody to be answered.
    """
    start = time.perf_counter()
    try:
        try:
            outcome = door.take(arrival)
        finally:
            _pass_over(door, arrival)
    except Broken as broken:
        raise broken.error from None
    except Exception as error:  # the one such place of the package: a sender always gets an answer
        _logger.error("take_failed", seconds=time.perf_counter() - start, exc_info=error)
        door.metrics.instances.labels(Outcome.FAILED.label).inc()
        return Outcome.FAILED
    return outcome


def _pulled(pieces: Iterator[memoryview]) -> Iterator[memoryview]:
    """The end of the association as the house is to see it: an error of the wire is none of a disk."""
    try:
        yield from pieces
    except (ProtocolError, Finished, OSError) as error:
        raise Broken(error) from None


def _pass_over(door: "FrontDoor", arrival: Arrival) -> None:
    """Pull what is left of a large one; while it comes, nobody wants what was kept of it in memory any more."""
    rest = arrival.rest
    if rest is None:
        return
    try:
        for _ in rest:
            if isinstance(arrival.data, bytearray):
                with suppress(BufferError):  # a defect's traceback looks at it
                    arrival.data.clear()
    finally:
        door.metrics.received_bytes.inc(rest.size)
