"""The audit behind `cloakroom verify`: what the index says is held against what stands on the disks, file by file."""

from scp.verify.audit import Audit, Progress
from scp.verify.finding import Finding, Kind, Report

__all__ = ["Audit", "Finding", "Kind", "Progress", "Report"]
