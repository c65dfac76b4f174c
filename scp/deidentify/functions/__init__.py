"""The drawer of de-identification functions: what a recipe calls `func:NAME`. A member is one file and one line."""

from collections.abc import Mapping

from scp.deidentify.functions.age import age
from scp.deidentify.functions.csa import csa_numbers
from scp.deidentify.functions.dates import date_month, date_year, scan_month
from scp.deidentify.functions.description import description
from scp.deidentify.functions.original import Function, Rewrite
from scp.deidentify.functions.tokens import patient_pseudonym, uid, visit_number

FUNCTIONS: Mapping[str, Function] = {
    "age": age,
    "date_month": date_month,
    "date_year": date_year,
    "description": description,
    "patient_pseudonym": patient_pseudonym,
    "scan_month": scan_month,
    "uid": uid,
    "visit_number": visit_number,
}

REWRITES: Mapping[str, Rewrite] = {"csa_numbers": csa_numbers}
"""Those for the bytes of a private attribute."""
