"""Associations over TLS: who gets in, what breaks, what it costs others, and certificates that change meanwhile."""

import io
import json
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from authority import Authority, fingerprint
from peer import (
    DATA,
    ECHO_RQ,
    ESTABLISHED,
    GOODBYE,
    NEEDLE,
    PATIENCE,
    RELEASE_RQ,
    STORE_ALL,
    STORE_RQ,
    STORED,
    Answered,
    Closed,
    Line,
    Node,
    Send,
    Step,
    Told,
    associate,
    data_set,
    pdu,
    pdv,
    rejected,
)
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage
from test_limits import until
from test_peers import image

from scp.admission import admit
from scp.config import Config, Limits, PeerRule, Tls
from scp.receive import expiry, tls
from scp.receive.drain import Drain
from scp.receive.supervisor import bind
from scp.receive.watched import SecretFileError
from scp.receive.wire import Wire

SHORT = 0.1


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def settings(authority: Authority) -> Tls:
    certificate, key = authority.make("node")
    return Tls(enabled=True, certificate=certificate, key=key, client_ca=authority.path)


@pytest.fixture
def secure(node: Callable[..., Node], settings: Tls) -> Callable[..., Node]:
    """A node with both ports."""

    def start(*, bound: bool = False, tls_settings: Tls = settings, **parts: object) -> Node:
        return node(contexts=tls.contexts(tls_settings, bound=bound), **parts)

    return start


def plug(node: Node) -> socket.socket:
    return socket.create_connection(node.tls_address[:2], timeout=PATIENCE)


def connect(node: Node, context: ssl.SSLContext) -> Line:
    """`suppress_ragged_eofs` off: an end without close_notify is an error to this peer."""
    return Line(context.wrap_socket(plug(node), suppress_ragged_eofs=False))


def play(node: Node, context: ssl.SSLContext, *steps: Step) -> None:
    line = connect(node, context)
    with line.sock:
        for step in steps:
            step.play(line)


def refused(node: Node, context: ssl.SSLContext) -> bool:
    """Whether there is no session; with TLS 1.3 a client hears so only when it reads."""
    try:
        line = connect(node, context)
    except (ssl.SSLError, ConnectionError):
        return True
    with line.sock:
        try:
            line.sock.sendall(associate())
            line.sock.recv(1)
        except (ssl.SSLError, ConnectionError):
            return True
    return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_dialogue_is_the_same_over_tls_and_ends_with_a_close_notify(
    secure: Callable[..., Node], authority: Authority, version: ssl.TLSVersion
) -> None:
    node, client = secure(), authority.client("mr1")
    client.maximum_version = version
    echoed = Answered(0x8030, 0, number=1)
    play(node, client, *ESTABLISHED, Send(ECHO_RQ), echoed, *(Send(STORE_ALL), STORED) * 2, *GOODBYE)
    node.settle()
    assert [bytes(arrival.data) for arrival in node.taken] == [DATA] * 2
    assert node.count("tls_handshakes_total", handshake="done") == 1
    node.play([*ESTABLISHED, *GOODBYE])


def test_bytes_that_the_session_holds_are_not_waited_for(secure: Callable[..., Node], authority: Authority) -> None:
    """Several PDUs in one TLS record: poll sees nothing more, yet all of them are there."""
    node = secure(limits=Limits(idle_seconds=PATIENCE * 2))
    steps = (Send(associate() + STORE_ALL * 3 + RELEASE_RQ), ESTABLISHED[1], STORED, STORED, STORED, *GOODBYE[1:])
    play(node, authority.client("mr1"), *steps)
    node.settle()
    assert len(node.taken) == 3


def test_a_large_data_set_comes_whole(secure: Callable[..., Node], authority: Authority) -> None:
    node, parts = secure(), [bytes([number]) * 100_000 for number in range(40)]
    pdus = b"".join(pdu(4, pdv(3, 2 * (number == 39), part)) for number, part in enumerate(parts))
    play(node, authority.client("mr1"), *ESTABLISHED, Send(STORE_RQ + pdus), STORED, *GOODBYE)
    assert node.taken[0].data == b"".join(parts)


def test_the_handshake_too_is_acknowledged_at_once(settings: Tls, authority: Authority) -> None:
    """Or a peer with Nagle's algorithm on waits 40 ms between its handshake and its request."""
    client, drain = authority.client("mr1"), Drain()
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), PATIENCE) as sock:
        until(lambda: bool(select.select([listener], [], [], 0)[0]))
        wire = Wire(listener.accept()[0], Limits(), drain)
        sessions: list[ssl.SSLSocket] = []
        shaking = threading.Thread(target=lambda: sessions.append(client.wrap_socket(sock)))
        shaking.start()
        wire.secure(tls.contexts(settings, bound=False).get())
        shaking.join()
        assert wire._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
        assert wire.session is wire._socket
        assert {"mr1", fingerprint(authority.folder / "mr1.crt")} == tls.proven(wire.session)
        sessions[0].close()
        wire.close()
    drain.close()


