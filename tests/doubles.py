"""Stand-ins for what other rooms make: a de-identified instance without a plan, a Metrics of its own."""

import hashlib
from typing import Any

from prometheus_client import CollectorRegistry

from scp.instance import DeidentifiedInstance
from scp.metrics import Metrics, declare

VISIT = "123456789012"


def clean(number: int = 1, *, body: bytes | None = None, visit: str = VISIT, **fields: Any) -> DeidentifiedInstance:
    """A de-identified instance whose file holds `body`."""
    content = f"content {visit} {number}".encode() if body is None else body
    values: dict[str, Any] = {
        "pseudonym": "SAAAAAAAAAAAAAAAA",
        "scan_research_id": visit,
        "series_uid": "2.25.7",
        "sop_instance_uid": f"2.25.{visit}{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "series_number": 1,
        "instance_number": number,
        "recipe": "0123456789abcdef",
        "digest": hashlib.sha256(content).digest(),
        "size": len(content),
        "parts": (content,),
    }
    return DeidentifiedInstance(**{**values, **fields})


def metrics() -> Metrics:
    """Metrics in a registry of their own."""
    return declare(CollectorRegistry())
