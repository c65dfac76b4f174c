"""Attacks within an association: silence, floods, and what is too long."""

from itertools import repeat

from bench.hostile.attack import (
    ANSWER,
    AT_ONCE,
    BIG,
    BODY,
    ECHO_RQ,
    EVENT,
    FOUR_MIB,
    HALF,
    INSTANCE,
    MIB,
    MR,
    SHORT,
    STORE,
    UID,
    Attack,
    crumbs,
    endless,
    for_ever,
    once,
)
from bench.wire import command_pdu

WITHIN = (
    Attack("half-header", "half a PDU header, then silence", once(b"\4\0\0"), ("abort", "close"), SHORT, sockets=20),
    Attack("half-pdu", "half a PDU of 128 KiB, then silence", once(HALF), ("abort", "close"), BODY, sockets=20),
    Attack("idle", "associations that say nothing", once(), ("abort", "close"), SHORT, sockets=20),
    Attack(
        "half-message",
        "a command whose data set never comes",
        once(command_pdu(STORE, MR, UID)),
        ("abort", "close"),
        SHORT,
        sockets=20,
    ),
    Attack("big-pdu", "a P-DATA-TF of 512 MiB", once(BIG, bytes(MIB)), ("abort",), AT_ONCE),
    Attack("endless", "a data set without an end", endless, ("abort", "close"), INSTANCE, from_first=True),
    Attack("crumbs", "fragments of 1 byte, a PDU each", crumbs(1), ("abort", "close"), INSTANCE, from_first=True),
    Attack(
        "packed-crumbs",
        "fragments of 1 byte, 2,300 a PDU",
        crumbs(2_300),
        ("abort", "close"),
        INSTANCE,
        from_first=True,
    ),
    Attack(
        "deaf",
        "C-ECHOs whose answers are never read",
        for_ever(ECHO_RQ * 100),
        ("abort", "close"),
        2 * INSTANCE,
        reads=False,
        from_first=True,
    ),
    Attack("events", "a flood of N-EVENT-REPORT", for_ever(EVENT), ("left", "answer"), ANSWER),
    Attack(
        "pipelined", "150 C-STOREs of 4 MiB without waiting", lambda: repeat(FOUR_MIB, 150), ("answer", "abort"), ANSWER
    ),
)
