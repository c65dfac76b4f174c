"""Retention: what has been kept as long as the configuration says is taken away, and nothing else."""

from scp.retention.daily import Daily
from scp.retention.due import Due, due
from scp.retention.retention import Done, Retention

__all__ = ["Daily", "Done", "Due", "Retention", "due"]
