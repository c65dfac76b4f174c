"""A keyed fingerprint of an original's bytes, as quick as they come."""

import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

_NONCE: Final = bytes(12)
_MOST: Final = 2**31 - 1  # bytes that AESGCM takes at once


class Fingerprint:
    """Of bytes that come piece by piece: `update` it with them; equal bytes have equal fingerprints of 32 bytes.

    The bytes pass through GMAC (NIST SP 800-38D), which is eight times as quick as SHA-256. Its nonce is always the
    same, so a tag must never be seen by anybody: what is kept is HMAC-SHA-256 of it (docs/adr/0013).
    """

    def __init__(self, bulk_key: bytes, key: bytes) -> None:
        self._mac = Cipher(AES256(bulk_key), GCM(_NONCE)).encryptor()
        self._key = key
        self._digest = b""

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Put bytes behind those before; raises AlreadyFinalized (cryptography) behind `digest`."""
        self._mac.authenticate_additional_data(data)

    def digest(self) -> bytes:
        """Of all the bytes; nothing more may come."""
        if not self._digest:
            self._mac.finalize()
            self._digest = hmac.digest(self._key, self._mac.tag, "sha256")
        return self._digest


class Whole:
    """The same fingerprint of bytes that are all there, with the key made ready once; for many threads."""

    def __init__(self, bulk_key: bytes, key: bytes) -> None:
        self._keys = bulk_key, key
        self._mac = AESGCM(bulk_key)
        self._keyed = hmac.new(key, digestmod="sha256")  # only ever copied

    def __call__(self, data: bytes | bytearray | memoryview) -> bytes:
        """Of these bytes."""
        if len(data) > _MOST:
            pieces = Fingerprint(*self._keys)
            pieces.update(data)
            return pieces.digest()
        tag = self._mac.encrypt(_NONCE, b"", data)  # nothing is encrypted: what comes out is the tag, GMAC
        keyed = self._keyed.copy()
        keyed.update(tag)
        return keyed.digest()
