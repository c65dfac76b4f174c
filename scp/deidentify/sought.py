"""Needles in the order in which they are looked for: most are not there, so what they have in common is asked first."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scp.deidentify.needles import SEPARATORS, Kind, Needle, Needles

_NOT_ASCII = re.compile(rb"[^\0-\x7f]+")
_WIDE = b"\1\0" * 5 + b"\1"
_ZEROS = b"\0" + b"\1" * 0xFF
_UID_ROOT = 20

Roots = Mapping[bytes, Sequence[tuple[bytes, Needle]]]
"""Spellings by what has to be there for any of them to be there, which may be a spelling itself."""


class Sought(NamedTuple):
    """Needles by how they are looked for: most are not there, so those that have something in common are one question.

    `wide` are in UTF-16; the digits of `dates`, and all of `loose`, are looked for without what separates them.
    """

    dates: Roots
    wide: Roots
    written: Roots
    loose: Roots


def arrange(needles: Needles) -> Sought:
    """Put needles in the order in which they are looked for."""
    found: tuple[dict[bytes, list[tuple[bytes, Needle]]], ...] = ({}, {}, {}, {})
    dates, wide, written, loose = found
    for (spelling, kind), needle in needles.items():
        if kind is Kind.DATE:
            roots, root = dates, spelling.translate(None, SEPARATORS)
        elif kind is Kind.UID:
            roots, root = written, spelling[:_UID_ROOT]  # those of one scanner begin alike
        elif not needle.loose and is_wide(spelling):
            roots, root = wide, spelling
        else:
            roots = loose if needle.loose else written
            root = spelling if spelling.isascii() else max(_NOT_ASCII.split(spelling), key=len) or spelling
        roots.setdefault(root, []).append((spelling, needle))
    return Sought(*found)


def is_wide(text: bytes) -> bool:
    """Whether some of it could be UTF-16 of a needle that is looked for in it: six characters of Latin script."""
    return _WIDE in text.translate(_ZEROS)
