"""The quarantine: originals that failed for their content, sealed to the data-protection officer's public key.

The service holds only that public half and cannot read back what it has sealed. What stands in the clear is a random
name, the outcome as the folder, the time and the size; everything else is inside.
"""

import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from pyrage import EncryptError, encrypt_io, x25519

from scp.instance import Arrival, Broken, Part
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

    def seal(self, arrival: Arrival, failure: Failure, original: Iterable[Part], name: str = "") -> str:
        """Seal an original durably, piece by piece as it is given, and return its random id.

        `name` is that of the file that it came as, for the officer, who alone reads it.

        Raises Failure when the disk will not, and Broken when the association ends before the original is all there;
        nothing is left then.
        """
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
        } | ({"name": name} if name else {})
        self.put(failure.outcome.label, entry, head, original)
        return entry

    def put(self, place: str, entry: str, head: Mapping[str, object], original: Iterable[Part]) -> None:
        """Seal what `head` says and an original as `<place>/<entry>.age`, durably; raises as `seal`."""
        clear = _Pieces(chain((json.dumps(head).encode() + b"\n",), original))
        with files.answerable("a quarantined original"):
            folder = self._folder(place)
            try:
                with files.temporary(folder) as file:
                    self._encrypt(clear, _Sealed(file))
                    file.place(folder, f"{entry}.age", b"")
            finally:
                os.close(folder)

    def _encrypt(self, clear: "_Pieces", sealed: "_Sealed") -> None:
        """Raises what went wrong on either side as it was: age makes a text of it, or swallows it at the very end."""
        try:
            encrypt_io(clear, sealed, [self._officer])
        except EncryptError:
            if not (clear.error or sealed.error):
                raise
        if error := clear.error or sealed.error:
            raise error

    def forget(self, outcome: str, entry: str) -> None:
        """Take a sealed file away again that the index would not have, because the same content was there before."""
        forget(self.root, outcome, entry)

    def _folder(self, outcome: str) -> int:
        path = self.root / outcome
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
            files.sync_folder(self.root)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def forget(root: Path, outcome: str, entry: str) -> None:
    """Take a sealed file away for good; raises Failure when the disk will not."""
    with files.answerable("the removal of a quarantined original"):
        (root / outcome / f"{entry}.age").unlink(missing_ok=True)
        if (root / outcome).exists():
            files.sync_folder(root / outcome)


class _Pieces:
    """An original as the file that age reads from."""

    def __init__(self, pieces: Iterable[Part]) -> None:
        self._pieces = iter(pieces)
        self._left = memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """At most so many of the next bytes; none at the end."""
        try:
            while not self._left:
                self._left = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except (Broken, Failure, OSError) as error:
            self.error = error
            raise
        part = bytes(self._left[:size])
        self._left = self._left[size:]
        return part


class _Sealed:
    """A temporary as the file that age writes to."""

    def __init__(self, file: files.Temporary) -> None:
        self._file = file
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        """Put it all behind what there is."""
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""
