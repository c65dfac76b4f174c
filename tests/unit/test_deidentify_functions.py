"""The drawer of functions, each by the table of what goes in and what comes out."""

import re
from datetime import date, timedelta

import pytest
from encoded import explicit, image, implicit, ordered
from hypothesis import given
from hypothesis import strategies as st

from scp.dataset import read
from scp.deidentify.functions import FUNCTIONS
from scp.deidentify.functions.age import age
from scp.deidentify.functions.dates import date_month, date_year, jitter, parse, scan_month
from scp.deidentify.functions.description import LONGEST, UNLISTED, description, is_writable
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.tokens import patient_pseudonym, uid, visit_number
from scp.instance import Subject
from scp.outcome import Failure

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
OTHER = Subject("Zz1kLm20Xy", "4820117366", b"\x08" * 32)
BIRTH_DATE, AGE = 0x00100030, 0x00101010
STUDY_DATE, SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE = 0x00080020, 0x00080021, 0x00080022, 0x00080023
ACQUISITION_DATE_TIME = 0x0008002A


def original(*elements: bytes, subject: Subject = SUBJECT, protocols: dict[str, str] | None = None) -> Original:
    return Original(read(ordered(*elements), explicit=True), subject, protocols or {})


NOTHING = original()


def test_the_table_has_every_function_under_its_own_name() -> None:
    assert {name: function.__name__ for name, function in FUNCTIONS.items()} == {name: name for name in FUNCTIONS}


def test_tokens_come_from_the_subject() -> None:
    assert patient_pseudonym("DOE", NOTHING) == SUBJECT.pseudonym
    assert visit_number("17", NOTHING) == SUBJECT.scan_research_id


# UIDs


def test_a_uid_becomes_the_same_token_each_time_and_another_for_another_subject() -> None:
    token = uid("1.2.3.4", NOTHING)
    assert token == uid("1.2.3.4\0", NOTHING)
    assert token != uid("1.2.3.5", NOTHING)
    assert token != uid("1.2.3.4", original(subject=OTHER))


def test_a_token_is_a_uuid_under_2_25() -> None:
    number = int(uid("1.2.3.4", NOTHING).removeprefix("2.25."))
    assert number < 1 << 128
    assert number >> 76 & 0xF == 4
    assert number >> 62 & 0x3 == 2


def test_the_token_of_a_uid_is_fixed_for_ever() -> None:
    # Files of one visit may be months apart: a changed derivation would tear studies apart.
    assert uid("1.2.840.113619.2.1", NOTHING) == "2.25.158032316578362995159284798059731284871"


@pytest.mark.parametrize("registered", ["1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1", "1.2.840.10008.1.4.1.1"])
def test_what_dicom_registers_stays(registered: str) -> None:
    assert uid(registered, NOTHING) == registered


@pytest.mark.parametrize("foreign", ["1.2.840.10008.19521130.7", "1.2.840.100081.1", "DOE^JOHN", "1952-11-30", "ü"])
def test_what_dicom_does_not_register_is_replaced_even_if_it_is_no_uid(foreign: str) -> None:
    assert re.fullmatch(r"2\.25\.\d{20,39}", uid(foreign, NOTHING))


def test_each_of_several_uids_is_replaced_and_empty_stays_empty() -> None:
    first, second = uid("1.2.3\\1.2.4", NOTHING).split("\\")
    assert (first, second) == (uid("1.2.3", NOTHING), uid("1.2.4", NOTHING))
    assert uid("", NOTHING) == ""
    assert uid("\\1.2.3", NOTHING) == "\\" + first


@given(st.text(max_size=70))
def test_a_token_is_never_longer_than_a_uid_may_be(value: str) -> None:
    assert all(len(one) <= 64 for one in uid(value.replace("\\", ""), NOTHING).split("\\"))


# Dates

GOOD_DATES = [
    ("20250917", "20250901", "20250101"),
    ("2025.09.17", "20250901", "20250101"),
    ("20240229", "20240201", "20240101"),
    ("20250917134502", "20250901", "20250101"),
    ("20250917134502.123456+0100", "20250901", "20250101"),
    ("2025091713", "20250901", "20250101"),
    (" 20250917 ", "20250901", "20250101"),
    ("00010203", "00010201", "00010101"),
    ("20250917\\20251002", "20250901\\20251001", "20250101\\20250101"),
]
BAD_DATES = [
    "",
    "2025",
    "202509",
    "20250230",
    "20251301",
    "00000000",
    "2025-09-17",
    "17092025x",
    "DOE",
    "2025091",
    "20250917-",
]
BAD_DATES += ["20250917 DOE", "2025.0917", "202509171", "20250917134502.1234567", "٢٠٢٥٠٩١٧", "20250901-20250917"]


