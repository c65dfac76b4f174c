"""What research-mri promises of text, ages, dates and of what hides beside a data set's named attributes."""

from datetime import date
from io import BytesIO

import factories
import pydicom
import pytest
from encoded import explicit, image, instance

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.instance import Subject

ANOTHER = Subject("Zz9kLm20Xy", "5820117365", b"\x09" * 32)
NEEDLE = "QZHIDDENNEEDLE"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(load("research-mri"), Policy({"Kopf nach Plan B": "T1 MPRAGE"}))


def left(plan: Plan, subject: Subject, **attributes: object) -> pydicom.Dataset:
    came = factories.instance(factories.mr(**attributes))
    return pydicom.dcmread(BytesIO(b"".join(plan.apply(came, subject).parts)))


def day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


@pytest.mark.parametrize("keyword", ["StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"])
def test_intervals_between_a_subjects_dates_stay(plan: Plan, subject: Subject, keyword: str) -> None:
    first, second = (left(plan, subject, **{keyword: sent})[keyword].value for sent in ("20240229", "20250311"))
    assert day(second) - day(first) == date(2025, 3, 11) - date(2024, 2, 29)
    assert 1 <= (date(2024, 2, 29) - day(first)).days <= 3652
    assert left(plan, ANOTHER, **{keyword: "20240229"})[keyword].value != first


@pytest.mark.parametrize(
    ("born", "age"), [("19340101", "090Y"), ("19200101", "090Y"), ("19350918", "089Y"), ("19521130", "072Y")]
)
def test_who_is_ninety_or_older_is_ninety(plan: Plan, subject: Subject, born: str, age: str) -> None:
    made = left(plan, subject, PatientBirthDate=born, PatientAge="099Y", StudyDate="20250917")
    assert made.PatientAge == age
    assert not made.PatientBirthDate


def test_descriptions_are_the_sites_or_protocol_words(plan: Plan, subject: Subject) -> None:
    made = left(plan, subject, SeriesDescription="Kopf nach Plan B", ProtocolName=f"{NEEDLE} T1 MPRAGE Dr. Who")
    assert made.SeriesDescription == "T1 MPRAGE"
    assert made.ProtocolName == "T1 MPRAGE"
    assert left(plan, subject, SeriesDescription=NEEDLE).SeriesDescription == "UNLISTED"


@pytest.mark.parametrize(
    "hidden",
    [
        explicit(0x00041500, "CS", NEEDLE),
        explicit(0x50000022, "LO", NEEDLE),
        explicit(0x501E3000, "OW", NEEDLE.encode()),
        explicit(0x60000022, "LO", NEEDLE),
        explicit(0x60003000, "OW", NEEDLE.encode()),
        explicit(0x60204000, "LT", NEEDLE),
        explicit(0x00880200, "SQ", b""),
        explicit(0x00189998, "LO", NEEDLE),
        explicit(0x00189998, "UN", NEEDLE.encode()),
        explicit(0x00290010, "LO", NEEDLE) + explicit(0x00291010, "UN", NEEDLE.encode()),
        explicit(0xFFFAFFFA, "SQ", b""),
        explicit(0xFFFCFFFC, "OB", NEEDLE.encode()),
    ],
    ids=lambda hidden: f"{hidden[1]:02X}{hidden[0]:02X}",
)
def test_nothing_stays_that_no_line_names(plan: Plan, subject: Subject, hidden: bytes) -> None:
    made = b"".join(plan.apply(instance(image(hidden)), subject).parts)
    assert NEEDLE.encode() not in made
    assert hidden[:4] not in made
    assert made[:132] == bytes(128) + b"DICM"
