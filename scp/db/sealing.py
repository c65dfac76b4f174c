"""What one key makes of words: keyed digests that are looked up, and sealed values that are bound to their place."""

import hashlib
import hmac
import secrets
import unicodedata

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scp.db.fingerprint import Whole

_NONCE = 12


class Sealing:
    """The linkage's cryptography, each purpose with a key of its own derived from the one that a file holds."""

    def __init__(self, key: bytes) -> None:
        self._blinding = hmac.new(_derive(key, b"blind index"), digestmod="sha256")  # only ever copied
        self._bulk_key, self._content_key = _derive(key, b"content, in bulk"), _derive(key, b"content")
        self._whole = Whole(self._bulk_key, self._content_key)
        self._aead = AESGCMSIV(_derive(key, b"sealed columns"))

    def _blind(self, *words: str) -> bytes:
        # Length-prefixed, so that no two lists of words are written alike.
        text = b"".join(len(word).to_bytes(4, "big") + word for word in (w.encode() for w in words))
        blind = self._blinding.copy()  # a third of what it takes to begin with the key
        blind.update(text)
        return blind.digest()

    def _seal(self, value: bytes, column: str, row: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, value, f"1|{column}|{row}".encode())

    def _unseal(self, value: bytes, column: str, row: str) -> bytes:
        return self._aead.decrypt(value[:_NONCE], value[_NONCE:], f"1|{column}|{row}".encode())


def normal(text: str) -> str:
    """One text for all the ways in which the same words are written."""
    return unicodedata.normalize("NFC", text).strip()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=hashlib.sha256().digest_size, salt=None, info=purpose).derive(key)
