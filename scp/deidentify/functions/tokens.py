"""Who it was becomes the tokens that the linkage gave: pseudonym, visit number, and UIDs derived from the secret."""

import hmac
import re

from pydicom._uid_dict import UID_dictionary

from scp.deidentify.functions.original import VALUES, Original

_DICOM_ROOT = "1.2.840.10008."
_UID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_LONGEST_UID = 64
_VERSION, _VARIANT = 0xF << 76, 0x3 << 62
_VERSION_4, _VARIANT_RFC_4122 = 0x4 << 76, 0x2 << 62


def patient_pseudonym(_value: str, original: Original) -> str:
    """The subject's pseudonym."""
    return original.subject.pseudonym


def visit_number(_value: str, original: Original) -> str:
    """The subject's scan_research_id."""
    return original.subject.scan_research_id


def uid(value: str, original: Original) -> str:
    """Each UID becomes one under 2.25 (PS3.5 B.2) that only the subject's secret can derive again.

    UIDs that PS3.6 Annex A registers stand for no patient and stay; empty stays empty; what is no UID is replaced too.
    """
    made = original.uids.get(value)
    if made is None:
        made = VALUES.join(token(one.strip(" \0"), original.subject.secret) for one in value.split(VALUES))
        original.uids[value] = made
    return made


def token(one: str, secret: bytes) -> str:
    """What one UID becomes under this secret."""
    if not one or _is_registered(one):
        return one
    digest = hmac.digest(secret, b"uid\0" + one.encode(), "sha256")
    number = int.from_bytes(digest[:16])
    return f"2.25.{number & ~_VERSION & ~_VARIANT | _VERSION_4 | _VARIANT_RFC_4122}"


def is_uid(text: str) -> bool:
    """Whether a text is one UID (PS3.5 9.1)."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def _is_registered(one: str) -> bool:
    return one.startswith(_DICOM_ROOT) and one in UID_dictionary  # pydicom's UID would log a value that is none
