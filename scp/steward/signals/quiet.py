"""Nothing came for as long as the configuration says of whoever sent it."""

from scp.config import Config
from scp.db.index import Quiet


def quiet(entry: Quiet, now: float, config: Config) -> bool:
    """Whether the last arrival is long enough ago; of several senders the most patient one's time counts."""
    return entry.last_arrival <= now - config.quiet_seconds(entry.calling)
