"""Which peers may associate: by source network, by the title they call, and by the title they give themselves."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from scp.config import Config, PeerRule
from scp.instance import Peer
from scp.outcome import Rejection

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


def admit(config: Config) -> Callable[[Peer], Rejection | None]:
    """The question asked of every association request: None lets it in (PS3.8 9.3.4 for the rejections).

    AE titles are given by the peer itself and prove nothing; source networks are stronger, certificates prove.
    """
    return lambda peer: _answer(config, peer)


def _answer(config: Config, peer: Peer) -> Rejection | None:
    address = _address(peer.address)
    if not _within(address, config.networks):
        return Rejection.CALLING_AE_TITLE
    if config.require_called_ae_title and peer.called.strip(" ") != config.ae_title:
        return Rejection.CALLED_AE_TITLE
    if config.peers and not any(_is(rule, peer, address) for rule in config.peers):
        return Rejection.CALLING_AE_TITLE
    return None


def _is(rule: PeerRule, peer: Peer, address: Address | None) -> bool:
    proven = not rule.certificates or not peer.certificate.isdisjoint(rule.certificates)
    return rule.ae_title == peer.calling.strip(" ") and proven and _within(address, rule.networks)


def _within(address: Address | None, networks: Networks) -> bool:
    """Without networks anybody is; an address that is none is in no network."""
    if not networks:
        return True
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> Address | None:
    """The source address; IPv4 arriving on an IPv6 socket counts as IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
