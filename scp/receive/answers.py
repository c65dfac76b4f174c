"""What is read of a request to associate and answered to it, kept for when the same one comes again byte for byte.

A peer that opens an association for each study, or each instance, sends the same request every time. Who may come in is
asked every time all the same; nothing of that is kept, and no request with a user identity.
"""

from collections.abc import Callable
from typing import Final

from scp.outcome import Rejection
from scp.receive import negotiation
from scp.receive.negotiation import Context, Request

KEPT: Final = 64  # requests; behind that many all are forgotten, so that strangers can fill nothing
LONGEST: Final = 4096  # bytes of a request that is kept

Answer = tuple[bytes, dict[int, Context]]
"""The A-ASSOCIATE-AC and the contexts it accepts, by id; not to be changed."""


class Answers:
    """Of one front door, whose settings are a part of every answer; shared by all threads of a worker."""

    def __init__(self) -> None:
        self._requests: dict[tuple[bytes, str, frozenset[str]], Request] = {}
        self._answers: dict[int, tuple[Request, Answer | None]] = {}  # by the request's id, which it keeps alive

    def read(self, body: bytes, address: str, certificate: frozenset[str]) -> Request | Rejection:
        """As `negotiation.read`."""
        key = body, address, certificate
        known = self._requests.get(key)
        if known is not None:
            return known
        request = negotiation.read(body, address, certificate)
        if isinstance(request, Request) and request.claim is None and len(body) <= LONGEST:
            if len(self._answers) >= KEPT:
                self._requests.clear()
                self._answers.clear()
            self._requests[key] = request
            self._answers[id(request)] = request, None
        return request

    def accept(self, request: Request, make: Callable[[Request], Answer]) -> Answer:
        """What `make` answers to the request, or has answered to this very one before."""
        known = self._answers.get(id(request))
        if known is None or known[0] is not request:
            return make(request)
        answer = known[1] or make(request)
        self._answers[id(request)] = request, answer
        return answer
