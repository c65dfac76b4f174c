"""Attacks by commands that DIMSE does not know, or not there."""

import struct

from bench.hostile.attack import ANSWER, AT_ONCE, HEAD, MR, SHORT, STORE, UID, Attack, commands, for_ever, once, stored
from bench.wire import COMMAND, LAST, command_pdu, data_pdu, pdu

COMMANDS = (
    Attack(
        "no-command-field",
        "a command set without its Command Field",
        once(commands((0x110, 1), (0x800, 0x0101))),
        ("abort",),
        AT_ONCE,
    ),
    Attack(
        "unknown-command",
        "Command Field 0xDEAD",
        once(commands((0x100, 0xDEAD), (0x110, 1), (0x800, 0x0101))),
        ("abort", "answer"),
        AT_ONCE,
    ),
    Attack(
        "no-data-set-type",
        "a command set without its Data Set Type",
        once(commands((0x100, 0x30), (0x110, 1))),
        ("abort",),
        AT_ONCE,
    ),
    Attack(
        "long-command",
        "a command set without an end",
        for_ever(data_pdu(bytes(10_000), COMMAND)),
        ("abort",),
        SHORT,
        from_first=True,
    ),
    Attack(
        "no-pdv-header",
        "a presentation data value without its header",
        once(pdu(4, struct.pack(">IB", 1, 1))),
        ("abort",),
        AT_ONCE,
    ),
    Attack(
        "even-context",
        "a presentation context with an even id",
        once(data_pdu(b"", COMMAND | LAST, 2)),
        ("abort",),
        AT_ONCE,
    ),
    Attack(
        "two-commands",
        "a second command before the data set",
        once(command_pdu(STORE, MR, UID) * 2),
        ("abort",),
        AT_ONCE,
    ),
    Attack("data-set-first", "a data set without a command", once(data_pdu(HEAD, LAST)), ("abort",), AT_ONCE),
    Attack("path", "a SOP Instance UID that is a path", stored(HEAD, "../../../../tmp/x"), ("answer",), ANSWER),
    Attack("newline", "a SOP Instance UID with a line of log in it", stored(HEAD, "1.2\nI: FAKE"), ("answer",), ANSWER),
)
