"""The drawer of de-identification functions: what a recipe calls `func:NAME`. A member is one file and one line."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from scp.deidentify.functions import dummy
from scp.deidentify.functions.age import age, age_90_plus
from scp.deidentify.functions.applied import applied_codes, applied_names
from scp.deidentify.functions.csa import csa_numbers, csa_protocol
from scp.deidentify.functions.dates import date_month, date_year, scan_month
from scp.deidentify.functions.description import description, description_within
from scp.deidentify.functions.ge import ge_protocol
from scp.deidentify.functions.ge_polarity import ge_polarity
from scp.deidentify.functions.numbers import codes, measures, numbers
from scp.deidentify.functions.original import Function, Rewrite
from scp.deidentify.functions.phoenix import phoenix_lines
from scp.deidentify.functions.shift import shifted
from scp.deidentify.functions.tokens import patient_pseudonym, uid, visit_number
from scp.dictionary import Attribute

FUNCTIONS: Mapping[str, Function] = {
    "age": age,
    "age_90_plus": age_90_plus,
    "date_month": date_month,
    "date_year": date_year,
    "description": description,
    "patient_pseudonym": patient_pseudonym,
    "scan_month": scan_month,
    "uid": uid,
    "visit_number": visit_number,
}

REWRITES: Mapping[str, Rewrite] = {
    "codes": codes,
    "csa_numbers": csa_numbers,
    "csa_protocol": csa_protocol,
    "ge_polarity": ge_polarity,
    "ge_protocol": ge_protocol,
    "measures": measures,
    "numbers": numbers,
    "phoenix_lines": phoenix_lines,
}
"""Those for the bytes of a private attribute."""


class Made(NamedTuple):
    """What writes a value: from text to text, or from bytes to bytes."""

    function: Function | None = None
    rewrite: Rewrite | None = None


def _date_shift(attribute: Attribute, _codes: Sequence[str]) -> Made:
    function = shifted(attribute.vrs[0])
    if function is None:
        raise ValueError("func:date_shift is for dates and times; name an attribute with VR DA, DT or TM")
    return Made(function)


def _dummy(attribute: Attribute, _codes: Sequence[str]) -> Made:
    vr = attribute.vrs[0]
    if vr == "UI":
        return Made(uid)
    function = dummy.text(vr)
    return Made(function) if function else Made(rewrite=dummy.encoded(attribute.tag, vr))


def _applied_codes(attribute: Attribute, codes: Sequence[str]) -> Made:
    if attribute.vrs != ("SQ",):
        raise ValueError("func:applied_codes is for DeidentificationMethodCodeSequence")
    return Made(rewrite=applied_codes(codes))


def _applied_names(_attribute: Attribute, codes: Sequence[str]) -> Made:
    return Made(applied_names(codes))


def _description(attribute: Attribute, _codes: Sequence[str]) -> Made:
    return Made(description_within(_ROOM[attribute.vrs[0]]) if attribute.vrs[0] in _ROOM else description)


_ROOM: Mapping[str, int] = {"SH": 16, "CS": 16, "AE": 16}
FITTED: Mapping[str, Callable[[Attribute, Sequence[str]], Made]] = {
    "applied_codes": _applied_codes,
    "applied_names": _applied_names,
    "date_shift": _date_shift,
    "description": _description,
    "dummy": _dummy,
}
"""Those made for one attribute and the codes that the recipe applies; they raise ValueError where they do not fit."""

TELLING = frozenset({*FUNCTIONS, *FITTED}) - {
    "applied_codes",
    "applied_names",
    "dummy",
    "patient_pseudonym",
    "uid",
    "visit_number",
}
"""Those whose result still says something about what was sent."""
