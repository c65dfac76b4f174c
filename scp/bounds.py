"""What a data set may hold at most: bounds on what a few bytes can make a reader do, and the failure beyond one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scp.outcome import Failure, Outcome

MIB: Final = 1024 * 1024
TEXTS: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"})
NUMBERS: Final = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8}
BULK: Final = frozenset((0x00420011, 0x56000020))  # EncapsulatedDocument, SpectroscopyData
PIXELS_GROUP: Final = 0x7FE0


class Excess(Failure):
    """A data set has more of something than this node takes; `limit` names the setting, which is the metric's label."""

    def __init__(self, limit: str, why: str) -> None:
        super().__init__(Outcome.MALFORMED, why)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sequences inside one another, elements with items and fragments, values of one element, bytes besides payload."""

    depth: int = 32
    elements: int = 500_000
    values: int = 1_000_000
    header_bytes: int = 64 * MIB

    def check_values(self, vr: str, value: memoryview) -> None:
        """Raise Excess where an element has too many values (PS3.5 6.4); to be asked of long values only."""
        if vr in TEXTS:
            count = bytes(value).count(b"\\") + 1
        elif vr in NUMBERS:
            count = len(value) // NUMBERS[vr]
        else:
            return  # one value, however long
        if count > self.values:
            raise Excess("max_values", "an element has more values than this node takes")

    def check_header(self, size: int, elements: Iterable[tuple[int, int]]) -> None:
        """Raise Excess where a data set of `size` bytes has too many besides its payload; `elements` by tag and size.

        Payload, which is as large as it must be, is pixel data, spectroscopy data and an encapsulated document.
        """
        if size <= self.header_bytes:
            return  # as nearly all are
        if (
            size - sum(length for tag, length in elements if tag >> 16 == PIXELS_GROUP or tag in BULK)
            > self.header_bytes
        ):
            raise Excess("max_header_bytes", "what stands besides the pixels is more than this node takes")
