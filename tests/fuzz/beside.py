"""Series that nobody would send: each instance by what it has in common with those before it, and as if it were alone.

Both ways have to end alike: the same bytes, or a failure of the same outcome.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from struct import unpack_from
from typing import NamedTuple

from conversations import CHANGES
from encoded import IMPLICIT, explicit
from walker import SUBJECT, Case, Wrong

from scp.alike import Alike, Neighbours
from scp.dataset import LONG_VRS, DataSet, read
from scp.deidentify.functions.tokens import is_uid
from scp.deidentify.plan import Plan
from scp.deidentify.values import TEXT_VRS
from scp.instance import Arrival, Instance, Peer, Subject
from scp.outcome import Failure, Outcome

LENGTH = 12
OTHER = Subject("Zz9Other10", "1111111111", b"\x08" * 32)
PEER = Peer("MODALITY", "CLOAKROOM", "192.0.2.7")
CLASS, UID = 0x00080016, 0x00080018
_WORDS = ("", "1", "20240201", "19540312", "AXIAL", "b1000", "-12.5", "0.75\\0.75", "1.2.840.113619.2.55.3", "O", "YES")


class Sent(NamedTuple):
    """One of a series: whose it is, its bytes, and the transfer syntax where it is not that of all."""

    subject: Subject
    data: bytes
    syntax: str = ""


class Tally(NamedTuple):
    """How many of a series came through, and how many of all were read by what they have in common."""

    through: int
    alike: int


def series(good: Sequence[Case], seed: int, number: int) -> tuple[Case, list[Sent]]:
    """Series `number` of the campaign `seed`: what it was made from, and its instances in order."""
    chance = random.Random(f"series {seed} {number}")  # noqa: S311  to be repeatable, not secret
    case = chance.choice([one for one in good if is_readable(one)])
    dataset = read(case.data, explicit=True)
    rows = [bytes(case.data[one.start : one.stop]) for one in dataset.elements]
    pool = [*_WORDS, *(_text(row) for row in rows)]
    changing = chance.sample(range(len(rows)), min(len(rows), chance.choice((1, 2, 3, 5, 8))))
    sent, subject = [], SUBJECT
    for _ in range(LENGTH):
        if chance.random() < 0.05:
            subject = chance.choice((SUBJECT, OTHER))
        sent.append(Sent(subject, _one(chance, rows, changing, pool)))
    return case, sent


def is_readable(case: Case) -> bool:
    """Whether a series can be made of it."""
    try:
        read(case.data, explicit=True)
    except Failure:
        return False
    return case.syntax != IMPLICIT


def agree(plan: Plan, case: Case, sent: Sequence[Sent]) -> Tally:
    """Send them both ways. Raises Wrong where they do not end alike."""
    neighbours, apart = Neighbours(), replace(plan)
    through = alike = 0
    for number, one in enumerate(sent):
        _forget(apart)
        expected, _ = _end(apart, case, one, None)
        made, dataset = _end(plan, case, one, neighbours)
        if made != expected:
            raise Wrong(f"number {number} of its series ends as {_said(made)} and alone as {_said(expected)}")
        alike += isinstance(dataset, Alike)
        through += isinstance(made, bytes)
    return Tally(through, alike)


def _forget(plan: Plan) -> None:
    """What this thread remembers of values that it has spelled or rewritten."""
    plan._guard._recent.__init__()
    plan._tables.rewritten.__init__()


def _end(plan: Plan, case: Case, one: Sent, neighbours: Neighbours | None) -> tuple[object, DataSet | None]:
    """What leaves, or the outcome of the failure; and the data set where there is one."""
    dataset, syntax = None, one.syntax or case.syntax
    try:
        reader = neighbours.read if neighbours else read
        dataset = reader(one.data, explicit=syntax != IMPLICIT)
        uid, sop_class = dataset.text(UID), dataset.text(CLASS)
        if not is_uid(uid) or not is_uid(sop_class):
            return Outcome.MISMATCHED, dataset  # intake compares them with the command
        arrival = Arrival(PEER, sop_class, uid, sop_class, syntax, one.data)
        made = plan.apply(Instance(arrival, dataset), one.subject)
    except Failure as failure:
        return failure.outcome, dataset
    return b"".join(made.parts), dataset


def _one(chance: random.Random, rows: Sequence[bytes], changing: Sequence[int], pool: Sequence[str]) -> bytes:
    parts = list(rows)
    for number in changing:
        if chance.random() < 0.8:
            parts[number] = _with_another_value(chance, rows[number], pool)
    if chance.random() < 0.1:
        del parts[chance.randrange(len(parts))]
    if chance.random() < 0.05:
        at = chance.randrange(len(parts))
        parts[at] = _with_another_value(chance, parts[at], pool)
    data = bytearray(b"".join(parts))
    if chance.random() < 0.1:
        chance.choice(CHANGES)(chance, data)
    return bytes(data)


def _with_another_value(chance: random.Random, row: bytes, pool: Sequence[str]) -> bytes:
    """The element with a value of the same or another length; what is no text has some of its bytes changed."""
    group, element = unpack_from("<HH", row)
    vr = row[4:6].decode("latin-1")
    if vr in TEXT_VRS and chance.random() < 0.9:
        return explicit(group << 16 | element, vr, chance.choice(pool).encode("latin-1", "replace"))
    begin = 12 if vr in LONG_VRS else 8
    data = bytearray(row)
    if len(data) > begin:
        data[chance.randrange(begin, len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def _text(row: bytes) -> str:
    return row[8:72].decode("latin-1") if row[4:6].decode("latin-1") in TEXT_VRS.keys() - LONG_VRS else ""


def _said(end: object) -> str:
    return f"{len(end)} bytes" if isinstance(end, bytes) else str(end)