def test_pynetdicom_stores_over_tls(secure: Callable[..., Node], authority: Authority) -> None:
    node, entity = secure(), AE("MODALITY")
    entity.add_requested_context(MRImageStorage, "1.2.840.10008.1.2.1")
    association = entity.associate(
        *node.tls_address[:2], ae_title="CLOAKROOM", tls_args=(authority.client("mr1"), None)
    )
    assert association.is_established
    assert association.send_c_store(image(1_000_000)).Status == 0
    association.release()
    association.join(PATIENCE)
    node.settle()
    assert NEEDLE in node.taken[0].data


@pytest.mark.debian
def test_dcmtk_stores_over_tls(secure: Callable[..., Node], authority: Authority, tmp_path: Path) -> None:
    node = secure()
    certificate, key = authority.make("mr1")
    image(300_000).save_as(tmp_path / "image.dcm", enforce_file_format=True)
    trust = ["+tls", str(key), str(certificate), "+cf", str(authority.path)]
    called = ["-aec", "CLOAKROOM", "-aet", "MODALITY", "127.0.0.1", str(node.tls_address[1])]
    subprocess.run(["storescu", *trust, *called, str(tmp_path / "image.dcm")], check=True)
    node.settle()
    assert len(node.taken) == 1
    anonymous = ["storescu", "+tla", "+cf", str(authority.path), *called, str(tmp_path / "image.dcm")]
    assert subprocess.run(anonymous, check=False, capture_output=True).returncode
    assert len(node.taken) == 1


def test_without_the_right_certificate_nobody_gets_in(
    secure: Callable[..., Node], authority: Authority, tmp_path: Path, told: io.StringIO
) -> None:
    node = secure()
    (tmp_path / "other").mkdir()
    stranger = authority.client()
    stranger.load_cert_chain(*Authority(tmp_path / "other", "other").make("NEEDLE^PATIENT"))
    assert refused(node, authority.client())
    assert refused(node, stranger)
    node.settle()
    assert node.count("tls_handshakes_total", handshake="failed") == 2
    assert sum(node.count("associations_total", result=each) for each in ("accepted", "rejected", "aborted")) == 0
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    reasons = {line["reason"] for line in lines if line["event"] == "tls_handshake_failed"}
    assert reasons == {"PEER_DID_NOT_RETURN_A_CERTIFICATE", "CERTIFICATE_VERIFY_FAILED"}
    play(node, authority.client("mr1"), *ESTABLISHED, *GOODBYE)


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA384"])
def test_only_forward_secrecy_with_authenticated_encryption_is_offered(
    secure: Callable[..., Node], authority: Authority, cipher: str
) -> None:
    node, client = secure(), authority.client("mr1")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(cipher)
    assert refused(node, client)


@pytest.mark.parametrize(
    "said", [associate(), b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" + bytes(99)]
)
def test_what_is_no_tls_is_closed(secure: Callable[..., Node], said: bytes) -> None:
    node = secure(limits=Limits(tls_handshake_seconds=SHORT))
    with plug(node) as sock:
        sock.sendall(said)
        with suppress(ConnectionError):
            while sock.recv(100):  # an alert, perhaps
                pass
    node.settle()
    assert node.count("tls_handshakes_total", handshake="failed") == 1


def test_silent_clients_keep_nobody_waiting_and_are_closed_at_their_deadline(
    secure: Callable[..., Node], authority: Authority
) -> None:
    node = secure(limits=Limits(max_unassociated_per_address=40, tls_handshake_seconds=2))
    client = authority.client("mr1")
    with ExitStack() as open_lines:
        silent = [open_lines.enter_context(plug(node)) for _ in range(30)]
        until(lambda: node.worker.guests._waiting.total() == 30)
        for _ in range(10):
            play(node, client, *ESTABLISHED, Send(STORE_ALL), STORED, *GOODBYE)
            node.play([*ESTABLISHED, Send(STORE_ALL), STORED, *GOODBYE])
        assert len(node.taken) == 20
        for sock in silent:
            assert sock.recv(1) == b""
    node.settle()
    assert node.count("limits_total", limit="tls_handshake_seconds") == 30


def test_a_trickled_handshake_does_not_move_its_deadline(secure: Callable[..., Node]) -> None:
    node = secure(limits=Limits(tls_handshake_seconds=SHORT * 3))
    with plug(node) as sock, suppress(ConnectionError):
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400):
            sock.sendall(bytes((byte,)))
            time.sleep(0.005)
    node.settle()
    assert node.count("limits_total", limit="tls_handshake_seconds") == 1