@pytest.mark.parametrize(("value", "month", "year"), GOOD_DATES)
def test_dates_lose_day_or_day_and_month(value: str, month: str, year: str) -> None:
    assert date_month(value, NOTHING) == month
    assert date_year(value, NOTHING) == year


@pytest.mark.parametrize("value", BAD_DATES)
def test_what_is_no_date_becomes_empty(value: str) -> None:
    assert date_month(value, NOTHING) == ""
    assert date_year(value, NOTHING) == ""
    assert jitter(3)(value, NOTHING) == ""


def test_one_bad_date_among_several_becomes_empty() -> None:
    assert date_month("20250917\\DOE\\20251002", NOTHING) == "20250901\\\\20251001"


@given(st.dates())
def test_the_first_of_the_month_is_a_date_again(day: date) -> None:
    month = date_month(f"{day.year:04}{day.month:02}{day.day:02}", NOTHING)
    assert parse(month) == day.replace(day=1)


@given(st.text(max_size=30))
def test_nothing_but_a_first_of_a_month_comes_out(value: str) -> None:
    assert all(one == "" or re.fullmatch(r"\d{6}01", one) for one in date_month(value, NOTHING).split("\\"))


@pytest.mark.parametrize(("days", "moved"), [(1, "20250301"), (-60, "20241230"), (0, "20250228"), (365, "20260228")])
def test_a_date_is_moved_by_days(days: int, moved: str) -> None:
    assert jitter(days)("20250228", NOTHING) == moved


def test_a_date_moved_out_of_the_calendar_becomes_empty() -> None:
    assert jitter(99_999)("99991231", NOTHING) == ""
    assert jitter(-99_999)("00010101", NOTHING) == ""


@pytest.mark.parametrize(
    ("value", "elements", "month"),
    [
        ("20250917", [explicit(ACQUISITION_DATE, "DA", "20241231")], "20250901"),
        ("", [explicit(ACQUISITION_DATE, "DA", "20241231")], "20241201"),
        ("DOE", [explicit(SERIES_DATE, "DA", "20241130")], "20241101"),
        ("", [explicit(STUDY_DATE, "DA", "20241031")], "20241001"),
        ("", [explicit(CONTENT_DATE, "DA", "20240930")], "20240901"),
        ("", [explicit(ACQUISITION_DATE_TIME, "DT", "20240830101112.5")], "20240801"),
        ("", [explicit(STUDY_DATE, "DA", "20241031"), explicit(ACQUISITION_DATE, "DA", "bad")], "20241001"),
        ("20250917\\20251002", [], "20250901"),
        ("", [], ""),
    ],
)
def test_the_month_of_the_scan(value: str, elements: list[bytes], month: str) -> None:
    assert scan_month(value, original(*elements)) == month


# Age


@pytest.mark.parametrize(
    ("born", "scanned", "expected"),
    [
        ("19521130", "20250917", "072Y"),
        ("19521130", "20251129", "072Y"),
        ("19521130", "20251130", "073Y"),
        ("20230917", "20250917", "002Y"),
        ("20230918", "20250917", "023M"),
        ("20250817", "20250917", "001M"),
        ("20250818", "20250917", "030D"),
        ("20250917", "20250917", "000D"),
        ("20250918", "20250917", ""),
        ("18750917", "20250917", "150Y"),
        ("18740917", "20250917", ""),
        ("20240229", "20250228", "011M"),
    ],
)
def test_the_age_comes_from_the_true_dates(born: str, scanned: str, expected: str) -> None:
    elements = [explicit(BIRTH_DATE, "DA", born), explicit(STUDY_DATE, "DA", scanned), explicit(AGE, "AS", "099Y")]
    assert age("099Y", original(*elements)) == expected


@pytest.mark.parametrize("tag", [STUDY_DATE, SERIES_DATE, ACQUISITION_DATE, CONTENT_DATE])
def test_any_date_of_the_scan_will_do(tag: int) -> None:
    assert age("", original(explicit(BIRTH_DATE, "DA", "19800101"), explicit(tag, "DA", "20250917"))) == "045Y"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("045Y", "045Y"),
        ("012M", "012M"),
        ("003W", "003W"),
        ("999D", "999D"),
        ("45Y", ""),
        ("045y", ""),
        ("151Y", ""),
        ("DOE ", ""),
        ("", ""),
    ],
)
def test_without_dates_a_valid_age_stays_as_sent(sent: str, expected: str) -> None:
    assert age(sent, original(explicit(AGE, "AS", sent), explicit(BIRTH_DATE, "DA", "bad"))) == expected


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(-400, 50_000))
def test_an_age_is_a_valid_age_string_or_nothing(born: date, days: int) -> None:
    scanned = born + timedelta(days)
    elements = [explicit(BIRTH_DATE, "DA", f"{born:%Y%m%d}"), explicit(STUDY_DATE, "DA", f"{scanned:%Y%m%d}")]
    written = age("", original(*elements))
    assert (written == "") == (days < 0)
    assert re.fullmatch(r"(\d{3}[YMD])?", written)
    if written.endswith("Y"):
        assert abs(int(written[:3]) - days / 365.25) < 1.01


