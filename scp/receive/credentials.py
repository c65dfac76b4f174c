"""What peers prove themselves with, as it is configured: read before a port answers, by `serve` and by the check."""

from typing import TYPE_CHECKING, NamedTuple

from scp.receive import tls
from scp.receive.identity import Users
from scp.receive.watched import SecretFileError

if TYPE_CHECKING:
    import ssl

    from scp.config import Config
    from scp.receive.watched import Watched


class Credentials(NamedTuple):
    """The contexts of TLS sessions and the known users; None where the configuration has none."""

    contexts: "Watched[ssl.SSLContext] | None"
    users: Users | None


def read(config: "Config") -> Credentials:
    """Read certificates, keys and passwords; raises SecretFileError with one sentence for the operator."""
    bound = any(peer.certificates for peer in config.peers)
    if not config.tls.enabled:
        if bound:
            raise _contradiction(config, "peers", "a title is bound to certificates, but tls.enabled is false")
        if not config.tls.plain_port:
            raise _contradiction(config, "tls.plain_port", "no port is left, because tls.enabled is false")
    identity = config.user_identity
    return Credentials(
        tls.contexts(config.tls, bound=bound) if config.tls.enabled else None,
        Users(identity) if identity.check != "none" else None,
    )


def _contradiction(config: "Config", key: str, why: str) -> SecretFileError:
    return SecretFileError(f"{config.origins.get(key, key)}: {why}")
