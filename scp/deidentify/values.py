"""The values a recipe's line can give: a literal, a function of ours, a number of days, or a directive's words."""

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scp import dictionary
from scp.dataset import LONG_VRS, SHORT_VRS
from scp.deidentify.fields import Field, Named, Private
from scp.deidentify.functions import FITTED, FUNCTIONS, REWRITES, TELLING, Made
from scp.deidentify.functions.dates import jitter
from scp.deidentify.functions.original import Function, Original
from scp.deidentify.functions.shift import date_time
from scp.deidentify.profile import CLEAN_PIXELS_CODE, MEANINGS
from scp.dictionary import TAGS, Attribute

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
    "UC": 1 << 20,
    "UI": 64,
    "UR": 1 << 20,
    "UT": 1 << 20,
}
_MOVABLE = frozenset({"DA", "DT"})
_DAYS = re.compile(r"[+-]?\d{1,5}", re.ASCII)
_PREFIX = re.compile(r"(deid_func|func|var):(.*)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NUMBERS: Mapping[str, str] = {
    "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q",
}  # fmt: skip
_FLOATS = frozenset({"FD", "FL"})
_UIDS_OF_DEID = frozenset({"basic_uuid", "dicom_uuid", "pydicom_uuid", "suffix_uuid"})
_DAYS_OF_YEAR = 365  # as deid counts them


@dataclass(frozen=True, slots=True)
class Context:
    """What the values of a recipe may depend on: the constants that the site declares, the codes that it applies."""

    variables: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """What a line writes: `make` fits it to an attribute, ValueError where it does not fit.

    `telling` is whether the result still says something about the value that was sent.
    """

    make: Callable[[Attribute, Context], Made] = field(repr=False)
    telling: bool


def parse(verb: str, text: str, where: Field) -> Value:
    """What writes the new value. Raises ValueError with a sentence that says why the value cannot be understood."""
    prefixed = _PREFIX.fullmatch(text)
    if verb == "JITTER":
        return _jitter(text, where)
    if not prefixed:
        return _literal(verb, text, where)
    if prefixed[1] != "func" or prefixed[2] not in FITTED:
        _check_text(verb, where)
    return _function(prefixed[1], prefixed[2], where)


def rewrite(verb: str, text: str, private: Private) -> Value:
    """What writes a private attribute anew. Raises ValueError with a sentence where nothing does."""
    name = text.removeprefix("func:")
    if name == text:
        return parse(verb, text, Named(private.attribute))
    if name in REWRITES:
        written = REWRITES[name]
        return Value(lambda _attribute, _context: Made(rewrite=written), telling=True)
    if name in _PRIVATE_FUNCTIONS and (name == "dummy" or private.vr in TEXT_VRS):
        return _named(name)
    known = ", func:".join([*REWRITES, *sorted(_PRIVATE_FUNCTIONS)])
    raise ValueError(f"a private attribute can be replaced by text, or by one of func:{known}")


_PRIVATE_FUNCTIONS = frozenset({"date_shift", "dummy", "uid"})


def _check_text(verb: str, where: Field) -> None:
    if isinstance(where, Named) and not set(where.attribute.vrs) <= TEXT_VRS.keys():
        raise ValueError(
            f"{verb} can write text and numbers only, and this attribute is {' or '.join(where.attribute.vrs)}"
        )


def _jitter(text: str, where: Field) -> Value:
    if isinstance(where, Named) and not set(where.attribute.vrs) <= _MOVABLE:
        raise ValueError("JITTER can move dates only; name an attribute with VR DA or DT")
    prefixed = _PREFIX.fullmatch(text)
    named = prefixed[2] if prefixed and prefixed[1] == "var" else ""
    if named:
        _check_name(named)
    days = 0 if named else _days(text)

    def made(attribute: Attribute, context: Context) -> Made:
        moved = _days(_declared(named, context)) if named else days
        if not set(attribute.vrs) <= _MOVABLE:
            raise ValueError(f"JITTER can move dates only, and {dictionary.write(attribute.tag)} is none; except it")
        return Made(date_time(moved) if attribute.vrs == ("DT",) else jitter(moved))

    return Value(made, telling=True)


def _days(text: str) -> int:
    if not _DAYS.fullmatch(text):
        raise ValueError(f"JITTER takes a number of days, not {text}")
    return int(text)


def _function(prefix: str, name: str, where: Field) -> Value:
    if prefix == "var":
        return _variable(name, lambda text: _written(text, where), telling=False)
    if prefix == "deid_func":
        return _deid_function(name.split(), where)
    if name not in FUNCTIONS and name not in FITTED:
        known = ", ".join(sorted({*FUNCTIONS, *FITTED}))
        raise ValueError(f"unknown function func:{name} (known: {known})")
    return _named(name)


def _named(name: str) -> Value:
    if name in FITTED:
        fitted = FITTED[name]
        return Value(lambda attribute, context: fitted(attribute, context.codes), telling=name in TELLING)
    return _constant(FUNCTIONS[name], telling=name in TELLING)


