"""Volumes as input: NIfTI with its sidecar, de-identified and placed in the tree `NIFTI/`."""

from scp.volumes.volume import BESIDE, PIECE, File, Volume, stem, upto
from scp.volumes.walk import Walk

__all__ = ["BESIDE", "PIECE", "File", "Volume", "Walk", "stem", "upto"]
