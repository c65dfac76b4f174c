"""What one key makes of words: keyed digests that are looked up, and sealed values that are bound to their place."""

import hashlib
import hmac
import secrets
import unicodedata

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class Sealing:
    """The linkage's cryptography, each purpose with a key of its own derived from the one that a file holds."""

    def __init__(self, key: bytes) -> None:
        self._blind_key = _derive(key, b"blind index")
        self._bulk_key, self._content_key = _derive(key, b"content, in bulk"), _derive(key, b"content")
        self._aead = AESGCMSIV(_derive(key, b"sealed columns"))

    def _blind(self, *words: str) -> bytes:
        # Length-prefixed, so that no two lists of words are written alike.
        text = b"".join(len(word).to_bytes(4, "big") + word for word in (w.encode() for w in words))
        return hmac.digest(self._blind_key, text, "sha256")

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
