"""What says that a visit is complete; each is asked, and all have to agree. A new one is one file and one line here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scp.config import Config
from scp.db.index import Quiet
from scp.steward.signals.quiet import quiet

Signal = Callable[[Quiet, float, Config], bool]
"""A delivery as the index has it, now (s since the epoch), the configuration: whether it may be complete."""

SIGNALS: Mapping[str, Signal] = MappingProxyType({"quiet": quiet})
