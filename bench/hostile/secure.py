"""Attacks on the port for TLS: silence before the handshake, within it, and handshakes that are only begun."""

import ssl
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.hostile.attack import AT_ONCE, HANDSHAKE, MIB, MR, Attack, once
from bench.wire import associate_rq


@cache
def hello() -> bytes:
    """The first thing a client of TLS says (RFC 8446 4.1.2), as OpenSSL says it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    said = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname="node")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return said.read()
    raise AssertionError("nobody answered, so nothing can have ended")


def _half() -> Iterator[bytes]:
    yield hello()[: len(hello()) // 2]


def _whole() -> Iterator[bytes]:
    yield hello()


def settings(folder: Path, port: int) -> Mapping[str, object]:
    """A node's settings for TLS beside its port without; its certificate is made for the occasion."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    said = {"enabled": True, "port": port, "certificate": pem, "key": private, "client_ca": pem}
    return {f"tls__{key}": value for key, value in said.items()}


SECURE = (
    Attack(
        "tls-silent",
        "TLS: 200 connections of no byte",
        once(),
        ("close",),
        HANDSHAKE,
        associated=False,
        sockets=200,
        from_first=True,
        secure=True,
    ),
    Attack(
        "tls-half-hello",
        "TLS: half a ClientHello, then silence",
        _half,
        ("close",),
        HANDSHAKE,
        associated=False,
        sockets=20,
        from_first=True,
        secure=True,
    ),
    Attack(
        "tls-hello",
        "TLS: a ClientHello, then silence",
        _whole,
        ("close",),
        HANDSHAKE,
        associated=False,
        sockets=20,
        from_first=True,
        secure=True,
    ),
    Attack(
        "tls-clear",
        "TLS: an A-ASSOCIATE-RQ in clear",
        once(associate_rq(MR)),
        ("close",),
        AT_ONCE,
        associated=False,
        secure=True,
    ),
    Attack(
        "tls-record",
        "TLS: a record longer than one may be",
        once(struct.pack(">BHH", 22, 0x0301, 0xFFFF), bytes(MIB)),
        ("close",),
        AT_ONCE,
        associated=False,
        secure=True,
    ),
    Attack(
        "tls-flood",
        "TLS: ClientHellos of those who leave, 8 at once",
        _whole,
        ("left", "close"),
        HANDSHAKE,
        associated=False,
        sockets=8,
        leaves=True,
        secure=True,
    ),
)
