"""A real node that takes associations over TLS only, from titles bound to certificates, with a password."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess

import pytest
from authority import Authority, fingerprint
from factories import mr
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from running import Node, free_port, wait
from test_senders import check, run, write

from scp.receive.identity import scrypt

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    return Authority(folder, "authority")


@pytest.fixture
def settings(authority):
    """The node's settings over TLS, as variables have them."""
    certificate, key = authority.make("node")
    passwords, salt = authority.folder / "passwords", bytes(16)
    kept = base64.b64encode(scrypt(b"pass word", salt)).decode()
    passwords.touch(0o600)
    passwords.write_text(f"ward7 {base64.b64encode(salt).decode()} {kept}\n")
    authority.make("mr1")
    bound = fingerprint(authority.folder / "mr1.crt")
    return {
        "tls__enabled": True,
        "tls__port": free_port(),
        "tls__plain_port": False,
        "tls__certificate": certificate,
        "tls__key": key,
        "tls__client_ca": authority.path,
        "user_identity__check": "password",
        "user_identity__passwords": passwords,
        "transfer_syntaxes": EXPLICIT,
        "peers": f'[{{"ae_title": "MR1", "certificates": ["{bound}"]}}]',
    }


@pytest.fixture
def node(tmp_path, settings):
    node = Node(tmp_path, **settings)
    node.start()
    yield node
    node.stop()


def context(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.path)
    context.load_cert_chain(authority.folder / f"{name}.crt", authority.folder / f"{name}.key")
    return context


def push(node, client, instance, *, calling="MR1", password=b"pass word", syntax=EXPLICIT):  # noqa: PLR0913  what can differ
    """The status of one C-STORE; None where there is no association."""
    wish = UserIdentityNegotiation()
    wish.user_identity_type, wish.primary_field, wish.secondary_field = 2, b"ward7", password
    entity = AE(calling)
    entity.add_requested_context(instance.SOPClassUID, syntax)
    port = node.settings["tls__port"]
    association = entity.associate("127.0.0.1", port, ae_title="CLOAKROOM", tls_args=(client, None), ext_neg=[wish])
    if not association.is_established:
        return None
    status = association.send_c_store(instance).Status
    association.release()
    association.join(10)
    return status


def test_who_proves_it_all_is_served_and_nobody_else(node, authority):
    client = context(authority, "mr1")
    assert push(node, client, mr()) == 0x0000
    assert push(node, client, mr(), password=b"wrong") is None
    assert push(node, client, mr(), calling="MR2") is None
    authority.make("other")
    assert push(node, context(authority, "other"), mr()) is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", node.port), timeout=5)
    assert node.metric('cloakroom_tls_handshakes_total{handshake="done"}') == 4
    assert node.metric('cloakroom_associations_total{result="rejected"}') == 3
    assert push(node, client, mr(), syntax=IMPLICIT) is None, "the site has not named it"
    log = node.log.read_text()
    assert "ward7" not in log
    assert '"rejection": "user_identity"' in log
    assert len(node.published(1)) == 1


@pytest.mark.debian
def test_dcmtk_pushes_a_study_over_tls(node, authority, tmp_path):
    """Certificate, key, name and password as a PACS administrator gives them to DCMTK's programs."""
    files = write(tmp_path / "study")
    keys = (authority.folder / "mr1.key", authority.folder / "mr1.crt")
    trust = ["+tls", *keys, "+cf", authority.path, "-aec", "CLOAKROOM"]
    proof = ["-aet", "MR1", "-usr", "ward7", "-pwd", "pass word"]
    where = ["127.0.0.1", node.settings["tls__port"]]
    run("storescu", *trust, *proof, "-R", "+sd", *where, tmp_path / "study")
    check(node, files, EXPLICIT)
    for stranger in (["-aet", "MR2", *proof[2:]], [*proof[:-1], "wrong"], ["-aet", "MR1"]):
        with pytest.raises(subprocess.CalledProcessError):
            run("storescu", *trust, *stranger, "-R", "+sd", *where, tmp_path / "study")
    with pytest.raises(subprocess.CalledProcessError):
        run("echoscu", "+tla", *trust[3:], "-aet", "MR1", *where)
    assert len(node.published(len(files))) == len(files)


def lives(node, name):
    """The process ids that the supervisor has started under a name."""
    lines = [json.loads(line) for line in node.log.read_text().splitlines() if '"child_started"' in line]
    return [line["pid"] for line in lines if line["name"] == name]


@pytest.mark.parametrize("name", ["worker-1", "writer"])
def test_who_hangs_is_replaced_and_counted(tmp_path, settings, name):
    node = Node(tmp_path, **settings, limits__hung_seconds=2)
    node.start()
    try:
        [hung] = lives(node, name)
        os.kill(hung, signal.SIGSTOP)
        wait(lambda: len(lives(node, name)) == 2, "it is replaced")
        assert node.metric('cloakroom_limits_total{limit="hung_seconds"}') == 1
        wait(node.ready, "the node is ready")
    finally:
        node.stop()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tls__key": "/nowhere/key.pem"}, "/nowhere/key.pem: cannot be read: No such file or directory"),
        ({"tls__client_ca": "/nowhere/ca.pem"}, "/nowhere/ca.pem: the authorities of peers' certificates cannot be"),
        ({"user_identity__passwords": "/nowhere/p"}, "/nowhere/p: cannot be read: No such file or directory"),
        ({"tls__enabled": False}, "CLOAKROOM_PEERS: a title is bound to certificates, but tls.enabled is false"),
        ({"tls__enabled": False, "peers": "[]"}, "CLOAKROOM_TLS__PLAIN_PORT: no port is left"),
        (
            {"transfer_syntaxes": "1.2.840.10008.1.2.2"},
            "CLOAKROOM_TRANSFER_SYNTAXES: 1.2.840.10008.1.2.2 is no transfer",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["serve", "config check"])
def test_what_is_not_in_order_is_one_sentence_and_no_node(tmp_path, settings, changes, says, verb):
    node = Node(tmp_path, **settings | changes)
    done = node.command(*verb.split(), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cloakroom: {says}")
    assert done.stderr.count("\n") == 1
    assert not node.state.exists()
