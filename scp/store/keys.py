"""The node's keys: files only, readable by nobody else; the officer's private half does not belong here."""

import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyrage import IdentityError, RecipientError, encrypt, x25519

from scp.store.files import TEMPORARY, sync_folder

KEY_MODE = 0o400
_LINKAGE = "linkage.key"
_NEXT = "linkage.key.next"
_OFFICER_PUBLIC = "officer.pub"
_OFFICER_PRIVATE = "officer.key"
_BYTES = 32


class KeyFileError(ValueError):
    """A key that is missing, unreadable, open to others, or not a key; its text names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the service holds: the linkage key, and the public half of the data-protection officer's pair."""

    linkage: bytes = field(repr=False)
    officer: str
    private_half: Path | None  # where the officer's private half still lies, if it does


def init(folder: Path) -> list[Path]:
    """Make what is missing of the linkage key and the officer's pair, and overwrite nothing; returns what was made.

    An officer's public key that stands there already (`officer.pub`, one line `age1...`) is left alone, and no private
    half is made then: that is how a hospital brings its own. Raises KeyFileError for an officer.key that is none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    if not (folder / _LINKAGE).exists():
        made.append(_create(folder / _LINKAGE, secrets.token_hex(_BYTES), KEY_MODE))
    if not (folder / _OFFICER_PUBLIC).exists():
        private = folder / _OFFICER_PRIVATE
        if not private.exists():  # else an init was stopped between the two halves
            made.append(_create(private, str(x25519.Identity.generate()), KEY_MODE))
        try:
            pair = x25519.Identity.from_str(_read(private, private=True))
        except IdentityError as error:
            raise KeyFileError(f"{private}: is not an age private key (one line, AGE-SECRET-KEY-1...)") from error
        made.append(_create(folder / _OFFICER_PUBLIC, str(pair.to_public()), 0o444))
    _tidy(folder)
    sync_folder(folder)
    sync_folder(folder.parent)
    return made


def next_linkage(folder: Path) -> bytes:
    """The key that a rotation is going to, made when there is none yet; raises KeyFileError."""
    path = folder / _NEXT
    if not path.exists():
        _create(path, secrets.token_hex(_BYTES), KEY_MODE)
        sync_folder(folder)
    return _linkage(path)


def rotated(folder: Path) -> None:
    """Put the next linkage key in the place of the one before, which is gone then, under every name that it had."""
    _tidy(folder)
    (folder / _NEXT).replace(folder / _LINKAGE)
    sync_folder(folder)


def rotating(folder: Path) -> bool:
    """Whether a rotation was begun and not finished."""
    return (folder / _NEXT).exists()


def escrow(folder: Path, recipients: Sequence[str], target: Path) -> None:
    """Seal the linkage key to each of these age public keys, any of which gets it back, into a new file.

    Raises KeyFileError for a recipient that is none, and FileExistsError.
    """
    try:
        known = [x25519.Recipient.from_str(recipient) for recipient in recipients]
    except RecipientError as error:
        raise KeyFileError("a recipient is not an age public key (age1...)") from error
    key = _linkage(folder / _LINKAGE)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encrypt(key.hex().encode("ascii") + b"\n", known))
        file.flush()
        os.fsync(descriptor)


def missing(folder: Path) -> bool:
    """Whether no key has been made yet: a first start."""
    return not any((folder / name).exists() for name in (_LINKAGE, _OFFICER_PUBLIC))


def load(folder: Path) -> Keys:
    """Read and check the keys; raises KeyFileError with one sentence that names the file."""
    key = _linkage(folder / _LINKAGE)
    officer = _read(folder / _OFFICER_PUBLIC, private=False)
    try:
        x25519.Recipient.from_str(officer)
    except RecipientError as error:
        raise KeyFileError(f"{folder / _OFFICER_PUBLIC}: is not an age public key (one line, age1...)") from error
    private = folder / _OFFICER_PRIVATE
    return Keys(key, officer, private if private.exists() else None)


def _linkage(path: Path) -> bytes:
    try:
        key = bytes.fromhex(_read(path, private=True))
    except ValueError as error:
        if isinstance(error, KeyFileError):
            raise
        key = b""
    if len(key) != _BYTES:
        raise KeyFileError(f"{path}: is not a linkage key (64 hexadecimal digits)")
    return key


def _create(path: Path, text: str, mode: int) -> Path:
    """A key file that is there whole or not at all, whenever the power goes; raises FileExistsError."""
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, mode)
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(temporary, path)
    finally:
        temporary.unlink()
    return path


def _tidy(folder: Path) -> None:
    """Remove what a stop in `_create` left, which may be a second name of a whole key."""
    for left in folder.glob(f"{TEMPORARY}*"):
        left.unlink()


def _read(path: Path, *, private: bool) -> str:
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
    except FileNotFoundError as error:
        raise KeyFileError(f"{path}: is missing; `cloakroom keys init` makes the keys of a new node") from error
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: cannot be read ({type(error).__name__})") from error
    if private and stat.S_IMODE(mode) & 0o077:
        raise KeyFileError(
            f"{path}: others can read it (mode {stat.S_IMODE(mode):04o}); make it 0400 and think whether it leaked"
        )
    return text
