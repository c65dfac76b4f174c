"""When certificates end, so that somebody hears of it before their peers do."""

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from scp.receive.watched import SecretFileError

if TYPE_CHECKING:
    from scp.config import Config


def end(path: Path) -> float:
    """When the first to end of a PEM file's certificates does, in seconds since the epoch; raises SecretFileError."""
    try:
        held = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SecretFileError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise SecretFileError(f"{path}: has no certificate") from None
    return min(certificate.not_valid_after_utc.timestamp() for certificate in held)


def ends(config: "Config") -> dict[str, float]:
    """The same of each TLS file in use, by its setting; one that cannot be read has ended (0)."""
    settings = config.tls
    if not settings.enabled:
        return {}
    files = {"certificate": settings.certificate}
    if settings.require_client_certificate or any(peer.certificates for peer in config.peers):
        files["client_ca"] = settings.client_ca
    found = {}
    for name, path in files.items():
        try:
            found[name] = end(path)
        except SecretFileError:
            found[name] = 0.0
    return found
