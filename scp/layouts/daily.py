"""DICOM/20261121/<visit>: a folder a day, as the MIP had it before June 2017."""

from datetime import date
from pathlib import PurePosixPath

from scp.layouts.names import visit


def daily(scan_research_id: str, published: date) -> PurePosixPath:
    """Folder of a visit relative to the export root; ValueError for what is no visit number."""
    return PurePosixPath("DICOM", f"{published:%Y%m%d}", visit(scan_research_id))