# Descriptions


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("T1 MPRAGE SAG", "T1 MPRAGE SAG"),
        ("t1_mprage_sag_p2_iso", "t1 mprage sag p2 iso"),
        ("SAG IR SPGR 1.2mm", "SAG IR SPGR 1.2mm"),
        ("ep2d_diff_b1000_TE30", "ep2d diff b1000 TE30"),
        ("T1 DOE^JOHN 19521130", "T1"),
        ("MPRAGE for Mrs. Doe, room 12", "MPRAGE"),
        ("T2* 0.9 ISO/3D", "T2 0.9 ISO 3D"),
        ("DTI_64_DIR_b1000", "DTI 64 DIR b1000"),
        ("DWI 30 directions", "DWI 30 directions"),
        ("DTI 64DIRS", "DTI 64DIRS"),
        ("ward 64 DIRK", UNLISTED),
        ("19521130 DIR", "DIR"),
        ("64 DTI", "DTI"),
        ("12345678", UNLISTED),
        ("Doe", UNLISTED),
        ("///", UNLISTED),
        ("", ""),
    ],
)
def test_only_protocol_words_stay(sent: str, written: str) -> None:
    assert description(sent, NOTHING) == written


def test_the_site_s_own_name_is_written_for_exactly_what_was_sent() -> None:
    named = original(protocols={"head of J. Doe": "MPRAGE", "T1 SAG": "SAG T1 MPRAGE"})
    assert description("T1 SAG", named) == "SAG T1 MPRAGE"
    assert description("T1 SAG ", named) == "T1 SAG"
    assert description("head of J. Doe", named) == "MPRAGE"


def test_a_description_is_cut_between_words() -> None:
    written = description(" ".join(["MPRAGE"] * 20), NOTHING)
    assert written == " ".join(["MPRAGE"] * 7)
    assert len(written) <= LONGEST


@given(st.text(max_size=80))
def test_nothing_dangerous_comes_out_of_a_description(sent: str) -> None:
    written = description(sent, NOTHING)
    assert written == "" if not sent else is_writable(written)
    assert not re.search(r"\d{5}", written)


@given(st.from_regex(r"[A-Z][a-z]{5,11}\^[A-Z][a-z]{5,11}", fullmatch=True), st.dates())
def test_a_name_and_a_date_never_stay(name: str, day: date) -> None:
    written = description(f"T1 {name} {day.year:04}{day.month:02}{day.day:02} SAG", NOTHING).split()
    assert written[0] == "T1"
    assert written[-1] == "SAG"
    assert f"{day.year:04}{day.month:02}{day.day:02}" not in written


@pytest.mark.parametrize(
    "name", ["", " T1", "T1 ", "a/b", "a*b", "a..b", 'a"b', "a$b", "a`b", "a\\b", "a;b", "ü", "x" * 51, "a\nb"]
)
def test_names_that_break_folders_or_shells_cannot_be_written(name: str) -> None:
    assert not is_writable(name)


@pytest.mark.parametrize("name", ["T1", "T1 3D TFE SAG", "x" * 50, "a.b", "T1-w (new) + 2"])
def test_plain_names_can_be_written(name: str) -> None:
    assert is_writable(name)


# The original


def test_text_that_is_no_text_is_replaced_and_not_refused() -> None:
    sent = original(explicit(0x00080005, "CS", "ISO_IR 192"), explicit(0x0008103E, "LO", b"T1 \xff\xff "))
    assert sent.text(0x0008103E) == "T1 \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


def test_an_unknown_character_set_is_refused() -> None:
    sent = original(explicit(0x00080005, "CS", "ISO_IR 999"), explicit(0x0008103E, "LO", b"T1 \xff "))
    with pytest.raises(Failure):
        sent.text(0x0008103E)


def test_an_original_shows_nothing() -> None:
    shown = repr(Original(read(image(), explicit=True), SUBJECT))
    assert "PATIENT" not in shown
    assert "secret" not in shown
    assert implicit(0x00100020, "PATIENT-77").hex() not in shown
