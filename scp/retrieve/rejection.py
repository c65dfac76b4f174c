"""What a peer that rejects an association says, heard from its PDU.

pynetdicom's user looks for the connection after its reactor may have read a quick rejection and closed it, and then
counts the association as aborted.
"""

from collections.abc import Callable

from pynetdicom import evt
from pynetdicom.events import Event, NotificationEvent
from pynetdicom.pdu import A_ASSOCIATE_RJ

Handler = tuple[NotificationEvent, Callable[[Event], None]]


class Rejections(list[A_ASSOCIATE_RJ]):
    """Every A-ASSOCIATE-RJ (PS3.8 9.3.4) of the associations whose `AE.associate` was given the handler."""

    @property
    def handler(self) -> Handler:
        """For `evt_handlers`; when `AE.associate` returns, a rejection has been heard."""
        return evt.EVT_PDU_RECV, self._heard

    def _heard(self, event: Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self.append(event.pdu)
