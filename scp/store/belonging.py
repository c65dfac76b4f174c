"""Whose an export folder is: written down in it, so that no node works in another one's, or in none at all.

A start takes what it finds in staging without a row for its own and seals it. In another node's folder that would be
what that node has acknowledged; below a mount point whose disk is missing, there would be nothing, and room enough.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from scp.store.files import TEMPORARY, make_folder, sync_folder
from scp.store.staging import MARK, STAGING, Staging

CLAIMED: Final = "export.claimed"
TREES: Final = ("DICOM", "NIFTI", "EHR", "BIDS")


class ForeignFolderError(ValueError):
    """An export folder that is not this node's to write to; its text names the folder and the remedy."""


def claim(export: Path, state: Path, node: str) -> None:
    """Make sure that the folder is this node's, and write that down durably, there and in the state folder.

    Raises ForeignFolderError for another node's folder, for one without a mark where this node has made one before, and
    where a tree is another file system, into which nothing could be renamed; and OSError.
    """
    mark, claimed = Staging(export).root / MARK, state / CLAIMED
    found = _read(mark)
    if found not in {"", node}:
        raise ForeignFolderError(
            f"{export}: is another node's export folder; if that node is gone for good, remove {mark}"
        )
    if not found and claimed.exists():
        raise ForeignFolderError(
            f"{export}: is not the folder that this node wrote to; is its disk mounted? If it is the right one all the "
            f"same, remove {claimed}"
        )
    _one_file_system(export)
    for path in (mark, claimed):  # this order: whoever claims to have made a mark has made it
        if not _read(path):
            _write(path, node)


def is_there(export: Path) -> bool:
    """Whether the folder is still the one that was claimed: what was unmounted meanwhile is not."""
    return os.path.exists(f"{export}/{STAGING}/{MARK}")  # noqa: PTH110  asked before every instance


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return ""


def _write(mark: Path, node: str) -> None:
    """There whole or not at all, whenever the power goes."""
    temporary = mark.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(node + "\n")
            file.flush()
            os.fsync(descriptor)
        temporary.replace(mark)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(mark.parent)
    sync_folder(mark.parent.parent)


def _one_file_system(export: Path) -> None:
    """Publishing is one rename."""
    root = Staging(export).root
    make_folder(root)
    staging = root.stat().st_dev
    for tree in TREES:
        if (export / tree).exists() and (export / tree).stat().st_dev != staging:
            raise ForeignFolderError(
                f"{export / tree}: has to be on the file system of {export}; mount that as a whole"
            )
