"""Every slice has what the Data Factory cannot do without."""

from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said, names

MANDATORY = (
    "PatientID", "StudyID", "SeriesDescription", "SeriesNumber", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "SliceLocation", "SamplesPerPixel", "Rows", "Columns", "PixelSpacing", "BitsAllocated",
    "BitsStored", "HighBit",
)  # fmt: skip
EITHER = (("AcquisitionDate", "SeriesDate"), ("PatientAge", "PatientBirthDate"))


def mandatory(visit: Candidate) -> Iterator[Said]:
    """One sentence for each attribute that is missing or empty, with the files that lack it."""
    for choice in (*((keyword,) for keyword in MANDATORY), *EITHER):
        without = [header for header in visit.headers if not any(header.values.get(keyword) for keyword in choice)]
        if without:
            yield Said(f"{' or '.join(choice)} is missing in {len(without)} of {len(visit.headers)}", names(without))
