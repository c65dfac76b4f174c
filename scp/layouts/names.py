"""What a published file is called: unique in a data set of any size, in order inside its series, and nobody's name."""

import hashlib
import re

from scp.instance import DeidentifiedInstance

_VISIT = re.compile(r"[1-9][0-9]{1,14}")


def file_name(instance: DeidentifiedInstance) -> str:
    """`<scan_research_id>_<series>_<instance>_<8 hex>.dcm`: digits, a to f and _ only; the hex is of SHA-256(UID).

    Series have 4 and instances 5 digits, so that names sort as the numbers do up to 9999 and 99999; larger numbers
    are written in full and negative ones as 0. Raises ValueError for a scan_research_id that is no visit number.
    """
    series, number = max(0, instance.series_number), max(0, instance.instance_number)
    return f"{visit(instance.scan_research_id)}_{series:04d}_{number:05d}_{unique(instance.sop_instance_uid)}.dcm"


def unique(sop_instance_uid: str) -> str:
    """What of a file's name tells its instance apart: 8 hexadecimal digits."""
    return hashlib.sha256(sop_instance_uid.encode("ascii")).hexdigest()[:8]


def visit(scan_research_id: str) -> str:
    """The visit number as it stands in names and folders: 2 to 15 digits, the first not 0; else ValueError."""
    if not _VISIT.fullmatch(scan_research_id):
        raise ValueError("a scan_research_id is 2 to 15 digits, the first not 0")
    return scan_research_id
