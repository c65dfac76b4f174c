"""Siemens CSA headers: a few numbers survive, nothing else, and what is broken becomes empty."""

from collections.abc import Callable
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanners import BURIED, DATE, SERIAL, SIGNATURE, csa1, csa2, phoenix

from scp.deidentify.functions.csa import csa_numbers, csa_protocol

NORMAL = ("SliceNormalVector", [b"0.00000000", b"-0.12360148", b"9.9e-1", b""])
SLICES = ("NumberOfImagesInMosaic", [b"40", b"", b""])
SECRETS = [
    ("MeasPatientName", [b"DOE^JOHN"]),
    ("DeviceSerialNumber", [b"45123"]),
    ("StudyDate", [b"20250917"]),
    ("MrPhoenixProtocol", [b"<XProtocol> DOE^JOHN 20250917 serial 45123 " * 200]),
]
Tag = tuple[str, list[bytes]]


def header(*tags: Tag, gap: bytes = b"\0", check: int = 77, count: int | None = None) -> bytes:
    """A CSA header as scanners write it, with `gap` in every byte that has no meaning."""
    return csa2(tags, gap, check, count)


def test_the_numbers_survive_in_their_order() -> None:
    assert csa_numbers(header(NORMAL, *SECRETS, SLICES)) == csa_numbers(header(NORMAL, SLICES))
    clean = csa_numbers(header(NORMAL, SLICES))
    assert clean.startswith(SIGNATURE + pack("<II", 2, 77) + b"SliceNormalVector\0")
    assert [clean.count(number) for number in (b"0.00000000\0", b"-0.12360148\0", b"9.9e-1\0", b"40\0")] == [1, 1, 1, 1]


def test_nothing_else_survives() -> None:
    clean = csa_numbers(header(*SECRETS, NORMAL, SLICES, gap=b"J"))
    for needle in (b"DOE", b"20250917", b"45123", b"Phoenix", b"J"):
        assert needle not in clean


def test_there_are_as_many_items_as_were_sent() -> None:
    # dcm2niix reads the first three of six items and falls over where there are only three.
    clean = csa_numbers(header(("SliceNormalVector", [b"1", b"0", b"0", b"", b"", b""])))
    assert len(clean) == len(header(("SliceNormalVector", [b"1", b"0", b"0", b"", b"", b""])))


@pytest.mark.parametrize(
    "value", [b"DOE^JOHN", b"1952-11-30", b"20250917", b"1 2", b"0x10", b"nan", b"1e", b"+", b"1.", b"12345678"]
)
def test_what_is_no_short_number_becomes_an_empty_item(value: bytes) -> None:
    clean = csa_numbers(header(("B_value", [value, b"1000"])))
    assert value + b"\0" not in clean
    assert b"1000\0" in clean


def test_a_header_written_anew_stays_as_it_is() -> None:
    clean = csa_numbers(header(NORMAL, *SECRETS, SLICES))
    assert csa_numbers(clean) == clean


def test_a_check_of_205_is_read_too() -> None:
    assert csa_numbers(header(SLICES, check=205)) == csa_numbers(header(SLICES))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"DOE^JOHN",
        SIGNATURE,
        header(),
        header(*SECRETS),
        header(SLICES, check=3),
        header(SLICES, count=2),
        header(SLICES, count=4_000_000_000),
        header(SLICES)[:-20],
        header(SLICES).replace(b"SV10", b"SV09"),
        csa1([SLICES])[:-20],
        csa1([SLICES]).replace(pack("<4i", 6, 3, 77, 3), pack("<4i", 2, 3, 77, 3)),
        header(SLICES).replace(pack("<4i", 3, 3, 77, 3), pack("<4i", 3, -4, 77, 3)),
        header(SLICES).replace(pack("<4i", 3, 3, 77, 3), pack("<4i", 3, 90, 77, 3)),
        header(SLICES).replace(pack("<ii", 3, 77), pack("<ii", 9_999, 77)),
    ],
)
def test_what_cannot_be_read_to_its_end_becomes_empty(sent: bytes) -> None:
    assert csa_numbers(sent) == b""


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_are_read_or_become_empty(garbage: bytes, at: int) -> None:
    sent = header(NORMAL, SLICES)
    clean = csa_numbers(sent[:at] + garbage + sent[at + len(garbage) :])
    assert clean == b"" or clean.startswith(SIGNATURE)
    assert csa_numbers(clean) == clean


def test_a_header_of_the_older_kind_is_read_and_leaves_as_the_newer_one() -> None:
    assert csa_numbers(csa1([NORMAL, *SECRETS, SLICES], gap=b"J")) == csa_numbers(header(NORMAL, SLICES))
    assert csa_numbers(csa1([SLICES])) == csa_numbers(header(SLICES))


PROTOCOL: Tag = ("MrPhoenixProtocol", [phoenix(), b"", b""])
SERIES = [("SliceArrayConcatenations", [b"1", b"", b""]), ("CoilString", [b"DOE"]), ("UsedPatientWeight", [b"81"])]


@pytest.mark.parametrize("write", [csa1, csa2])
def test_of_the_series_header_the_protocols_numbers_survive(write: Callable[..., bytes]) -> None:
    clean = csa_protocol(write([*SERIES, PROTOCOL], gap=b"J"))
    for kept in (b"SliceArrayConcatenations", b"MrPhoenixProtocol", b"sKSpace.lBaseResolution\t = \t8\n"):
        assert kept in clean
    for gone in (BURIED.encode(), SERIAL.encode(), DATE.encode(), b"DOE", b"UsedPatientWeight", b"J"):
        assert gone not in clean
    assert csa_protocol(clean) == clean


def test_an_image_header_holds_no_protocol_and_a_series_header_no_image_numbers() -> None:
    assert csa_numbers(header(PROTOCOL)) == b""
    assert csa_protocol(header(NORMAL, SLICES)) == b""


@given(st.binary(max_size=300), st.integers(0, 3000))
def test_any_bytes_in_a_series_header_are_read_or_become_empty(garbage: bytes, at: int) -> None:
    sent = header(*SERIES, PROTOCOL)
    clean = csa_protocol(sent[:at] + garbage + sent[at + len(garbage) :])
    assert clean == b"" or clean.startswith(SIGNATURE)
    assert csa_protocol(clean) == clean
    assert BURIED.encode() not in clean
