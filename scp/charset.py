"""Turns bytes of text into characters as SpecificCharacterSet says (PS3.3 C.12.1.1.2, PS3.5 6.1)."""

import re
from collections.abc import Mapping, Sequence

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

from scp.outcome import Failure, Outcome

TAG = 0x00080005
"""SpecificCharacterSet."""
_ESCAPE = b"\x1b"
_KEEPS_ESCAPE = frozenset({"iso2022_jp", "iso2022_jp_2"})  # these codecs want to see the escape sequence
_FRAGMENTS = re.compile(rb"(?=\x1b)")
_NOT_WORD = re.compile(r"[^A-Z0-9]")
_ENCODINGS: Mapping[str, str] = {_NOT_WORD.sub("", term): encoding for term, encoding in python_encoding.items()}


def is_plain(value: bytes) -> bool:
    """Whether the bytes mean the same characters in every character set of DICOM."""
    return value.isascii() and _ESCAPE not in value


def terms(value: bytes) -> list[str]:
    """The values of SpecificCharacterSet."""
    return [term.strip(" \0") for term in value.decode("ascii", "replace").split("\\")]


def decode(value: bytes, names: Sequence[str], errors: str = "strict") -> str:
    """The characters of `value`; `names` are the values of SpecificCharacterSet, none or empty for the default.

    Raises Failure MALFORMED where a term is unknown or, under errors="strict", bytes are not of the character set.
    """
    if is_plain(value):
        return value.decode("ascii")
    known = encodings(names)
    try:
        if _ESCAPE not in value:
            return value.decode(known[0], errors)
        return "".join(_fragment(part, known[0], errors) for part in _FRAGMENTS.split(value) if part)
    except UnicodeError:
        raise Failure(Outcome.MALFORMED, "a text is not of the character set it is said to be of") from None


def encodings(names: Sequence[str]) -> list[str]:
    """Python's names for these terms, at least one; raises Failure MALFORMED for one that is unknown."""
    return [_encoding(term) for term in names] or [_encoding("")]


def _encoding(term: str) -> str:
    """Python's name for a defined term; scanners write ISO_IR 100 with hyphens, blanks and underscores."""
    encoding = _ENCODINGS.get(_NOT_WORD.sub("", term.upper()))
    if encoding is None:
        raise Failure(Outcome.MALFORMED, "SpecificCharacterSet names a character set that DICOM does not define")
    return encoding


def _fragment(fragment: bytes, first: str, errors: str) -> str:
    """One run of bytes under one escape sequence (PS3.5 6.1.2.5)."""
    if not fragment.startswith(_ESCAPE):
        return fragment.decode(first, errors)
    length = 4 if fragment.startswith((b"\x1b$(", b"\x1b$)")) else 3
    encoding = CODES_TO_ENCODINGS.get(fragment[:length])
    if encoding is None:
        raise Failure(Outcome.MALFORMED, "a text has an escape sequence that DICOM does not define")
    return (fragment if encoding in _KEEPS_ESCAPE else fragment[length:]).decode(encoding, errors)
