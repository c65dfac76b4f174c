"""What a de-identified object says of itself: the codes of the profile and options that its recipe applies."""

from collections.abc import Sequence

from scp.deidentify.functions.dummy import code
from scp.deidentify.functions.original import VALUES, Function, Original, Rewrite
from scp.deidentify.profile import MEANINGS


def applied_codes(codes: Sequence[str]) -> Rewrite:
    """The items of DeidentificationMethodCodeSequence (0012,0064), from CID 7050."""
    items = b"".join(code(one, "DCM", MEANINGS[one]) for one in codes)

    def written(_sent: bytes) -> bytes:
        return items

    return written


def applied_names(codes: Sequence[str]) -> Function:
    """The same in words, for DeidentificationMethod (0012,0063): one value each, at most 64 characters."""
    names = VALUES.join(MEANINGS[one] for one in codes)

    def written(_value: str, _original: Original) -> str:
        return names

    return written
