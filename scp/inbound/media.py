"""A medium's DICOMDIR (PS3.3 Annex F, PS3.10 8): the files it names, and only they, are the medium's instances."""

from collections.abc import Sequence
from typing import Final

from scp.bounds import Bounds
from scp.dataset import DataSet, read
from scp.inbound import part10
from scp.inbound.entry import Parts
from scp.outcome import Failure
from scp.table import Item, find

NAME: Final = "dicomdir"
_RECORDS: Final = 0x00041220
_FILE_ID: Final = 0x00041500


def named(data: bytes, bounds: Bounds) -> frozenset[Parts] | None:
    """The File IDs of its records, each as `plain` has it; None where it is no DICOMDIR that can be read.

    A File ID is only ever compared with names that were found: none of them is opened because it stands here.
    """
    head = part10.head(data[: part10.MOST])
    if head is None or head.sop_class_uid != part10.DICOMDIR or head.transfer_syntax != part10.EXPLICIT:
        return None
    try:
        dataset = read(memoryview(data)[head.begins :], explicit=True, bounds=bounds)
    except Failure:
        return None
    records = dataset.find(_RECORDS)
    nested = dataset.nested.get(records.start) if records else None
    if nested is None:
        return None
    return frozenset(parts for item in nested.items if (parts := _file_id(dataset, item)))


def plain(parts: Sequence[str]) -> Parts:
    """Names as media compare them: ISO 9660 adds versions and dots, and systems show it in capitals or not."""
    return tuple(part.strip().partition(";")[0].rstrip(".").casefold() for part in parts)


def _file_id(dataset: DataSet, item: Item) -> Parts:
    element = find(item.elements, _FILE_ID)
    text = bytes(dataset.data[element.value : element.end]).decode("latin-1").strip(" \0") if element else ""
    return plain(text.split("\\")) if text else ()
