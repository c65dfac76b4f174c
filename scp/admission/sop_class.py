"""Only instances of the SOP classes the site wants."""

from scp.admission.given import Admission, Rule
from scp.instance import Instance
from scp.outcome import Failure, Outcome


def sop_class(admission: Admission) -> Rule:
    """Fails with SOP_CLASS_REFUSED; without `sop_classes` the front door's storage classes are all accepted."""
    accepted = frozenset(admission.config.sop_classes)

    def rule(instance: Instance) -> None:
        if accepted and instance.arrival.sop_class_uid not in accepted:
            raise Failure(Outcome.SOP_CLASS_REFUSED, "the SOP class is not among those configured")

    return rule
