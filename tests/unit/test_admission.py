import factories
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.admission import CONSENT, RULES, Admission, admit
from scp.config import Config, ConfigError, PeerRule
from scp.instance import Peer
from scp.outcome import Failure, Outcome, Rejection

MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"


def rule(name, free=10**12, **settings):
    return RULES[name](Admission(Config(**settings), lambda: {"export": free, "state": 10**12}))


def refused(name, instance, **settings):
    with pytest.raises(Failure) as caught:
        rule(name, **settings)(instance)
    assert all(needle.decode() not in str(caught.value) for needle in factories.needles())
    return caught.value.outcome


def test_the_rules_and_their_order():
    assert list(RULES) == ["sop_class", "room", "consent"]


def test_an_ordinary_instance_passes_every_rule():
    instance = factories.instance(factories.mr())
    for name in RULES:
        rule(name)(instance)


def test_only_the_configured_sop_classes_pass():
    rule("sop_class", sop_classes=(MR, CT))(factories.instance(factories.ct()))
    assert refused("sop_class", factories.instance(factories.ct()), sop_classes=(MR,)) is Outcome.SOP_CLASS_REFUSED


def test_room_is_kept_free_to_the_byte():
    instance = factories.instance(factories.mr())
    size = len(instance.arrival.data)
    rule("room", free=1000 + size, min_free_bytes=1000)(instance)
    assert refused("room", instance, free=999 + size, min_free_bytes=1000) is Outcome.OUT_OF_RESOURCES


def test_the_fullest_disk_decides_and_one_that_does_not_answer_refuses():
    instance = factories.instance(factories.mr())
    disks = {"export": 10**12, "state": 10}
    with pytest.raises(Failure, match="min_free_bytes"):
        RULES["room"](Admission(Config(), lambda: disks))(instance)

    def silent():
        raise OSError

    with pytest.raises(Failure, match="does not say") as caught:
        RULES["room"](Admission(Config(), silent))(instance)
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES


def test_every_way_to_know_consent_that_the_configuration_takes_exists():
    for name in CONSENT:
        RULES["consent"](Admission(Config(consent=name), dict))(factories.instance(factories.mr()))


def test_a_way_to_know_consent_that_is_not_there_stops_the_start():
    unchecked = Config.model_construct(consent="guessed")
    with pytest.raises(ConfigError, match="guessed"):
        RULES["consent"](Admission(unchecked, dict))


RULES_OF_PEERS = (
    PeerRule(ae_title="PACS"),
    PeerRule(ae_title="MR1", networks=("10.1.0.0/16", "10.2.0.7")),
    PeerRule(ae_title="MR1", networks=("fd00::/8",)),
)


@pytest.mark.parametrize(
    ("calling", "address", "admitted"),
    [
        ("PACS", "203.0.113.9", True),
        (" PACS ", "203.0.113.9", True),
        ("pacs", "203.0.113.9", False),
        ("PACS2", "203.0.113.9", False),
        ("", "203.0.113.9", False),
        ("MR1", "10.1.255.1", True),
        ("MR1", "10.2.0.7", True),
        ("MR1", "10.2.0.8", False),
        ("MR1", "::ffff:10.1.0.1", True),
        ("MR1", "fd00::1", True),
        ("MR1", "fe80::1%eth0", False),
        ("MR1", "", False),
        ("MR1", "10.1", False),
    ],
)
def test_a_peer_is_known_by_title_and_network(calling, address, admitted):
    answer = admit(Config(peers=RULES_OF_PEERS))(Peer(calling, "CLOAKROOM", address))
    assert answer is (None if admitted else Rejection.CALLING_AE_TITLE)


def test_without_peers_anybody_may_call():
    assert admit(Config())(Peer("ANYBODY", "CLOAKROOM", "203.0.113.9")) is None
    assert admit(Config())(Peer("ANYBODY", "CLOAKROOM", "no address")) is None


@pytest.mark.parametrize("called", ["", "cloakroom", "CLOAKROOM2", "ANY-SCP"])
def test_the_called_title_is_ours(called):
    peer = Peer("PACS", called, "203.0.113.9")
    assert admit(Config())(peer) is Rejection.CALLED_AE_TITLE
    assert admit(Config(require_called_ae_title=False))(peer) is None
    assert admit(Config(ae_title="CLOAKROOM2"))(peer) is (None if called == "CLOAKROOM2" else Rejection.CALLED_AE_TITLE)


def test_a_strange_network_is_refused_before_titles_are_looked_at():
    decide = admit(Config(networks=("10.0.0.0/8",)))
    assert decide(Peer("PACS", "WRONG", "203.0.113.9")) is Rejection.CALLING_AE_TITLE
    assert decide(Peer("PACS", "WRONG", "10.0.0.1")) is Rejection.CALLED_AE_TITLE
    assert decide(Peer("PACS", "CLOAKROOM", "10.0.0.1")) is None
    assert decide(Peer("PACS", "CLOAKROOM", "")) is Rejection.CALLING_AE_TITLE


@given(calling=st.text(max_size=20), called=st.text(max_size=20), address=st.text(max_size=45))
def test_whatever_a_peer_says_it_gets_an_answer(calling, called, address):
    decide = admit(Config(peers=RULES_OF_PEERS, networks=("10.0.0.0/8",)))
    answer = decide(Peer(calling, called, address))
    assert answer is None or answer in Rejection
    if called.strip(" ") != "CLOAKROOM":
        assert answer is not None


@given(address=st.ip_addresses(v=4))
def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer(address):
    decide = admit(Config(networks=("10.0.0.0/8", "192.168.0.0/16")))
    direct = decide(Peer("A", "CLOAKROOM", str(address)))
    mapped = decide(Peer("A", "CLOAKROOM", f"::ffff:{address}"))
    assert direct is mapped
    assert (direct is None) == (str(address).startswith("10.") or str(address).startswith("192.168."))


@given(st.frozensets(st.sampled_from(["aa" * 32, "bb" * 32, "mr1.example", "mr2.example"])))
def test_a_title_that_is_bound_needs_one_of_its_certificates(shown):
    bound = PeerRule(ae_title="MR1", certificates=("AA" * 32, "MR1.example"))
    answer = admit(Config(peers=(bound, PeerRule(ae_title="CT1"))))
    proven = bool(shown & {"aa" * 32, "mr1.example"})
    assert answer(Peer("MR1", "CLOAKROOM", "", shown)) is (None if proven else Rejection.CALLING_AE_TITLE)
    assert answer(Peer("CT1", "CLOAKROOM", "", shown)) is None


def test_a_certificate_is_of_no_use_from_another_network():
    bound = PeerRule(ae_title="MR1", networks=("10.0.0.0/8",), certificates=("mr1",))
    answer = admit(Config(peers=(bound,)))
    assert answer(Peer("MR1", "CLOAKROOM", "10.1.1.1", frozenset({"mr1"}))) is None
    assert answer(Peer("MR1", "CLOAKROOM", "11.1.1.1", frozenset({"mr1"}))) is Rejection.CALLING_AE_TITLE
