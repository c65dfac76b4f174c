"""One association from its first byte to its last (PS3.8 9.2's state machine, acceptor's side, as one thread)."""

import ssl
import time
from typing import TYPE_CHECKING, Final, Protocol

from scp import log
from scp.outcome import Failure, Outcome, Rejection
from scp.receive import commands, messages, negotiation, storage, tls
from scp.receive.budget import Budget
from scp.receive.commands import Command, Field
from scp.receive.messages import Finished, Messages
from scp.receive.patience import Patience
from scp.receive.wire import GRACE_SECONDS, PDU, Overdue, ProtocolError, Reason, Wire

if TYPE_CHECKING:
    from scp.receive.answers import Answer
    from scp.receive.door import FrontDoor
    from scp.receive.negotiation import Context, Request

SUCCESS: Final = 0x0000

_logger = log.get("receive")


class Host(Protocol):
    """The worker as its associations see it."""

    budget: Budget
    patience: Patience

    def is_leaving(self) -> bool:
        """Whether no association may begin any more."""

    def associate(self, title: str) -> str:
        """Count an association of a calling AE title as begun, or say which limit forbids it."""

    def leave(self) -> None:
        """Let the worker go, because its disk is not to be trusted."""


class Association:
    """One thread serves one; `result` is what became of it, as the metric names it."""

    def __init__(
        self, wire: Wire, address: str, door: "FrontDoor", host: Host, context: ssl.SSLContext | None = None
    ) -> None:
        self._wire = wire
        self._context = context
        self._share = host.budget.share()
        self._address = address
        self._door = door
        self._host = host
        self._accepted: Request | None = None
        self._contexts: dict[int, Context] = {}
        self._served = 0
        self._why = "a defect of this node"
        self.result = "failed"

    def serve(self) -> None:
        """Serve it to its end; whatever the peer does ends here, and the connection is closed."""
        try:
            self._converse()
        except ProtocolError as error:
            self._count(error.limit)
            self._abort(error.reason, error.why)
        except Overdue as late:
            self._overdue(late)
        except OSError:
            self._end("failed", "connection lost")
        except MemoryError:
            self._abort(None, "no memory for what was sent")
        finally:
            self._share.release()
            self._tell()
            self._wire.close()

    def _converse(self) -> None:
        request = self._establish() if self._context is None or self._secure(self._context) else None
        if request is None:
            return
        stream = Messages(self._wire, self._door.limits, self._contexts, self._share)
        try:
            while True:
                context_id, command = stream.command()
                self._perform(request, stream, context_id, command)
                self._served += 1
        except Finished as end:
            if end.kind is PDU.RELEASE_RQ:
                self._wire.send(negotiation.release())
                self._end("released")
            else:
                self._end("aborted", "by the peer")

    def _secure(self, context: ssl.SSLContext) -> bool:
        """The TLS handshake; its failure is told in OpenSSL's own words, which hold nothing of the peer's."""
        ended = "failed"
        try:
            self._wire.secure(context)
            ended = "done"
        except ssl.SSLError as error:
            _logger.warning("tls_handshake_failed", address=self._address, reason=error.reason)
            self._end("failed", "no TLS session")
        finally:
            self._door.metrics.tls_handshakes.labels(ended).inc()
        return ended == "done"

    def _establish(self) -> "Request | None":
        """Answer the A-ASSOCIATE-RQ; None where nothing follows."""
        artim = time.monotonic() + self._door.limits.artim_seconds
        caps: dict[int, int] = {PDU.ASSOCIATE_RQ: negotiation.MAX_REQUEST_BYTES, PDU.ABORT: 4}
        kind, body = self._wire.read_pdu(caps, idle=artim, until=artim, grace=GRACE_SECONDS)
        if kind == PDU.ABORT:
            self._end("aborted", "by the peer")
            return None
        with self._host.patience.reading(len(body), artim):
            read = self._door.answers.read(bytes(body), self._address, tls.proven(self._wire.session))
        request = self._admit(read)
        if isinstance(request, Rejection):
            self._reject(request)
            return None
        return self._accept(request)

    def _admit(self, request: "Request | Rejection") -> "Request | Rejection":
        """The request, or why there is no association for it; who is not known may not learn how busy the node is."""
        if isinstance(request, Rejection):
            return request
        if self._host.is_leaving():
            return Rejection.DRAINING
        users = self._door.users
        rejection = self._door.admit(request.peer) or (users.check(request.claim) if users else None)
        if rejection is None and (limit := self._host.associate(request.peer.calling)):
            self._count(limit)
            return Rejection.CONGESTED
        return rejection or request

    def _reject(self, rejection: Rejection) -> None:
        self._wire.send(negotiation.reject(rejection))
        self.result = "rejected"
        self._door.metrics.associations.labels("rejected").inc()
        _logger.warning("association_rejected", address=self._address, rejection=rejection.label)

    def _accept(self, request: "Request") -> "Request":
        answer, self._contexts = self._door.answers.accept(request, self._answer)
        self._wire.send(answer)
        self._accepted = request
        self._door.metrics.associations.labels("accepted").inc()
        _logger.info("association_accepted", address=self._address, count=len(self._contexts))
        return request

    def _answer(self, request: "Request") -> "Answer":
        return negotiation.accept(
            request,
            self._door.sop_classes,
            self._door.limits.max_pdu_bytes,
            identified=self._door.users is not None,
            transfer_syntaxes=self._door.transfer_syntaxes,
        )

    def _perform(self, request: "Request", stream: Messages, context_id: int, command: Command) -> None:
        """Carry out one request and answer it."""
        dimse = self._door.metrics.dimse
        if command.field is Field.C_STORE_RQ:
            dimse.labels("c_store").inc()
            self._store(request, stream, context_id, command)
            return
        dimse.labels("c_echo" if command.field is Field.C_ECHO_RQ else "other").inc()
        if command.has_data_set:
            stream.pass_over(context_id)
        if command.field is Field.C_CANCEL_RQ:
            return  # nothing here takes long enough to be cancelled
        status = SUCCESS if command.field is Field.C_ECHO_RQ else commands.UNRECOGNIZED_OPERATION
        self._respond(request, context_id, command, status)

    def _store(self, request: "Request", stream: Messages, context_id: int, command: Command) -> None:
        step = self._door.metrics.step_seconds
        outcome = self._take(request, stream, context_id, command)
        self._share.release()
        start = time.perf_counter()
        try:
            self._respond(request, context_id, command, outcome.status)
        finally:
            if outcome is Outcome.STORAGE_FAULT:
                self._host.leave()
        step.labels("respond").observe(time.perf_counter() - start)

    def _take(self, request: "Request", stream: Messages, context_id: int, command: Command) -> Outcome:
        """Receive an instance and hand it in; what it took of memory is free on return."""
        metrics = self._door.metrics
        if command.has_data_set and (why := self._door.closed()):
            stream.pass_over(context_id)
            return self._refused(Failure(Outcome.OUT_OF_RESOURCES, why))
        start = time.perf_counter()
        try:
            arrival = storage.receive(stream, context_id, self._contexts[context_id], command, request.peer)
        except Failure as failure:
            self._count("max_bytes_in_flight")
            return self._refused(failure)
        metrics.step_seconds.labels("receive").observe(time.perf_counter() - start)
        metrics.received_bytes.inc(len(arrival.data))
        outcome = storage.take(self._door, arrival)
        if self._share.refused:
            self._count("max_bytes_in_flight")
        return outcome

    def _refused(self, failure: Failure) -> Outcome:
        """An instance that did not get as far as the walk."""
        self._door.metrics.instances.labels(failure.outcome.label).inc()
        _logger.warning("refused", outcome=failure.outcome.label, why=failure.why)
        return failure.outcome

    def _respond(self, request: "Request", context_id: int, command: Command, status: int) -> None:
        answer = commands.respond(command, status)
        self._wire.send(messages.encode(context_id, answer, request.max_pdu_bytes))

    def _overdue(self, late: Overdue) -> None:
        if self._host.is_leaving():
            self._abort(None, "the node is being shut down")
            return
        self._count(late.limit or "artim_seconds")
        if self._accepted is not None:
            self._abort(Reason.NOT_SPECIFIED, "a deadline has passed")
        else:
            self._end("failed", "no association within the deadline")  # ARTIM: closed without a word, AA-2

    def _count(self, limit: str) -> None:
        if limit:
            self._door.metrics.limits.labels(limit).inc()

    def _abort(self, reason: Reason | None, why: str) -> None:
        """Before there is an association the service user aborts (AA-1), then the service provider (AA-8)."""
        self._end("aborted", why)
        if self._accepted is None:
            reason = None
        try:
            self._wire.send(negotiation.abort(reason))
        except OSError:
            return  # gone already, which is what an abort is for

    def _end(self, result: str, why: str = "") -> None:
        self.result, self._why = result, why

    def _tell(self) -> None:
        if self.result == "rejected":
            return  # said already, with its reason
        if self._accepted is not None:
            self._door.metrics.associations.labels(self.result).inc()
        level = "warning"
        if self.result == "released":
            level = "info"
        elif self.result == "failed" and self._accepted is None:
            level = "debug"  # a load balancer's probe connects and leaves every few seconds
        tell = getattr(_logger, level)
        tell("association_ended", address=self._address, result=self.result, why=self._why, messages=self._served)
