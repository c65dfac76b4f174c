"""Whose a volume is: by its sidecar, else by the labels of its path in BIDS; and what of that may not leave."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scp.instance import Identity
from scp.outcome import Failure, Outcome
from scp.volumes.sidecar import text
from scp.volumes.volume import Volume, stem

_LABEL: Final = "(?:^|_){}-([A-Za-z0-9]+)(?=_|$)"
_PARTS: Final = re.compile(r"[\W_]+")
_LONG, _SHORTEST = 6, 3  # bytes from which a value says something anywhere, and as a word of a text
_IDENTIFYING: Final = (
    "PatientID", "PatientName", "PatientBirthDate", "IssuerOfPatientID", "OtherPatientIDs", "AccessionNumber",
    "StudyID", "StudyInstanceUID", "SeriesInstanceUID", "InstitutionName", "InstitutionAddress", "StationName",
    "DeviceSerialNumber", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "PatientAddress",
)  # fmt: skip
_NAMES: Final = frozenset(keyword for keyword in _IDENTIFYING if keyword.endswith("Name"))


@dataclass(frozen=True, slots=True)
class Labels:
    """BIDS' labels of a path: subject, session and the suffix behind the last underscore; "" where there is none."""

    subject: str
    session: str
    suffix: str


def labels(parts: tuple[str, ...]) -> Labels:
    """Those of a file's name, else of the folders above it; raises Failure MISMATCHED where two of them differ."""
    name = stem(parts[-1])
    return Labels(_label("sub", name, parts), _label("ses", name, parts), name.rpartition("_")[2])


def identity(volume: Volume, sidecar: Mapping[str, Any], issuer: str) -> Identity:
    """Whose it is; raises Failure UNIDENTIFIED where neither sidecar nor path say.

    PatientID of the sidecar decides, else the subject's label, which is taken for one; `issuer` is that of both where
    the sidecar names none. What volumes of one StudyInstanceUID, else of one session, have in common is a visit.
    """
    said = labels(volume.parts)
    patient, issuer = text(sidecar, "PatientID") or said.subject, text(sidecar, "IssuerOfPatientID") or issuer
    if not patient:
        raise Failure(Outcome.UNIDENTIFIED, "neither a PatientID in the sidecar nor a subject's label in the path")
    study = text(sidecar, "StudyInstanceUID")
    common = study or f"{issuer}\t{patient}\t{said.session}"
    born = "".join(character for character in text(sidecar, "PatientBirthDate") if character.isdigit())
    sex = text(sidecar, "PatientSex")
    visit = f"volumes {common}"
    return Identity(patient, issuer, study or visit, visit=visit, sex=sex, birth_date=born, apart=True)


class Guard:
    """The values by which this very volume's subject is known, none of which may stand in what is written."""

    def __init__(self, volume: Volume, sidecar: Mapping[str, Any]) -> None:
        said = labels(volume.parts)
        spelled = {word.lower() for word in _words(sidecar, said) if len(word) >= _SHORTEST}
        self._words = frozenset(spelled)
        telling = [word for word in spelled if len(set(word)) > 1]  # six equal bytes are any background
        long = [word.encode() for word in telling if len(word.encode()) >= _LONG]
        wide = [word.encode("utf-16-le")[:-1] for word in telling if len(word) >= _LONG and word.isascii()]
        self._long = (*long, *wide)
        self._most = max((len(needle) for needle in self._long), default=1)

    def check_sidecar(self, sidecar: Mapping[str, Any], given: frozenset[str]) -> None:
        """Every text that is written, but for those `given` by the node; raises Failure RESIDUAL."""
        for value in (value for keyword, value in sidecar.items() if keyword not in given):
            for one in value if isinstance(value, list) else [value]:
                found = str(one).lower()
                words = {found, *_PARTS.split(found)} if isinstance(one, str) else set()  # 300 ms are no subject 300
                if words & self._words or any(needle in found.encode() for needle in self._long):
                    raise Failure(Outcome.RESIDUAL, "the sidecar would say whose the volume is")

    def looking(self) -> Callable[[bytes], None]:
        """What is to be shown the volume's bytes piece by piece; raises Failure RESIDUAL, also across two pieces."""
        before = b""

        def look(piece: bytes) -> None:
            nonlocal before
            seen = before + piece.lower()
            if any(needle in seen for needle in self._long):
                raise Failure(Outcome.RESIDUAL, "the volume's own bytes would say whose it is")
            before = seen[-self._most + 1 :] if self._most > 1 else b""

        return look


def _label(key: str, name: str, parts: tuple[str, ...]) -> str:
    inside = set(re.findall(_LABEL.format(key), name))
    above = [part for part in parts[:-1] if re.fullmatch(f"{key}-[A-Za-z0-9]+", part)]
    found = inside | {part.partition("-")[2] for part in above}
    if len(found) > 1:
        raise Failure(Outcome.MISMATCHED, "the labels of the path do not name the same subject and session")
    return next(iter(found), "")


def _words(sidecar: Mapping[str, Any], said: Labels) -> Iterator[str]:
    yield from (said.subject, f"sub-{said.subject}" if said.subject else "")
    yield said.session if len(said.session) >= _LONG else ""  # a day; "baseline" says nothing by itself
    for keyword in _IDENTIFYING:
        value = text(sidecar, keyword)
        yield value
        bare = _PARTS.sub("", value)
        yield bare
        if keyword in _NAMES and not keyword.startswith(("Institution", "Station")):
            yield from _PARTS.split(value)
