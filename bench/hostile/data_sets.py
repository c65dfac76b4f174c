"""Attacks by data sets that are costly or dangerous to read."""

import struct

from bench.hostile.attack import ANSWER, HEAD, ITEM, NONE, Attack, element, nested, stored

DATA_SETS = (
    Attack("deep", "sequences nested 10,000 deep", stored(HEAD[:82] + nested(10_000)), ("answer",), ANSWER),
    Attack(
        "items",
        "a million empty items",
        stored(element(0x00081140, "SQ", (ITEM + NONE) * 1_000_000)),
        ("answer",),
        ANSWER,
    ),
    Attack(
        "elements",
        "half a million empty elements",
        stored(b"".join(element(tag, "LO") for tag in range(0x00110010, 0x00110010 + 65_000)) * 8),
        ("answer",),
        ANSWER,
    ),
    Attack(
        "values",
        "a DS of five million values",
        stored(HEAD + element(0x30060050, "UN", b"1\\" * 5_000_000)),
        ("answer",),
        ANSWER,
    ),
    Attack(
        "lying-length",
        "an OB that says 4 GiB and has none",
        stored(HEAD + element(0x7FE00010, "OB", b"", 0xFFFFFFF0)),
        ("answer",),
        ANSWER,
    ),
    Attack(
        "never-ended",
        "encapsulated pixels of 16 MB without their end",
        stored(HEAD + element(0x7FE00010, "OB", ITEM + struct.pack("<I", 16_000_000) + bytes(16_000_000), 0xFFFFFFFF)),
        ("answer",),
        ANSWER,
    ),
    Attack(
        "truncated",
        "pixel data cut short",
        stored(HEAD + element(0x7FE00010, "OW", bytes(100), 131_072)),
        ("answer",),
        ANSWER,
    ),
)
