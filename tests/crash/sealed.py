"""Who can open what a node has sealed: the officer, and nobody with any of the service account's keys."""

from collections.abc import Iterator
from pathlib import Path

from needles import Search
from pyrage import DecryptError, decrypt, passphrase, x25519
from running import Node

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def opened_by(node: Node, officer: x25519.Identity, search: Search, most: int, heard) -> list[str]:
    """What is wrong: an original that the service can open, or one that the officer can't or that holds nobody."""
    sealed = sorted((node.state / "quarantine").glob("*/*.age"))[:most]
    secrets = list(held(node.state / "keys"))
    wrong = [] if sealed and secrets else ["nothing is sealed, or the service has no key"]
    people = 0
    for file in sealed:
        data = file.read_bytes()
        wrong += [f"{name} opens {file.name}" for name, identity in secrets if _opens(data, identity)]
        people += any(search.data(decrypt(data, [officer])))
    none = f"{len(secrets)} readings of the service's keys open none"
    heard(f"{len(sealed)} sealed originals: {none}, the officer's key all; {people} name somebody")
    if people < 0.9 * len(sealed):
        wrong.append(f"only {people} of {len(sealed)} sealed originals hold an identifier")
    return wrong


def held(folder: Path) -> Iterator[tuple[str, x25519.Identity | str]]:
    """Every key file below a folder as age could take it: an identity, 32 bytes that could be one, a passphrase."""
    for path in sorted(folder.iterdir()):
        text = path.read_text("ascii").strip()
        yield f"{path.name} as a passphrase", text
        if text.startswith("AGE-SECRET-KEY-"):
            yield f"{path.name}", x25519.Identity.from_str(text)
        if len(text) == 64:
            yield f"{path.name} as a private key", identity(bytes.fromhex(text))


def identity(scalar: bytes) -> x25519.Identity:
    """A private key of 32 bytes, written as age reads it (Bech32, BIP 173)."""
    prefix = "age-secret-key-"
    bits = "".join(f"{byte:08b}" for byte in scalar)
    words = [int(bits[at : at + 5].ljust(5, "0"), 2) for at in range(0, len(bits), 5)]
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    check = 1
    for word in [*expanded, *words, 0, 0, 0, 0, 0, 0]:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ word
        for at, generator in enumerate(_GENERATOR):
            check ^= generator if top >> at & 1 else 0
    words += [(check ^ 1) >> 5 * (5 - at) & 31 for at in range(6)]
    return x25519.Identity.from_str((prefix + "1" + "".join(_CHARSET[word] for word in words)).upper())


def _opens(data: bytes, identity: x25519.Identity | str) -> bool:
    try:
        passphrase.decrypt(data, identity) if isinstance(identity, str) else decrypt(data, [identity])
    except DecryptError:
        return False
    return True
