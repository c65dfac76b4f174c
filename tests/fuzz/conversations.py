"""Conversations with a Storage SCP, and what a hostile or broken line makes of them; each follows from its number."""

import random
import struct

from factories import ct, encode, enhanced, mr
from peer import ABORT, CT, ECHO, EXPLICIT, IMPLICIT, MR, RELEASE_RQ, VERIFICATION, associate, context, item, pdu, pdv
from peer import request as command_set
from pydicom.uid import EnhancedMRImageStorage

COMMAND, LAST = 1, 2
ENHANCED = str(EnhancedMRImageStorage)
CONTEXTS = (
    context(1, VERIFICATION, IMPLICIT),
    context(3, MR, EXPLICIT, IMPLICIT),
    context(5, MR, IMPLICIT),
    context(7, CT, EXPLICIT),
    context(9, ENHANCED, EXPLICIT),
)
ROLE = item(0x54, struct.pack(">H", len(MR)) + MR.encode() + b"\1\0")
WINDOW = item(0x53, struct.pack(">HH", 4, 4))
IDENTITY = item(0x58, b"\2\1" + struct.pack(">H", 4) + b"user" + struct.pack(">H", 4) + b"pass")
EXTENDED = item(0x56, struct.pack(">H", len(MR)) + MR.encode() + b"\2\1\1\0\0\0")
INTERESTING = (0, 1, 2, 3, 0x7F, 0x80, 0xFE, 0xFF)
LENGTHS = (0, 1, 2, 3, 5, 6, 7, 0xFF, 0x100, 0xFFFE, 0xFFFF, 0x20000, 0x20001, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
Parts = list[bytes]


def store(number: int, sop_class: str, uid: str, data: bytes, sizes: tuple[int, ...] = (4_000,)) -> Parts:
    """A C-STORE-RQ in PDUs; `sizes` are those of the data set's fragments, the last one for the rest of them."""
    command = command_set(1, sop_class, uid, data=True)
    parts, at, rest = [pdu(4, pdv(number, COMMAND | LAST, command))], 0, list(sizes)
    while at < len(data):
        size = rest.pop(0) if len(rest) > 1 else rest[0]
        part, at = data[at : at + size], at + size
        parts.append(pdu(4, pdv(number, LAST if at >= len(data) else 0, part)))
    return parts


def conversations() -> list[Parts]:
    """Good ones, as lists of PDUs, for what an association can be."""
    associated = associate(*CONTEXTS)
    rich = associate(*CONTEXTS, user=ROLE + WINDOW + IDENTITY + EXTENDED, max_pdu=0)
    echo = pdu(4, pdv(1, COMMAND | LAST, command_set(ECHO, VERIFICATION)))
    whole, one, big = mr(1), ct(2), enhanced(3)
    uids = [str(dataset.SOPInstanceUID) for dataset in (whole, one, big)]
    mr_parts = store(3, MR, uids[0], encode(whole))
    implicit = store(5, MR, uids[0], encode(whole, IMPLICIT), (100, 7, 900))
    ct_parts = store(7, CT, uids[1], encode(one), (1, 2, 3, 5_000))
    big_parts = store(9, ENHANCED, uids[2], encode(big), (30, 200))
    find = pdu(4, pdv(3, COMMAND | LAST, command_set(0x20, MR, data=True))) + pdu(4, pdv(3, LAST, encode(one)[:200]))
    together = pdu(4, pdv(3, COMMAND | LAST, command_set(1, MR, uids[0], data=True)) + pdv(3, LAST, encode(whole)))
    return [
        [associated, echo, *mr_parts, RELEASE_RQ],
        [rich, *mr_parts, *ct_parts, RELEASE_RQ],
        [associated, *implicit, echo, ABORT],
        [associated, *big_parts, RELEASE_RQ],
        [rich, find, echo, together, RELEASE_RQ],
        [associated, *mr_parts, *mr_parts, *implicit, *ct_parts, *big_parts, RELEASE_RQ],
    ]


def mutated(good: list[Parts], seed: int, number: int) -> bytes:
    """Conversation `number` of the campaign `seed`: one of the good ones, changed a little or a lot."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311  to be repeatable, not secret
    parts = list(chance.choice(good))
    if chance.random() < 0.3:
        _shuffle(chance, parts, good)
    data = bytearray(b"".join(parts))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8, 32))):
        chance.choice(CHANGES)(chance, data)
    if chance.random() < 0.2:
        del data[chance.randrange(len(data) + 1) :]
    return bytes(data)


def _shuffle(chance: random.Random, parts: Parts, good: list[Parts]) -> None:
    """PDUs left out, doubled, exchanged, or from another conversation."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(parts))
        what = chance.randrange(4)
        if what == 0 and len(parts) > 1:
            del parts[at]
        elif what == 1:
            parts.insert(at, parts[at])
        elif what == 2:
            other = chance.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        else:
            parts.insert(at, chance.choice(chance.choice(good)))


def _flip(chance: random.Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((*INTERESTING, chance.randrange(256)))


def _remove(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + chance.choice((1, 2, 4, 100))]


def _insert(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 100)))


def _repeat(chance: random.Random, data: bytearray) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = data[at : at + chance.choice((2, 8, 64))] * chance.choice((1, 2, 50))


def _lie(chance: random.Random, data: bytearray) -> None:
    """A length that is none, in either byte order and of either size."""
    form = chance.choice((">I", "<I", ">H", "<H"))
    size = struct.calcsize(form)
    if len(data) >= size:
        at = chance.randrange(len(data) - size + 1)
        struct.pack_into(form, data, at, chance.choice(LENGTHS) % (1 << (8 * size)))


CHANGES = (_flip, _flip, _set, _set, _remove, _insert, _repeat, _lie, _lie)