def test_after_the_handshake_the_deadlines_are_those_of_every_association(
    secure: Callable[..., Node], authority: Authority
) -> None:
    node = secure(limits=Limits(artim_seconds=SHORT, idle_seconds=SHORT))
    client = authority.client("mr1")
    play(node, client, Closed())
    play(node, client, *ESTABLISHED, Told(7, b"\0\0\2\0"), Closed())
    node.settle()
    assert node.count("limits_total", limit="artim_seconds") == 1
    assert node.count("limits_total", limit="idle_seconds") == 1


def test_a_leaving_worker_ends_associations_over_tls(
    secure: Callable[..., Node], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.receive.messages.GRACE_SECONDS", SHORT)
    node = secure()
    line = connect(node, authority.client("mr1"))
    with line.sock:
        for step in ESTABLISHED:
            step.play(line)
        node.worker.leave()
        Told(7, bytes(4)).play(line)
        Closed().play(line)
    node.stop_serving()


def test_a_name_does_not_pass_for_the_fingerprint_of_another_certificate(
    secure: Callable[..., Node], authority: Authority
) -> None:
    """A common name has room for just 64 characters (RFC 5280, ub-common-name)."""
    client = authority.client("mr1")
    bound = fingerprint(authority.folder / "mr1.crt")
    node = secure(admit=admit(Config(peers=(PeerRule(ae_title="MODALITY", certificates=(bound,)),))))
    play(node, client, *ESTABLISHED, *GOODBYE)
    for name in (bound, bound.upper()):
        play(node, authority.client(name), Send(associate()), *rejected(1, 1, 3))


@pytest.mark.parametrize("by", ["fingerprint", "common name", "DNS name"])
def test_a_bound_title_is_the_certificates_alone(secure: Callable[..., Node], authority: Authority, by: str) -> None:
    client = authority.client("MR1", "mr1.hospital.example")
    names = {
        "fingerprint": fingerprint(authority.folder / "MR1.crt").upper(),
        "common name": "mr1",
        "DNS name": "MR1.hospital.example",
    }
    peers = (PeerRule(ae_title="MODALITY", certificates=(names[by],)), PeerRule(ae_title="FREE"))
    node = secure(admit=admit(Config(peers=peers)))
    play(node, client, *ESTABLISHED, *GOODBYE)
    no = (Send(associate()), *rejected(1, 1, 3))
    play(node, authority.client("ct2", "ct2.hospital.example"), *no)
    node.play(no)
    node.play([Send(associate(calling=b"FREE")), ESTABLISHED[1], *GOODBYE])


def test_where_certificates_are_not_required_only_bound_titles_need_one(
    secure: Callable[..., Node], settings: Tls, authority: Authority, tmp_path: Path
) -> None:
    peers = (PeerRule(ae_title="MODALITY", certificates=("mr1",)), PeerRule(ae_title="FREE"))
    optional = settings.model_copy(update={"require_client_certificate": False})
    node = secure(tls_settings=optional, bound=True, admit=admit(Config(peers=peers)))
    play(node, authority.client("mr1"), *ESTABLISHED, *GOODBYE)
    play(node, authority.client(), Send(associate()), *rejected(1, 1, 3))
    play(node, authority.client(), Send(associate(calling=b"FREE")), ESTABLISHED[1], *GOODBYE)
    (tmp_path / "other").mkdir()
    forger = authority.client()
    forger.load_cert_chain(*Authority(tmp_path / "other", "other").make("mr1"))
    assert refused(node, forger), "a certificate that is shown must be of a known authority"


def shown(node: Node, client: ssl.SSLContext) -> str:
    line = connect(node, client)
    with line.sock:
        assert isinstance(line.sock, ssl.SSLSocket)
        [[[_, name]]] = line.sock.getpeercert()["subject"]  # type: ignore[index,misc]
        for step in (*ESTABLISHED, *GOODBYE):
            step.play(line)
    return str(name)


def test_new_files_are_used_without_a_restart_and_bad_ones_are_not(
    secure: Callable[..., Node], settings: Tls, authority: Authority, told: io.StringIO
) -> None:
    node, client = secure(), authority.client("mr1")
    assert shown(node, client) == "node"
    certificate, key = authority.make("renewed")
    kept = connect(node, client)
    with kept.sock:
        ESTABLISHED[0].play(kept)
        ESTABLISHED[1].play(kept)

        settings.certificate.write_bytes(certificate.read_bytes())  # its key has not come yet
        assert [shown(node, client) for _ in range(3)] == ["node"] * 3
        assert told.getvalue().count('"event": "files_refused"') == 1, "told once, not with each connection"

        settings.key.write_bytes(key.read_bytes())
        assert shown(node, client) == "renewed"
        settings.certificate.write_text("no certificate")
        assert shown(node, client) == "renewed"
        settings.certificate.unlink()
        assert shown(node, client) == "renewed"
        for step in (Send(STORE_ALL), STORED, *GOODBYE):
            step.play(kept)
    assert told.getvalue().count('"event": "files_renewed"') == 1


def test_an_authority_that_is_taken_away_is_not_trusted_any_more(
    secure: Callable[..., Node], settings: Tls, authority: Authority, tmp_path: Path
) -> None:
    node, client = secure(), authority.client("mr1")
    play(node, client, *ESTABLISHED, *GOODBYE)
    (tmp_path / "new").mkdir()
    settings.client_ca.write_bytes(Authority(tmp_path / "new", "new").path.read_bytes())
    assert refused(node, client)


BROKEN: dict[str, tuple[Callable[[Tls], object], str]] = {
    "no certificate": (lambda files: files.certificate.unlink(), "node.crt: the node's certificate .*No such file"),
    "no key": (lambda files: files.key.unlink(), "node.key: cannot be read: No such file"),
    "no authority": (lambda files: files.client_ca.unlink(), r"authority.pem: the authorities .*No such file"),
    "an empty authority": (lambda files: files.client_ca.write_text(""), "NO_CERTIFICATE_OR_CRL_FOUND"),
    "a key that is none": (lambda files: files.key.write_text("-----BEGIN"), "node.crt: .* cannot be used: "),
    "a key for others": (lambda files: files.key.chmod(0o644), r"others can read or change it \(mode 0644\)"),
    "a key a group may write": (lambda files: files.key.chmod(0o660), r"mode 0660"),
    "a key that is not text": (lambda files: files.key.write_bytes(b"\xff"), "is not UTF-8 text"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_used_stop_the_start(settings: Tls, name: str) -> None:
    broken, says = BROKEN[name]
    broken(settings)
    with pytest.raises(SecretFileError, match=says) as caught:
        tls.contexts(settings, bound=False)
    assert "\n" not in str(caught.value)


def test_a_key_of_another_certificate_stops_the_start(settings: Tls, authority: Authority) -> None:
    _, key = authority.make("other")
    with pytest.raises(SecretFileError, match="KEY_VALUES_MISMATCH"):
        tls.contexts(settings.model_copy(update={"key": key}), bound=False)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(settings: Tls, authority: Authority) -> None:
    certificate, key = authority.make("locked", password=b"open sesame")
    with pytest.raises(SecretFileError, match="cannot be used"):
        tls.contexts(settings.model_copy(update={"certificate": certificate, "key": key}), bound=False)


def test_a_key_that_its_group_may_read_is_taken(settings: Tls) -> None:
    settings.key.chmod(0o440)
    assert tls.contexts(settings, bound=False).get().minimum_version == ssl.TLSVersion.TLSv1_2


def test_authorities_are_not_read_where_nobody_is_asked_for_a_certificate(settings: Tls) -> None:
    settings.client_ca.unlink()
    anybody = settings.model_copy(update={"require_client_certificate": False})
    assert tls.contexts(anybody, bound=False).get().verify_mode is ssl.CERT_NONE
    with pytest.raises(SecretFileError):
        tls.contexts(anybody, bound=True)


def test_the_end_of_the_authorities_is_told_wherever_they_are_asked(settings: Tls) -> None:
    anybody = settings.model_copy(update={"require_client_certificate": False})
    bound = (PeerRule(ae_title="MODALITY", certificates=("mr1",)),)
    assert set(expiry.ends(Config(tls=settings))) == {"certificate", "client_ca"}
    assert set(expiry.ends(Config(tls=anybody))) == {"certificate"}
    assert set(expiry.ends(Config(tls=anybody, peers=bound))) == {"certificate", "client_ca"}
    settings.client_ca.unlink()
    assert expiry.ends(Config(tls=anybody, peers=bound))["client_ca"] == 0
    assert expiry.ends(Config()) == {}


def test_a_plain_connection_proves_nothing() -> None:
    assert tls.proven(None) == frozenset()


def test_a_data_set_cut_by_the_end_of_its_session_is_not_taken(
    secure: Callable[..., Node], authority: Authority
) -> None:
    """Without a close_notify, as an attacker on the way could do it, and with one."""
    node, client = secure(), authority.client("mr1")
    for polite in (True, False):
        line = connect(node, client)
        with line.sock:
            for step in (*ESTABLISHED, Send(STORE_RQ + data_set(3)[:-3])):
                step.play(line)
            assert isinstance(line.sock, ssl.SSLSocket)
            if polite:
                line.sock.settimeout(0)
                with suppress(ssl.SSLError):
                    line.sock.unwrap()
    node.settle()
    assert not node.taken
    assert node.count("associations_total", result="failed") == 2
