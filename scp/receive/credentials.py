"""What peers prove themselves with and may send, as it is configured: looked at before a port answers."""

from typing import TYPE_CHECKING, NamedTuple

from scp.receive import tls
from scp.receive.identity import Users
from scp.receive.negotiation import TRANSFER_SYNTAXES
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
    """Read certificates, keys and passwords; raises SecretFileError with one sentence for the operator.

    So does a transfer syntax that this node could not read.
    """
    for uid in config.transfer_syntaxes:
        if uid not in TRANSFER_SYNTAXES:
            raise _contradiction(config, "transfer_syntaxes", f"{uid} is no transfer syntax that this node can receive")
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
