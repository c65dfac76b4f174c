"""TLS for associations (PS3.15 B.12, BCP 195): the server's context, renewed with its files, and whom a peer proves."""

import hashlib
import re
import ssl
from typing import TYPE_CHECKING, Final

from scp.receive.watched import SecretFileError, Watched, secret

if TYPE_CHECKING:
    from pathlib import Path

    from scp.config import Tls

# For TLS 1.2; those of TLS 1.3 are all good. Forward secrecy and authenticated encryption only (RFC 9325, 4.2).
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_FINGERPRINT: Final = re.compile("[0-9a-f]{64}")  # SHA-256, as hexdigest() writes it


def contexts(settings: "Tls", *, bound: bool) -> Watched[ssl.SSLContext]:
    """The server's context, read now and whenever its files change; raises SecretFileError.

    `bound` says that some title is bound to certificates, so that they are asked for even where none is required.
    """
    asks = bound or settings.require_client_certificate
    paths = [settings.certificate, settings.key, *([settings.client_ca] if asks else [])]
    return Watched(paths, lambda: _context(settings, asks=asks))


def proven(session: ssl.SSLSocket | None) -> frozenset[str]:
    """What a peer's verified certificate says: its SHA-256 fingerprint, its common and its DNS names, in lower case.

    A name that looks like a fingerprint is none of these: it would pass for the certificate that has it.
    """
    encoded = session.getpeercert(binary_form=True) if session is not None else None
    said = session.getpeercert() if session is not None else None
    if not encoded or not said:
        return frozenset()
    shown = hashlib.sha256(encoded).hexdigest()
    found = {shown}
    parts = [part for name in _pairs(said.get("subject")) for part in _pairs(name)]
    found.update(str(value).casefold() for kind, value in parts if kind == "commonName")
    found.update(str(value).casefold() for kind, value in _pairs(said.get("subjectAltName")) if kind == "DNS")
    return frozenset(name for name in found if name == shown or not _FINGERPRINT.fullmatch(name))


def _pairs(value: object) -> tuple[tuple[object, ...], ...]:
    return value if isinstance(value, tuple) else ()


def _context(settings: "Tls", *, asks: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A session taken up again would be of the files as they were.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    secret(settings.key)
    try:
        # Without a password of its own OpenSSL would ask the terminal for one.
        context.load_cert_chain(settings.certificate, settings.key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise _refused(settings.certificate, "the node's certificate or its key", error) from None
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED if settings.require_client_certificate else ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(settings.client_ca)
        except (OSError, ValueError) as error:
            raise _refused(settings.client_ca, "the authorities of peers' certificates", error) from None
    return context


def _refused(path: "Path", what: str, error: OSError | ValueError) -> SecretFileError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return SecretFileError(f"{path}: {what} cannot be used: {reason}")
