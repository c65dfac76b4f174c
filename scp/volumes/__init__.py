"""Volumes as input: NIfTI with its sidecar, de-identified and placed in the tree `NIFTI/`."""

from scp.volumes.volume import BESIDE, File, Volume, stem
from scp.volumes.walk import Walk

__all__ = ["BESIDE", "File", "Volume", "Walk", "stem"]
