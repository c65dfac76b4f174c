"""Only patients who consented, as far as the site's way of knowing goes; a new way is one function and one line."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scp.admission.given import Admission, Rule
from scp.config import ConfigError
from scp.instance import Instance


def assumed(admission: Admission) -> Rule:  # noqa: ARG001  asked like every other way
    """The peers push only patients who consented: the hospital selects them before they reach this node."""

    def rule(instance: Instance) -> None:
        """Nothing to ask."""

    return rule


CONSENT: Mapping[str, Callable[[Admission], Rule]] = MappingProxyType({"assumed": assumed})


def consent(admission: Admission) -> Rule:
    """The rule that `consent` names; ConfigError when there is none of that name."""
    make = CONSENT.get(admission.config.consent)
    if make is None:
        raise ConfigError(f"consent: {admission.config.consent!r} is none of {', '.join(CONSENT)}")
    return make(admission)
