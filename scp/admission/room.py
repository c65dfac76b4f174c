"""Only what the disks have room for, so that they never run full in the middle of a write."""

from scp.admission.given import Admission, Rule
from scp.instance import Instance
from scp.outcome import Failure, Outcome


def room(admission: Admission) -> Rule:
    """Fails with OUT_OF_RESOURCES when storing the instance would leave less than `min_free_bytes` on any disk."""
    least = admission.config.min_free_bytes

    def rule(instance: Instance) -> None:
        try:
            free = min(admission.free_bytes().values())
        except OSError:
            raise Failure(Outcome.OUT_OF_RESOURCES, "a disk does not say how much room it has") from None
        if free - instance.size < least:
            raise Failure(Outcome.OUT_OF_RESOURCES, "the disk is filled up to min_free_bytes")

    return rule
