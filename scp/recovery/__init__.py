"""Recovery: before anybody is served, a start puts right whatever the last end left half done, and deletes nothing."""

from scp.recovery.recovery import Recovered, Recovery

__all__ = ["Recovered", "Recovery"]
