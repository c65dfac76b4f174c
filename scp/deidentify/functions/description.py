"""What a series is called, in the site's own names or in words that every protocol uses."""

import re
from pathlib import Path

from scp.deidentify.functions.original import Function, Original

UNLISTED = "UNLISTED"
LONGEST = 50
"""Characters that the Data Catalog has room for."""
FORBIDDEN = frozenset('/*"$`\\;')
"""Characters that end up in folder names, shells and MATLAB downstream; two dots in a row are forbidden too."""

PROTOCOL_WORDS = frozenset(
    line.strip()
    for line in Path(__file__).with_name("protocol_words.txt").read_text("ascii").splitlines()
    if line.strip() and not line.startswith("#")
)
_TOKEN = re.compile(r"\d{1,3}[ _]?DIR(?:ECTION)?S?(?![A-Za-z0-9])|[A-Za-z0-9.]+", re.IGNORECASE | re.ASCII)
# b-values, sizes, factors, times and directions as protocols write them: B1000, 1MM, 0.9, P2, 2X, TE30, 64 DIR
_PARAMETER = re.compile(
    r"B\d{1,4}|\d{1,2}(\.\d{1,2})?MM|\d\.\d{1,2}|[PS][2-8]|[2-8]X|T[EIR]\d{1,4}|FA\d{1,2}|\d{1,3} ?DIR(ECTION)?S?"
)


def description(value: str, original: Original) -> str:
    """The site's name for exactly this value; else its protocol words in their order, `UNLISTED` if it has none.

    What is no protocol word goes: names, numbers and dates cannot pass. Nothing sent, nothing written.
    """
    if not value:
        return ""
    if (written := original.protocols.get(value)) is not None:
        return written
    kept = ""
    for token in _TOKEN.findall(value):
        word = token.strip(".").replace("_", " ")
        if word.upper() in PROTOCOL_WORDS or _PARAMETER.fullmatch(word.upper()):
            longer = f"{kept} {word}".lstrip()
            if len(longer) <= LONGEST:
                kept = longer
    return kept or UNLISTED


def description_within(room: int) -> Function:
    """The same for attributes with less room than a description needs: words that do not fit are left out."""

    def shortened(value: str, original: Original) -> str:
        written = ""
        for word in description(value, original).split():
            longer = f"{written} {word}".lstrip()
            if len(longer) > room:
                break
            written = longer
        return written

    return shortened


def is_writable(name: str) -> bool:
    """Whether a site's name for a protocol can stand in a file header and in folders made from it."""
    plain = name.isascii() and name.isprintable() and name == name.strip()
    return plain and 0 < len(name) <= LONGEST and not FORBIDDEN & set(name) and ".." not in name
