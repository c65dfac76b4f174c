"""What the gates said of a delivery, kept as JSON beside the index for whoever decides about it."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scp.db.index import Delivery
from scp.steward.gates import Candidate, Finding, Verdict
from scp.store.files import answerable, make_folder, sync_folder

VERSION = 1


@dataclass(frozen=True, slots=True)
class Reports:
    """The folder of the reports; a later one of the same delivery takes the place of the earlier."""

    folder: Path

    def write(self, delivery: Delivery, visit: Candidate, findings: Iterable[Finding], now: float) -> None:
        """Make the report durable; raises Failure when the disk will not."""
        report = {
            "version": VERSION,
            "scan_research_id": delivery.scan_research_id,
            "delivery": delivery.number,
            "checked_at": now,
            "verdict": worst(findings := tuple(findings)).label,
            "findings": [{**finding._asdict(), "verdict": finding.verdict.label} for finding in findings],
            "series": [_series(uid, visit) for uid in visit.series],
        }
        with answerable("a report"):
            write(self.path(delivery), json.dumps(report, indent=1).encode())

    def read(self, delivery: Delivery) -> dict[str, Any] | None:
        """The report of a delivery, None where its gates have not been asked yet."""
        path = self.path(delivery)
        return json.loads(path.read_bytes()) if path.exists() else None

    def descriptions(self) -> set[str]:
        """What series are called in all reports there are."""
        found = (json.loads(path.read_bytes()) for path in self.folder.glob("*.json"))
        return {series["description"] for report in found for series in report["series"]}

    def path(self, delivery: Delivery) -> Path:
        """The file of a delivery's report."""
        return self.folder / f"{delivery.folder}.json"


def worst(findings: Iterable[Finding]) -> Verdict:
    """What becomes of the visit."""
    return max((finding.verdict for finding in findings), default=Verdict.PASS)


def write(path: Path, content: bytes) -> None:
    """Put a whole file in the place of what stood there; raises OSError."""
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(0o640)
    beside.replace(path)
    sync_folder(path.parent)


def _series(uid: str, visit: Candidate) -> dict[str, Any]:
    members = visit.series[uid]
    first = members[0]
    return {
        "series_uid": uid,
        "number": first.text("SeriesNumber"),
        "description": first.text("SeriesDescription"),
        "modality": first.text("Modality"),
        "pixel_spacing": first.text("PixelSpacing"),
        "slice_thickness": first.text("SliceThickness"),
        "files": [header.file for header in members],
    }
