"""Dates moved by the subject's own days, and dummies: what goes in, what comes out, and that intervals stay."""

import hmac
import re
from datetime import date, timedelta

import pytest
from encoded import explicit, image
from hypothesis import given
from hypothesis import strategies as st

from scp.dataset import read
from scp.deidentify.functions import FITTED, FUNCTIONS, TELLING
from scp.deidentify.functions.age import age_90_plus
from scp.deidentify.functions.dates import parse
from scp.deidentify.functions.description import description, description_within
from scp.deidentify.functions.dummy import TEXTS, encoded, has_item, text
from scp.deidentify.functions.original import Function, Original
from scp.deidentify.functions.shift import LONGEST_DAYS, days, shifted
from scp.deidentify.functions.tokens import is_uid
from scp.dictionary import Attribute
from scp.instance import Subject

SECRET, OTHER = b"\x07" * 32, b"\x08" * 32
DATES = st.dates(date(1910, 1, 1), date(2100, 1, 1))


def original(secret: bytes = SECRET, *elements: bytes) -> Original:
    return Original(read(image(*elements), explicit=True), Subject("Pq7kLm20Xy", "4820117365", secret), {})


NOTHING = original()


def shift(vr: str) -> Function:
    function = shifted(vr)
    assert function is not None
    return function


def written(day: date) -> str:
    return f"{day.year:04}{day.month:02}{day.day:02}"


@given(st.binary(min_size=32, max_size=32))
def test_a_subject_s_days_are_its_own_and_never_none(secret: bytes) -> None:
    assert -LONGEST_DAYS <= days(secret) <= -1
    assert days(secret) == days(secret)


def test_the_days_are_fixed_for_ever_and_differ_between_subjects() -> None:
    # A changed derivation would tear the studies of one subject apart.
    assert days(SECRET) == -1 - int.from_bytes(hmac.digest(SECRET, b"days", "sha256")[:8]) % 3652
    assert days(SECRET) != days(OTHER)


@given(DATES, DATES)
def test_intervals_between_dates_stay(one: date, other: date) -> None:
    first, second = shift("DA")(f"{written(one)}\\{written(other)}", NOTHING).split("\\")
    moved, again = parse(first), parse(second)
    assert moved
    assert again
    assert again - moved == other - one
    assert moved - one == timedelta(days(SECRET))


@given(DATES, st.sampled_from(["", "13", "1345", "134502", "134502.123456"]), st.sampled_from(["", "+0100", "-0530"]))
def test_a_date_time_moves_as_its_date_does_and_keeps_its_time(day: date, time: str, offset: str) -> None:
    moved = shift("DT")(written(day) + time + offset, NOTHING)
    assert moved == shift("DA")(written(day), NOTHING) + time + offset


@pytest.mark.parametrize(("sent", "pattern"), [("2025", r"\d{4}"), ("202509", r"\d{6}"), ("2025+0100", r"\d{4}\+0100")])
def test_a_partial_date_time_keeps_its_precision(sent: str, pattern: str) -> None:
    moved = shift("DT")(sent, NOTHING)
    assert re.fullmatch(pattern, moved)
    assert 0 <= 2025 - int(moved[:4]) <= 11


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        *[("DA", one) for one in ("2025", "202509", "20250230", "00000000", "DOE", "", "20250901-20250917")],
        *[("DT", one) for one in ("20250230", "2025091799", "20251301", "DOE", "", "20250917 1345", "2025+2000")],
        *[("TM", one) for one in ("25", "1360", "134561", "DOE", "1", "13:45", "134502.", "134502.1234567")],
        *[("SH", one) for one in ("0100", "+1500", "+0160", "DOE", "")],
    ],
)  # fmt: skip
def test_what_is_no_date_or_time_becomes_empty(vr: str, value: str) -> None:
    assert shift(vr)(value, NOTHING) == ""


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("TM", "13"),
        ("TM", "1345"),
        ("TM", "134502"),
        ("TM", "235960"),
        ("TM", "134502.5"),
        ("SH", "+0100"),
        ("SH", "-0330"),
    ],
)
def test_a_time_stays(vr: str, value: str) -> None:
    assert shift(vr)(value, NOTHING) == value
    assert shift(vr)(f"{value} \\{value}", NOTHING) == f"{value}\\{value}"


def test_a_date_as_acr_nema_wrote_it_is_read() -> None:
    assert shift("DA")("2025.09.17", NOTHING) == shift("DA")("20250917", NOTHING)


