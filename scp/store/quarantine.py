"""The quarantine: originals that failed for their content, sealed to the data-protection officer's public key.

The service holds only that public half and cannot read back what it has sealed. What stands in the clear is a random
name, the outcome as the folder, the time and the size; everything else is inside.
"""

import json
import os
import secrets
import time
from pathlib import Path

from pyrage import encrypt, x25519

from scp.instance import Arrival
from scp.outcome import Failure
from scp.store import files


class Quarantine:
    """Sealed files `<outcome>/<random id>.age`, each holding one line of JSON and the data set as it came."""

    def __init__(self, root: Path, officer: str) -> None:
        self.root = root
        self._officer = x25519.Recipient.from_str(officer)

    def prepare(self) -> None:
        """Make the folder and remove what a dead worker left half written; call it when no worker runs."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for temporary in self.root.glob(f"*/{files.TEMPORARY}*"):
            temporary.unlink()
        files.sync_folder(self.root.parent)

    def seal(self, arrival: Arrival, failure: Failure) -> str:
        """Seal an original durably and return its random id; raises Failure when the disk will not."""
        entry = secrets.token_hex(8)
        head = {
            "outcome": failure.outcome.label,
            "why": failure.why,
            "received_at": time.time(),
            "calling_ae_title": arrival.peer.calling,
            "address": arrival.peer.address,
            "sop_class_uid": arrival.sop_class_uid,
            "sop_instance_uid": arrival.sop_instance_uid,
            "transfer_syntax": arrival.transfer_syntax,
        }
        sealed = encrypt(json.dumps(head).encode() + b"\n" + bytes(arrival.data), [self._officer])
        with files.answerable("a quarantined original"):
            folder = self._folder(failure.outcome.label)
            try:
                files.place(folder, f"{entry}.age", [sealed], b"")
            finally:
                os.close(folder)
        return entry

    def forget(self, outcome: str, entry: str) -> None:
        """Take a sealed file away again that the index would not have, because the same content was there before."""
        with files.answerable("the removal of a quarantined original"):
            (self.root / outcome / f"{entry}.age").unlink(missing_ok=True)

    def _folder(self, outcome: str) -> int:
        path = self.root / outcome
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
            files.sync_folder(self.root)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
