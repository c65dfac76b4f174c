"""DICOM/<visit>: every visit beside the others, for consumers that scan one folder."""

from datetime import date
from pathlib import PurePosixPath

from scp.layouts.names import visit


def flat(scan_research_id: str, published: date) -> PurePosixPath:  # noqa: ARG001  the same question to every layout
    """Folder of a visit relative to the export root; ValueError for what is no visit number."""
    return PurePosixPath("DICOM", visit(scan_research_id))
