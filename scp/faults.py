"""Failpoints: the moments at which a test lets this process die, fail or wait; nothing happens at them otherwise.

A moment is an event of Python's own auditing (`sys.audit`), which costs next to nothing while nobody listens. Only code
that calls `sys.addaudithook` can listen, and nothing in the product does: no setting and no variable arms a failpoint.
What an armed one does (kill -9, OSError, sleep) is in the tests alone.
"""

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EVENT: Final = "cloakroom.point"

POINTS: Mapping[str, str] = MappingProxyType(
    {
        "intake.taken": "an instance was received and nothing is done yet",
        "intake.admitted": "it is whole, well-formed and admitted",
        "intake.resolved": "its subject and visit are committed in the linkage",
        "intake.deidentified": "the plan was applied; nothing is on a disk",
        "files.written": "the temporary has all its bytes, none of them durable",
        "files.synced": "the temporary is durable and has no name yet",
        "files.linked": "the file has its name beside the temporary's",
        "files.unlinked": "the file has its name alone, which is not durable yet",
        "files.folder_synced": "file and name are durable; there is no row",
        "index.changed": "the rows are written inside their transaction",
        "index.committed": "the rows are durable, and nobody knows yet",
        "intake.recorded": "the worker knows that the row is durable; the wire does not",
        "intake.removing": "a file that the index would not have is going to be taken away",
        "quarantine.sealing": "an original is going to be sealed",
        "quarantine.sealed": "the sealed original is durable; there is no row",
        "quarantine.recorded": "its row is durable; the wire does not know",
        "publish.begun": "the delivery is closed to new files and its place is written down",
        "publish.settled": "what nobody claimed is set aside",
        "publish.wrapped": "the visit lies in the new day's shell, which is not shown yet",
        "publish.shown": "the visit stands in the export tree without its marker",
        "publish.listed": "its manifest of digests is durable; the marker is not there",
        "publish.unmarked": "a folder of today lost its marker, because late files join it",
        "publish.joining": "a late file has its second name in the published folder",
        "publish.marked": "the marker is durable; the index does not know",
        "move.begun": "a visit is closed, and what goes from it to which other one is written down",
        "move.linked": "what comes for it from now on goes to the other one; its files are where they were",
        "move.placed": "its files stand a second time, under the other number; their rows are what they were",
        "move.recorded": "the rows are the other visit's; the old files still stand",
        "move.removed": "the old files are gone; the visit is still closed",
        "expire.begun": "a visit whose time is over is closed in the index; its folder stands as it did",
        "expire.renamed": "its folder has left the tree by one rename; the index does not know",
        "expire.exports": "what was exported of it is gone as well",
        "expire.buried": "its rows are gone from the index; its files wait aside to be removed",
        "expire.removed": "nothing of its files is left",
        "expire.unsealed": "the rows of sealed originals are gone; their files still stand",
        "expire.forgotten": "the files are gone; the index still takes them for removable",
        "recovery.begun": "the node starts; nothing is repaired yet",
        "recovery.resumed": "publications that were begun are finished",
        "recovery.claiming": "an orphan is understood and is going to be adopted or sealed",
        "recovery.sealed": "an orphan is sealed and its file still stands",
        "recovery.done": "all is repaired; nobody is served yet",
    }
)


def point(name: str) -> None:
    """Say that this moment, one of POINTS, has come; raises what an armed one raises (OSError)."""
    sys.audit(EVENT, name)
