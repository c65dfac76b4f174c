"""User identity (PS3.7 D.3.3.7): what a requestor says of itself, checked against the names and hashes of a file."""

import base64
import binascii
import hashlib
import hmac
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from scp.outcome import Rejection
from scp.receive import items
from scp.receive.watched import SecretFileError, Watched, secret
from scp.receive.wire import ProtocolError, Reason

if TYPE_CHECKING:
    from pathlib import Path

    from scp.config import UserIdentity

REQUEST_ITEM: Final = 0x58
ANSWER_ITEM: Final = 0x59
AT_ONCE: Final = 2  # hashes computed side by side in one worker: each takes 16 MiB, and strangers may ask for them
_HEAD: Final = struct.Struct(">BBH")
_LENGTH: Final = struct.Struct(">H")
_COST, _BLOCK, _LANES = 2**14, 8, 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_WORDS: Final = 3


class Form(IntEnum):
    """The forms that are checked; Kerberos (3), SAML (4) and JSON Web Token (5) are not."""

    USERNAME = 1
    PASSWORD = 2


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """A user identity as sent: the form, the two fields, and whether an answer is asked for."""

    form: int
    wants_answer: bool
    primary: bytes
    secondary: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A password as it is kept."""

    salt: bytes
    digest: bytes


_NOBODY: Final = Secret(bytes(_SALT_BYTES), bytes(_HASH_BYTES))


class Users:
    """Who is known, as the settings want them checked; used by all associations' threads of a worker."""

    def __init__(self, settings: "UserIdentity") -> None:
        """Read the file; raises SecretFileError."""
        self._settings = settings
        self._known = Watched([settings.passwords], lambda: _read_file(settings.passwords))
        self._turns = threading.Semaphore(AT_ONCE)

    def check(self, claim: Claim | None) -> Rejection | None:
        """Whether an association may begin with this identity; a name alone is enough where so configured."""
        if claim is None:
            return Rejection.USER_IDENTITY if self._settings.required else None
        if claim.form == Form.PASSWORD:
            return None if self._proves(claim) else Rejection.USER_IDENTITY
        named = claim.form == Form.USERNAME and self._settings.check == "username"
        return None if named and claim.primary in self._known.get() else Rejection.USER_IDENTITY

    def _proves(self, claim: Claim) -> bool:
        """Takes as long for a name that is not known as for one that is."""
        known = self._known.get().get(claim.primary)
        kept = known or _NOBODY
        with self._turns:
            digest = scrypt(claim.secondary, kept.salt)
        return hmac.compare_digest(digest, kept.digest) and known is not None


def read(body: bytes) -> Claim:
    """Read a user identity sub-item from behind its header; raises ProtocolError."""
    try:
        form, wants, length = _HEAD.unpack_from(body)
        primary = body[_HEAD.size : _HEAD.size + length]
        (rest,) = _LENGTH.unpack_from(body, _HEAD.size + length)
    except struct.error:
        raise _malformed() from None
    secondary = body[_HEAD.size + length + _LENGTH.size :]
    if len(secondary) != rest:
        raise _malformed()
    return Claim(form, bool(wants), primary, secondary)


def answer() -> bytes:
    """The positive answer to a name or a password: a sub-item without a server response (PS3.7 D.3.3.7.2)."""
    return items.item(ANSWER_ITEM, _LENGTH.pack(0))


def scrypt(password: bytes, salt: bytes) -> bytes:
    """What the file keeps of a password (RFC 7914: N 16384, r 8, p 1; 32 bytes)."""
    return hashlib.scrypt(password, salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=_HASH_BYTES)


def _read_file(path: "Path") -> Mapping[bytes, Secret]:
    known: dict[bytes, Secret] = {}
    for number, line in enumerate(secret(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name = words[0].encode()
        kept = _kept(words)
        if kept is None:
            raise SecretFileError(f"{path}:{number}: is not a line of name, salt and hash")
        if name in known:
            raise SecretFileError(f"{path}:{number}: has a name for the second time")
        known[name] = kept
    return known


def _kept(words: list[str]) -> Secret | None:
    if len(words) != _WORDS:
        return None
    try:
        salt, digest = (base64.b64decode(word, validate=True) for word in words[1:])
    except (binascii.Error, ValueError):
        return None
    return Secret(salt, digest) if len(salt) >= _SALT_BYTES and len(digest) == _HASH_BYTES else None


def _malformed() -> ProtocolError:
    return ProtocolError(Reason.INVALID_PARAMETER, "a user identity that is malformed")
