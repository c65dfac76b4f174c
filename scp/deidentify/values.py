"""The values a recipe's line can give: a literal, a function of ours, a number of days, or a directive's words."""

import re
from collections.abc import Callable, Mapping, Sequence

from scp.dataset import LONG_VRS, SHORT_VRS
from scp.deidentify.fields import Field, Named
from scp.deidentify.functions import FUNCTIONS, REWRITES
from scp.deidentify.functions.dates import jitter
from scp.deidentify.functions.original import Function, Original, Rewrite

# VRs whose values are characters, with the most bytes a value may have (PS3.5 6.2)
TEXT_VRS: Mapping[str, int] = dict.fromkeys(("AE", "CS", "DS", "SH", "TM"), 16) | {
    "AS": 4,
    "DA": 8,
    "DT": 26,
    "IS": 12,
    "LO": 64,
    "LT": 10_240,
    "PN": 64,
    "ST": 1_024,
    "UI": 64,
    "UT": 1 << 20,
}
_MOVABLE = frozenset({"DA", "DT"})
_DAYS = re.compile(r"[+-]?\d{1,5}", re.ASCII)
_PREFIX = re.compile(r"(deid_func|func|var):(.*)")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def parse(verb: str, text: str, field: Field) -> Function:
    """What writes the new value. Raises ValueError with a sentence that says why the value cannot be understood."""
    if isinstance(field, Named) and not set(field.attribute.vrs) <= TEXT_VRS.keys():
        raise ValueError(f"{verb} can write text only, and this attribute is {' or '.join(field.attribute.vrs)}")
    if verb == "JITTER":
        return _days(text, field)
    if prefixed := _PREFIX.fullmatch(text):
        return _function(prefixed[1], prefixed[2])
    return _literal(text, field)


def rewrite(text: str) -> Rewrite:
    """What writes the bytes of a private attribute anew. Raises ValueError with a sentence where nothing does."""
    name = text.removeprefix("func:")
    if name == text or name not in REWRITES:
        raise ValueError(f"a private attribute can be replaced by one of func:{', func:'.join(REWRITES)} only")
    return REWRITES[name]


def _days(text: str, field: Field) -> Function:
    if not _DAYS.fullmatch(text):
        raise ValueError(f"JITTER takes a number of days, not {text}")
    if not isinstance(field, Named) or not set(field.attribute.vrs) <= _MOVABLE:
        raise ValueError("JITTER can move dates only; name an attribute with VR DA or DT")
    return jitter(int(text))


def _function(prefix: str, name: str) -> Function:
    if prefix == "var":
        raise ValueError(f"there are no variables; write a literal or func:NAME instead of var:{name}")
    if prefix == "deid_func":
        raise ValueError(f"deid_func:{name} is not compiled; the functions are func:{', func:'.join(FUNCTIONS)}")
    if name not in FUNCTIONS:
        raise ValueError(f"unknown function func:{name} (known: {', '.join(FUNCTIONS)})")
    return FUNCTIONS[name]


def _literal(text: str, field: Field) -> Function:
    if '"' in text or "'" in text:
        raise ValueError("quotation marks would stand in the value; leave them out")
    vr = field.attribute.vrs[0] if isinstance(field, Named) else "AS"  # the shortest of them, where it may be any
    if any(len(one) > TEXT_VRS[vr] for one in text.split("\\")):
        raise ValueError(f"the value is longer than the {TEXT_VRS[vr]} characters that {vr} has room for")

    def constant(_value: str, _original: Original) -> str:
        return text

    return constant


def _check_vrs(words: Sequence[str]) -> None:
    for word in words:
        if word not in SHORT_VRS | LONG_VRS:
            raise ValueError(f"{word} is no value representation (PS3.5 6.2)")


def _check_id(words: Sequence[str]) -> None:
    if len(words) != 1 or not _ID.fullmatch(words[0]):
        raise ValueError("an id is one word of lower-case letters, digits and hyphens, at most 32")


DIRECTIVES: Mapping[str, Callable[[Sequence[str]], None]] = {"exclude_vr": _check_vrs, "id": _check_id}
"""Directives of %labels and what checks their words; a check raises ValueError with a sentence."""
