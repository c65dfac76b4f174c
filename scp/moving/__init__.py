"""Visits merged and split before they are published, by an operator's word; what was begun ends, whatever is killed."""

from scp.moving.moving import Moving
from scp.moving.renumber import Study

__all__ = ["Moving", "Study"]
