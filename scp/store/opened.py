"""Opening the quarantine: the data-protection officer's work, with a key and on a machine that the node never sees."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyrage import DecryptError, IdentityError, decrypt_io, x25519

from scp.store.keys import KeyFileError

_LONGEST_HEAD = 1 << 16


class SealedFileError(ValueError):
    """A sealed file that cannot be opened; its text names the file and the reason."""


def officer(path: Path) -> x25519.Identity:
    """The officer's private half from a file that nobody else can read; raises KeyFileError."""
    try:
        mode = path.stat().st_mode
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: cannot be read ({type(error).__name__})") from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeyFileError(f"{path}: others can read it (mode {stat.S_IMODE(mode):04o}); make it 0400")
    words = [line.strip() for line in lines if line.strip() and not line.startswith("#")]  # as age-keygen writes
    try:
        return x25519.Identity.from_str(words[0] if len(words) == 1 else "")
    except IdentityError:
        raise KeyFileError(f"{path}: is not an age private key (one line, AGE-SECRET-KEY-1...)") from None


def open_sealed(
    file: Path, key: x25519.Identity, target: Path, prefix: Callable[[dict[str, Any]], bytes] = lambda _head: b""
) -> dict[str, Any]:
    """Write the original to `target`, a new file that only its owner reads, and return what was written down with it.

    `prefix` makes what stands before the data set from that. What comes out is identified. Raises SealedFileError where
    the key does not fit or the file is not whole, and OSError, FileExistsError included; nothing is left then.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    head = None
    try:
        with os.fdopen(descriptor, "wb") as out, file.open("rb") as sealed:
            clear = _Clear(out.write, prefix)
            decrypt_io(sealed, clear, [key])
        head = clear.head  # and not before the last bytes are written: the disk may be full
    except (DecryptError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a disk's, not age's
        raise SealedFileError(f"{file}: cannot be opened with this key, or is not whole") from None
    finally:
        if head is None:
            target.unlink()
    if head is None:
        raise SealedFileError(f"{file}: holds no original of this software")
    return head


class _Clear:
    """What age gives back: one line of JSON, then the original, which is passed on as it comes."""

    def __init__(self, write: Callable[[bytes], object], prefix: Callable[[dict[str, Any]], bytes]) -> None:
        self._write = write
        self._prefix = prefix
        self._begun = b""
        self.head: dict[str, Any] | None = None

    def write(self, data: bytes) -> int:
        """Take the next bytes."""
        if self.head is not None:
            self._write(data)
            return len(data)
        self._begun += data
        line, found, rest = self._begun.partition(b"\n")
        if found and line.startswith(b"{"):
            self.head = json.loads(line)
            self._write(self._prefix(self.head) + rest)
        elif len(self._begun) > _LONGEST_HEAD:
            raise OSError("no line of JSON at the beginning")
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""