def _deid_function(words: list[str], where: Field) -> Value:
    """Deid's own functions under deid's names: its UIDs become keyed ones, its jitter ours."""
    name, *options = words or [""]
    if name == "jitter":
        return _jitter(str(_jitter_days(options)), where)
    if name not in _UIDS_OF_DEID:
        known = ", ".join(sorted({"jitter", *_UIDS_OF_DEID}))
        raise ValueError(f"deid has no function deid_func:{name} (known: {known})")
    if options:
        raise ValueError(f"deid_func:{name} makes keyed UIDs under 2.25 here; leave out {' '.join(options)}")
    sentence = f"deid_func:{name} is compiled for UIDs only; for others write func:patient_pseudonym"
    if isinstance(where, Named) and where.attribute.vrs != ("UI",):
        raise ValueError(sentence)

    def made(attribute: Attribute, _context: Context) -> Made:
        if attribute.vrs != ("UI",):
            raise ValueError(f"{sentence} ({dictionary.write(attribute.tag)} is none)")
        return Made(FUNCTIONS["uid"])

    return Value(made, telling=False)


def _jitter_days(options: Sequence[str]) -> int:
    given = dict(option.split("=", 1) for option in options if "=" in option)
    if len(given) != len(options) or not given.keys() <= {"days", "years"}:
        raise ValueError("deid_func:jitter takes days=N and years=N only")
    return _days(given.get("days", "1")) + _DAYS_OF_YEAR * _days(given.get("years", "0"))


def _variable(name: str, make: Callable[[str], Function], *, telling: bool) -> Value:
    _check_name(name)
    return Value(lambda _attribute, context: Made(make(_declared(name, context))), telling)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"var:{name} has no name that can be declared; use letters, digits and underscores")


def _declared(name: str, context: Context) -> str:
    if name not in context.variables:
        raise ValueError(f"var:{name} is not declared; declare it under [variables] in the configuration")
    return context.variables[name]


def _literal(verb: str, text: str, where: Field) -> Value:
    if '"' in text or "'" in text:
        raise ValueError("quotation marks would stand in the value; leave them out")
    if not isinstance(where, Named):
        written = _written(text, where)
        return Value(lambda attribute, _: _number(text, attribute) or Made(written), telling=False)
    if number := _number(text, where.attribute):
        return Value(lambda _attribute, _context: number, telling=False)
    _check_text(verb, where)
    return _constant(_written(text, where), telling=False)


def _number(text: str, attribute: Attribute) -> Made | None:
    """What writes these numbers to an attribute that is numbers; ValueError where they are none of its kind."""
    vr = attribute.vrs[0]
    if len(attribute.vrs) > 1 or vr not in _NUMBERS:
        return None
    try:
        numbers = [(float if vr in _FLOATS else int)(one) for one in text.split("\\")]
        value = struct.pack(f"<{len(numbers)}{_NUMBERS[vr]}", *numbers)
    except (ValueError, OverflowError, struct.error):
        raise ValueError(f"{text} is no value that {dictionary.write(attribute.tag)}, {vr}, can have") from None
    return Made(rewrite=lambda _sent: value)


def _written(text: str, where: Field) -> Function:
    """What writes these characters; ValueError where the attribute has no room for them."""
    vr = where.attribute.vrs[0] if isinstance(where, Named) else "AS"  # the shortest of them, where it may be any
    if any(len(one) > TEXT_VRS[vr] for one in text.split("\\")):
        raise ValueError(f"the value is longer than the {TEXT_VRS[vr]} characters that {vr} has room for")
    if not text.isascii() or not text.isprintable():
        raise ValueError("only printable ASCII can be written")

    def constant(_value: str, _original: Original) -> str:
        return text

    return constant


def _constant(function: Function, *, telling: bool) -> Value:
    return Value(lambda _attribute, _context: Made(function), telling)


def _check_vrs(words: Sequence[str]) -> None:
    for word in words:
        if word not in SHORT_VRS | LONG_VRS:
            raise ValueError(f"{word} is no value representation (PS3.5 6.2)")


def _check_id(words: Sequence[str]) -> None:
    if len(words) != 1 or not _ID.fullmatch(words[0]):
        raise ValueError("an id is one word of lower-case letters, digits and hyphens, at most 32")


def _check_codes(words: Sequence[str]) -> None:
    for word in words:
        if word not in MEANINGS or word == CLEAN_PIXELS_CODE:  # which only blanking earns, instance by instance
            raise ValueError(f"{word} is no code of a profile or option that a recipe can apply (PS3.16 CID 7050)")


def _check_keywords(words: Sequence[str]) -> None:
    for word in words:
        if word not in TAGS:
            raise ValueError(f"{word} is no keyword of an attribute (PS3.6)")


def _check_groups(words: Sequence[str]) -> None:
    for word in words:
        if not _GROUP.fullmatch(word):
            raise ValueError(f"{word} is no name of a %filter")


def _check_otherwise(words: Sequence[str]) -> None:
    if tuple(words) not in {("pass",), ("quarantine",)}:
        raise ValueError("images without a label can pass or quarantine; write ADD pixels_otherwise quarantine")


DIRECTIVES: Mapping[str, Callable[[Sequence[str]], None]] = {
    "applies": _check_codes,
    "exclude_vr": _check_vrs,
    "id": _check_id,
    "pixels_blank": _check_groups,
    "pixels_otherwise": _check_otherwise,
    "pixels_pass": _check_groups,
    "pixels_quarantine": _check_groups,
    "unguarded": _check_keywords,
}
"""Directives of %labels and what checks their words; a check raises ValueError with a sentence."""
