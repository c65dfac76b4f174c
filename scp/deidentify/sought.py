"""Needles in the order in which they are looked for: most are not there, so what they have in common is asked first."""

import re
from collections.abc import Iterator, Mapping, Sequence
from os.path import commonprefix
from typing import NamedTuple

from scp.deidentify.needles import SEPARATORS, Kind, Needle, Needles

_NOT_ASCII = re.compile(rb"[^\0-\x7f]+")
_WIDE = b"\1\0" * 5 + b"\1"
WIDE = len(_WIDE)
"""Bytes of what makes a text one that could be UTF-16."""
_ZEROS = b"\0" + b"\1" * 0xFF
_UID_ROOT = 20
_NO_DIGITS = bytes(one for one in range(0x100) if one not in b"0123456789")
_LONG = 4_096
_FEW = 8
"""Needles in UTF-16 that are as quickly looked for as it is told that none of them is there."""

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
    uids: dict[bytes, list[tuple[bytes, Needle]]] = {}
    for (spelling, kind), needle in needles.items():
        if kind is Kind.DATE:
            roots, root = dates, spelling.translate(None, SEPARATORS)
        elif kind is Kind.UID:
            roots, root = uids, spelling[:_UID_ROOT]  # those of one scanner begin alike
        elif not needle.loose and is_wide(spelling):
            roots, root = wide, spelling
        else:
            roots = loose if needle.loose else written
            root = spelling if spelling.isascii() else max(_NOT_ASCII.split(spelling), key=len) or spelling
        roots.setdefault(root, []).append((spelling, needle))
    for those in uids.values():
        first, *others = (one for one, _ in those)
        root = (commonprefix([first, *others]) or b"") if others else first  # noqa: RUF071  bytes, no paths
        written.setdefault(root, []).extend(those)
    return Sought(*found)


class Text:
    """A text in which needles are looked for: in lower case, and without what separates letters and digits."""

    __slots__ = ("bare", "lower")

    def __init__(self, text: bytes) -> None:
        self.lower = text.lower()
        self.bare = self.lower.translate(None, SEPARATORS)

    def written(self, sought: Sought) -> Iterator[tuple[bytes, Needle]]:
        """Those that stand in it as they are spelled."""
        dates, wide, written, _ = sought
        there = [*_dated(dates, self.bare), *_there(written, self.lower)]
        if wide and (len(wide) < _FEW or is_wide(self.lower)):
            there += _there(wide, self.lower)
        return (one for one in there if one[0] in self.lower)

    def loose(self, sought: Sought) -> Iterator[tuple[bytes, Needle]]:
        """Those that stand in it whatever is between their letters."""
        return (one for one in _there(sought.loose, self.bare) if one[0] in self.bare)


def has(text: bytes, sought: Sought) -> bool:
    """Whether any of them stands in the text; as `Text` says, and for nearly all texts the answer is no."""
    dates, wide, written, loose = sought
    lower = text.lower()
    bare = lower.translate(None, SEPARATORS) if dates or loose else b""
    if dates and any(spelling in lower for spelling, _ in _dated(dates, bare)):
        return True
    for root, those in written.items():
        if root in lower and any(spelling in lower for spelling, _ in those):
            return True
    for root, those in loose.items():
        if root in bare and any(spelling in bare for spelling, _ in those):
            return True
    return bool(wide) and is_wide(lower) and any(root in lower for root in wide)


def _dated(dates: Roots, bare: bytes) -> list[tuple[bytes, Needle]]:
    """Those whose digits could be in the text: where most of it is binary, its digits are far less than all."""
    digits = bare.translate(None, _NO_DIGITS) if len(bare) > _LONG else bare
    return [one for root, those in dates.items() if root in digits and root in bare for one in those]


def _there(roots: Roots, text: bytes) -> list[tuple[bytes, Needle]]:
    """Those that could be in the text."""
    return [one for root, those in roots.items() if root in text for one in those]


def is_wide(text: bytes) -> bool:
    """Whether some of it could be UTF-16 of a needle that is looked for in it: six characters of Latin script."""
    return _WIDE in text.translate(_ZEROS)
