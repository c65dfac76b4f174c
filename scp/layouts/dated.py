"""DICOM/2026/20261121/<visit>: a folder a year and one a day; what the MIP's scanner of daily folders reads."""

from datetime import date
from pathlib import PurePosixPath

from scp.layouts.names import visit


def dated(scan_research_id: str, published: date) -> PurePosixPath:
    """Folder of a visit relative to the export root; ValueError for what is no visit number."""
    return PurePosixPath("DICOM", f"{published:%Y}", f"{published:%Y%m%d}", visit(scan_research_id))
