"""No pixels that show who the patient is."""

from scp.admission.given import Admission, Rule
from scp.instance import Instance
from scp.outcome import Failure, Outcome

_BURNED_IN_ANNOTATION = 0x00280301  # PS3.3 C.7.6.1.1: YES or NO


def burned_in(admission: Admission) -> Rule:  # noqa: ARG001  asked like every other rule
    """Fails with BURNED_IN where BurnedInAnnotation says YES; what says NO or nothing is taken at its word."""

    def rule(instance: Instance) -> None:
        if instance.dataset.text(_BURNED_IN_ANNOTATION).strip().upper() == "YES":
            raise Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")

    return rule
