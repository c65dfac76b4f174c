"""The types that walk through the house; identified and de-identified are different types, kept apart by mypy."""

from dataclasses import dataclass, field
from typing import final

from scp.dataset import DataSet


@dataclass(frozen=True, slots=True)
class Peer:
    """Who speaks on an association: the AE titles as sent (at most 16 characters each) and the source address.

    `certificate` is what the peer has proven over TLS: its certificate's SHA-256 fingerprint (hexadecimal) and its
    names in lower case; empty without one.
    """

    calling: str
    called: str
    address: str
    certificate: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Arrival:
    """A data set as it came, not yet examined: identified, in memory only.

    The UIDs are the command's, as sent (padding stripped, not checked); `context_class` is the abstract syntax of the
    presentation context that carried it.
    """

    peer: Peer
    sop_class_uid: str
    sop_instance_uid: str
    context_class: str
    transfer_syntax: str
    data: bytes | bytearray = field(repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Instance:
    """A complete, well-formed data set that agrees with its command: identified, in memory only."""

    arrival: Arrival
    dataset: DataSet


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """Whose visit an instance belongs to, in the hospital's own words; only the linkage may keep it, encrypted."""

    patient_id: str
    issuer: str
    study_uid: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What the linkage gives for an identity: pseudonym, visit number, and the secret that all tokens derive from."""

    pseudonym: str
    scan_research_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Keyed fingerprints of an original, by which a re-send is known without keeping its UID or content."""

    uid: bytes
    digest: bytes


@final
@dataclass(frozen=True, slots=True)
class DeidentifiedInstance:
    """An instance that may be written under the export root; only `deidentify.plan` makes one."""

    pseudonym: str
    scan_research_id: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str
    series_number: int
    instance_number: int
    recipe: str
    digest: bytes
    size: int
    parts: tuple[bytes | bytearray | memoryview, ...] = field(repr=False)
