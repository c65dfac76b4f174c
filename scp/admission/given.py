"""What the rules are made of: settings, and questions whose answers other rooms know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scp.config import Config
from scp.instance import Instance

Rule = Callable[[Instance], None]
"""Lets an instance pass by returning; else raises Failure."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Handed to each rule's maker; `free_bytes` says what is left on each of the node's disks (OSError: no answer)."""

    config: Config
    free_bytes: Callable[[], Mapping[str, int]]