def test_a_date_at_the_beginning_of_time_becomes_empty() -> None:
    assert shift("DA")("00010101", NOTHING) == ""
    assert shift("DT")("00010101", NOTHING) == ""


@given(st.sampled_from(["DA", "DT", "TM", "SH"]), st.text(max_size=40))
def test_nothing_but_a_date_or_time_comes_out(vr: str, value: str) -> None:
    assert re.fullmatch(r"[0-9.+\\-]*", shift(vr)(value, NOTHING), re.ASCII)


@pytest.mark.parametrize("vr", ["LO", "PN", "UI", "US", "SQ", "AS"])
def test_only_dates_and_times_are_moved(vr: str) -> None:
    assert shifted(vr) is None
    with pytest.raises(ValueError, match="for dates and times"):
        FITTED["date_shift"](Attribute(0x00100010, "PatientName", (vr,)), ())


# Ages


@pytest.mark.parametrize(
    ("born", "expected"), [("19350917", "090Y"), ("19350918", "089Y"), ("19100101", "090Y"), ("20250901", "016D")]
)
def test_the_oldest_are_one_group(born: str, expected: str) -> None:
    elements = explicit(0x00100030, "DA", born), explicit(0x00080020, "DA", "20250917")
    assert age_90_plus("", original(SECRET, *elements)) == expected


# Dummies


@pytest.mark.parametrize("vr", sorted(TEXTS))
def test_a_dummy_says_nothing_and_stays_valid(vr: str) -> None:
    function = text(vr)
    assert function is not None
    assert function("DOE^JOHN\\77", NOTHING) == f"{TEXTS[vr]}\\{TEXTS[vr]}"
    assert function("", NOTHING) == ""
    assert len(TEXTS[vr]) <= 16
    assert FITTED["dummy"](Attribute(0, "", (vr,)), ()).function is not None


@pytest.mark.parametrize(("vr", "size"), [("US", 2), ("FD", 8), ("FL", 4), ("OB", 2), ("UN", 2), ("OW", 2), ("UL", 4)])
def test_numbers_and_bytes_become_zeros(vr: str, size: int) -> None:
    assert text(vr) is None
    assert encoded(0x00420011, vr)(b"DOE^JOHN") == bytes(size)
    assert encoded(0x00420011, vr)(b"") == b""


def test_the_dummy_of_a_uid_is_a_keyed_uid() -> None:
    assert FITTED["dummy"](Attribute(0x0020000D, "StudyInstanceUID", ("UI",)), ()).function is FUNCTIONS["uid"]


@pytest.mark.parametrize("tag", [0x0040A730, 0x00700001, 0x0040B020, 0x00401101, 0x00080082])
def test_a_sequence_becomes_one_dummy_item(tag: int) -> None:
    item = encoded(tag, "SQ")(b"DOE^JOHN")
    assert has_item(tag)
    within = read(explicit(tag, "SQ", item), explicit=True)
    (only,) = within.nested[0].items
    assert only.elements
    assert b"DOE" not in item


def test_a_sequence_without_a_dummy_of_its_own_is_empty_inside() -> None:
    assert not has_item(0x0040A073)
    assert len(encoded(0x0040A073, "SQ")(b"DOE^JOHN")) == 8


# Descriptions with less room, UIDs, and the table


@given(st.text(max_size=60), st.integers(1, 20))
def test_a_description_fits_its_room_by_whole_words(sent: str, room: int) -> None:
    short = description_within(room)(sent, NOTHING)
    assert len(short) <= room
    assert description(sent, NOTHING).startswith(short)


@pytest.mark.parametrize("one", ["1.2.3", "2.25.1", "0.0", "1." + "2" * 62])
def test_what_is_a_uid(one: str) -> None:
    assert is_uid(one)


@pytest.mark.parametrize(
    "one", ["", "1", "1.02", "3.1", "1..2", "1.2.", "1.2 ", "DOE", "1." + "2" * 63, "1.2\\1.3", "1.٢"]
)
def test_what_is_no_uid(one: str) -> None:
    assert not is_uid(one)


def test_every_function_is_telling_or_not() -> None:
    assert {"uid", "dummy", "patient_pseudonym", "visit_number"}.isdisjoint(TELLING)
    assert {"age", "age_90_plus", "date_month", "date_shift", "description"} <= TELLING
    assert {*FUNCTIONS, *FITTED} >= TELLING
