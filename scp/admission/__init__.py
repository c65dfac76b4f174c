"""Who and what may come in: peers when they associate, instances before they are de-identified.

A new rule for instances is one file and one line in RULES; they are asked in this order and the first that raises
decides.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scp.admission.consent import CONSENT, consent
from scp.admission.given import Admission, Rule
from scp.admission.peers import admit
from scp.admission.room import room
from scp.admission.sop_class import sop_class

__all__ = ["CONSENT", "RULES", "Admission", "Rule", "admit"]

RULES: Mapping[str, Callable[[Admission], Rule]] = MappingProxyType(
    {
        "sop_class": sop_class,
        "room": room,
        "consent": consent,
    }
)
