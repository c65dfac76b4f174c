"""The one table of what can happen to an instance: what the wire hears, and what becomes of the bytes."""

from enum import Enum
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table: the DIMSE status answered, whether the original is sealed into quarantine, and why."""

    status: int
    quarantined: bool
    meaning: str


class Outcome(Enum):
    """Each row's name is the return value, the metric label, the quarantine folder, the index column and the docs row.

    Statuses are those of PS3.4 B.2.3 and PS3.7 Annex C. Success is kept for what is durable *and* de-identified; an
    instance in quarantine is safe too, but its sender hears a failure, because no researcher will ever see it.
    """

    STORED = Row(0x0000, False, "de-identified, durable and indexed")
    UNCHANGED = Row(0x0000, False, "sent before with the same content; nothing changed")

    SOP_CLASS_REFUSED = Row(0x0122, False, "the SOP class is not one this node accepts")
    NOT_CONSENTED = Row(0x0124, False, "the patient's consent is not on record")
    OUT_OF_RESOURCES = Row(0xA700, False, "disk, memory or database had no room; nothing was kept, send it again")
    STORAGE_FAULT = Row(
        0xA700, False, "the disk failed to make a write durable; nothing was acknowledged; the worker leaves"
    )
    FAILED = Row(0x0110, False, "a defect in the node itself; nothing was kept, send it again")

    MISMATCHED = Row(0xA900, True, "command, data set and presentation context do not name the same object")
    INCOMPLETE = Row(0xC001, True, "the data set ends before its own lengths say")
    MALFORMED = Row(0xC002, True, "the data set does not follow PS3.5")
    UNIDENTIFIED = Row(0xC003, True, "PatientID or StudyInstanceUID is missing, so it belongs to nobody's visit")
    NOT_DEIDENTIFIED = Row(0xC004, True, "the recipe could not be applied to every value it names")
    BURNED_IN = Row(0xC005, True, "the pixels are declared to show the patient's identity")
    CONFLICTING = Row(0xC006, True, "the SOP Instance UID is known with other content")
    RESIDUAL = Row(0xC007, True, "an identifying value of the instance stood in what the recipe would have let out")
    PIXELS_WITHHELD = Row(0xC008, True, "the recipe lets no image of this kind leave, or could not blank it for sure")
    OTHER_PERSON = Row(0xC009, True, "PatientID, sex or birth date is not that of the study's other instances")
    UNCLAIMED = Row(0xC00F, True, "a file that a crash left without a row and that cannot be adopted; never answered")

    @property
    def label(self) -> str:
        """The row's name as metrics, folders and the index write it."""
        return self.name.lower()

    @property
    def status(self) -> int:
        """DIMSE status of the C-STORE-RSP."""
        return self.value.status

    @property
    def quarantined(self) -> bool:
        """Whether the original is sealed and kept for the data-protection officer."""
        return self.value.quarantined

    @property
    def meaning(self) -> str:
        """What the row says to a person."""
        return self.value.meaning


class Failure(Exception):  # noqa: N818  the house's one kind of error; it is not always an error
    """A room could not do its part: which row of the table it is, and why, in words that hold no patient's value."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(f"{outcome.label}: {why}")
        self.outcome = outcome
        self.why = why


class Rejected(NamedTuple):
    """One line of the table of rejections: result, source and reason of the A-ASSOCIATE-RJ, and what it means."""

    result: int
    source: int
    reason: int
    meaning: str


class Rejection(Enum):
    """Why an association is rejected (PS3.8 9.3.4); the result is 1 for permanent and 2 for transient."""

    CALLING_AE_TITLE = Rejected(
        1,
        1,
        3,
        "the calling AE title is not a peer of this node, or not from this address, or not with this certificate",
    )
    CALLED_AE_TITLE = Rejected(1, 1, 7, "the called AE title is not this node's")
    USER_IDENTITY = Rejected(1, 1, 1, "the user identity is missing, unknown, or not proven")
    APPLICATION_CONTEXT = Rejected(1, 1, 2, "the application context is not DICOM's")
    PROTOCOL_VERSION = Rejected(1, 2, 2, "the upper layer protocol version is not 1")
    CONGESTED = Rejected(
        2, 3, 1, "this node serves as many associations as it may, of all or of this calling AE title; try again"
    )
    DRAINING = Rejected(2, 3, 2, "the node is being shut down; try again")

    @property
    def label(self) -> str:
        """The row's name as metrics and logs write it."""
        return self.name.lower()
