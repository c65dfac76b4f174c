"""What lies beside a volume: a sidecar of which an allow-list passes, and the tables of diffusion gradients."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from scp.dataset import read as read_data_set
from scp.deidentify.functions.description import UNLISTED, description
from scp.deidentify.functions.numbers import codes
from scp.deidentify.functions.original import Original
from scp.exports.nifti import KEPT, PHYSICS
from scp.instance import Subject
from scp.outcome import Failure, Outcome

MOST: Final = 1_048_576
"""Bytes of a sidecar or a table; dcm2niix writes some thousand."""
_MOST_NUMBERS: Final = 20_000
_NUMBER: Final = re.compile(rb"[+-]?(?:\d{1,17}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?|nan", re.IGNORECASE)
_AGE: Final = re.compile(r"0\d\d[YMWD]", re.ASCII)
_OLDEST: Final = "089Y"
_SOFTWARE: Final = re.compile(r"(?:v?\d{1,4}(?:\.\d{1,8}){1,3}|dcm2niix)", re.ASCII)
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,31}", re.ASCII)
_MAKERS: Final = frozenset(
    {"agilent", "bruker", "canon", "esaote", "fujifilm", "ge", "hitachi", "hyperfine", "marconi", "neusoft", "philips"}
    | {"picker", "samsung", "shimadzu", "siemens", "toshiba", "uih", "united"}
)
_PRECISE: Final = frozenset({"AcquisitionDate", "SeriesDate", "PatientBirthDate"})  # no function has made them coarse


def read(data: bytes) -> dict[str, Any]:
    """A sidecar's fields; raises Failure MALFORMED for what is no JSON object."""
    try:
        found = json.loads(data, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise Failure(Outcome.MALFORMED, "the sidecar is no JSON") from None
    if not isinstance(found, dict):
        raise Failure(Outcome.MALFORMED, "the sidecar is no JSON object")
    return found


def text(sidecar: Mapping[str, Any], keyword: str) -> str:
    """A field as text, "" without one; identifiers are written as numbers too."""
    value = sidecar.get(keyword)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def allowed(sidecar: Mapping[str, Any], suffix: str, subject: Subject, protocols: Mapping[str, str]) -> dict[str, Any]:
    """The sidecar as it may leave: of what the `nifti` export has too, numbers, and texts of a known kind.

    PatientID and StudyID are the subject's; SeriesDescription is its protocol words, else those of BIDS' `suffix`.
    """
    made = {keyword: value for keyword in (*KEPT, *PHYSICS) if (value := _value(keyword, sidecar)) is not None}
    original = Original(read_data_set(b"", explicit=True), subject, protocols)
    for said in (text(sidecar, "SeriesDescription"), suffix):
        words = description(said, original)
        if words and words != UNLISTED:
            made["SeriesDescription"] = words
            break
    return made | {"PatientID": subject.pseudonym, "StudyID": subject.scan_research_id}


def written(sidecar: Mapping[str, Any]) -> bytes:
    """As the `nifti` export writes them."""
    return (json.dumps(sidecar, indent=1, sort_keys=True) + "\n").encode()


def gradients(data: bytes) -> bytes:
    """A table of numbers, line by line; raises Failure MALFORMED where anything else stands in it."""
    lines = [line.split() for line in data.splitlines()]
    if not all(_NUMBER.fullmatch(word) for line in lines for word in line):
        raise Failure(Outcome.MALFORMED, "a table of gradients holds what is no number")
    return b"".join(b" ".join(line) + b"\n" for line in lines if line)


def _refused(_word: str) -> NoReturn:
    raise ValueError


def _value(keyword: str, sidecar: Mapping[str, Any]) -> Any:  # noqa: ANN401  as JSON has them
    value = sidecar.get(keyword)
    if keyword in _PRECISE:
        return None
    if check := _TEXTS.get(keyword):
        values = value if isinstance(value, list) else [value]
        kept = [one for one in values[:_MOST_NUMBERS] if isinstance(one, str) and check(one)]
        return (kept if isinstance(value, list) else kept[0]) if kept else None
    values = value if isinstance(value, list) else [value]
    return value if 0 < len(values) <= _MOST_NUMBERS and all(map(_is_number, values)) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_coded(value: str) -> bool:
    """Words of MR that stand in a closed list; dcm2niix puts several together."""
    words = re.split(r"[\\_ ]+", value)
    return bool(codes(value.encode())) or all(codes(word.encode()) for word in words)


def _is_age(value: str) -> bool:
    return _AGE.fullmatch(value) is not None and (not value.endswith("Y") or value <= _OLDEST)


def _is_maker(value: str) -> bool:
    words = value.lower().split()
    return bool(words) and words[0] in _MAKERS and _MODEL.fullmatch(value) is not None


_TEXTS: Final[Mapping[str, Callable[[str], object]]] = {
    "PatientSex": frozenset("MFO").__contains__,
    "PatientAge": _is_age,
    "Modality": frozenset({"MR", "CT", "PT", "NM"}).__contains__,
    "Manufacturer": _is_maker,
    "ManufacturersModelName": _MODEL.fullmatch,
    "MRAcquisitionType": frozenset({"1D", "2D", "3D"}).__contains__,
    "ScanningSequence": _is_coded,
    "SequenceVariant": _is_coded,
    "ImageType": _is_coded,
    "PhaseEncodingDirection": re.compile(r"[ijk]-?").fullmatch,
    "ConversionSoftware": _SOFTWARE.fullmatch,
    "ConversionSoftwareVersion": _SOFTWARE.fullmatch,
    "SeriesDescription": lambda _value: False,  # written by `allowed`
    "PatientID": lambda _value: False,
    "StudyID": lambda _value: False,
}
"""Every field of the list that is a text, and which text passes."""
