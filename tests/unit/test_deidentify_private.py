"""What cleans private attributes: numbers, codes and lines of fixed lists pass; text, dates, serial numbers do not."""

import gzip
import threading
import zlib
from struct import pack, pack_into, unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanners import BURIED, DATE, SERIAL, phoenix

from scp.deidentify.functions import REWRITES
from scp.deidentify.functions.ge import ge_protocol
from scp.deidentify.functions.ge_polarity import ge_polarity
from scp.deidentify.functions.numbers import codes, measures, numbers
from scp.deidentify.functions.phoenix import phoenix_lines
from scp.deidentify.splice import Rewritten

NEEDLES = [BURIED.encode(), SERIAL.encode(), DATE.encode(), b"DOE"]


# numbers, codes, measures


@pytest.mark.parametrize("value", [b"1", b"-17", b"+2.5", b"0.1234567", b"1e-3", b"9999999", b".5", b"1\\2\\3", b"70."])
def test_numbers_pass(value: bytes) -> None:
    assert numbers(value) == value


@pytest.mark.parametrize("value", [b"", b"DOE", DATE.encode(), SERIAL.encode(), b"1952-11-30", b"1 2", b"0x10", b"nan"])
def test_what_is_no_short_number_goes(value: bytes) -> None:
    assert numbers(value) == b""
    assert numbers(b"3\\" + value + b"\\4 ") == b"3\\\\4"


@pytest.mark.parametrize("value", [b"EP", b"PFP\\FS", b"ORIGINAL\\PRIMARY\\M\\ND", b"LABEL", b"HERTZ "])
def test_terms_of_magnetic_resonance_pass(value: bytes) -> None:
    assert codes(value) == value.strip()


def test_of_codes_the_others_become_empty() -> None:
    assert codes(b"ORIGINAL\\DOE\\M") == b"ORIGINAL\\\\M"
    assert codes(b"DOE^JOHN") == codes(b"") == codes(b"ep") == b""


@pytest.mark.parametrize(
    "value", [b"64*64", b"64p*64", b"p2", b"p2s2", b"TA 00.03", b"FoV 1435*1435", b"X_1_1_4_104", b"SL 3.0", b"CC:SoS"]
)
def test_measures_of_a_known_form_pass(value: bytes) -> None:
    assert measures(value) == value
    assert measures(value + b" DOE") == measures(b"DOE" + value) == b""


@pytest.mark.parametrize("value", [b"HEA;HEP", b"Head_32", b"TA DOE", b"X_" + DATE.encode(), b"DOE*64", b"FoV 1*2*3"])
def test_other_text_does_not(value: bytes) -> None:
    assert measures(value) == b""


@given(st.binary(max_size=80))
def test_what_passes_passes_again(sent: bytes) -> None:
    for rewrite in (numbers, codes, measures):
        assert rewrite(rewrite(sent)) == rewrite(sent)
        assert len(rewrite(sent)) <= len(sent)


# Siemens' protocol


def lines(clean: bytes) -> dict[bytes, bytes]:
    return dict(line.split(b"\t = \t") for line in clean.splitlines() if b"\t = \t" in line)


def test_of_the_protocol_numbers_of_the_list_survive() -> None:
    found = lines(phoenix_lines(phoenix()))
    assert found[b"sKSpace.lBaseResolution"] == b"8"
    assert found[b"sGRADSPEC.asGPAData[0].lOffsetX"] == b"-17"
    assert found[b"sKSpace.ucPhasePartialFourier"] == b"0x10"
    assert found[b"sTXSPEC.asNucleusInfo[0].flReferenceAmplitude"] == b"275.5"


def test_nothing_else_of_the_protocol_survives() -> None:
    clean = phoenix_lines(phoenix())
    assert [needle for needle in NEEDLES if needle in clean] == []
    for key in (b"tProtocolName", b"tReferenceImage", b"sAdjData", b"sPatient", b"sSliceArray.lSize", b"version="):
        assert key not in clean
    assert phoenix_lines(clean) == clean


@pytest.mark.parametrize(
    ("sent", "stays"),
    [
        ("%SiemensSeq%\\ep2d_bold", b'""%SiemensSeq%\\ep2d_bold""'),
        ("%CustomerSeq%\\cmrr_mbep2d_bold", b'""%CustomerSeq%\\cmrr_mbep2d_bold""'),
        ("%CustomerSeq%\\smith_lab_ep2d_diff", b'""%CustomerSeq%\\ep2d_diff""'),
        ("%CustomerSeq%\\doe_john", None),
        ("C:\\doe\\tfl", None),
    ],
)
def test_a_sequence_keeps_the_name_that_everybody_uses(sent: str, stays: bytes | None) -> None:
    found = lines(phoenix_lines(phoenix(tSequenceFileName=f'""{sent}""')))
    assert found.get(b"tSequenceFileName") == stays


@pytest.mark.parametrize(
    ("end", "stays"), [("", None), ("DOE", None), ("_tse_vfl_mgh_epinav_ABCD", b"tse_vfl_mgh_epinav_ABCD")]
)
def test_of_a_name_of_very_many_words_only_the_last_ones_are_looked_at(end: str, stays: bytes | None) -> None:
    """In the time that their number squared takes nothing else would happen in the process."""
    sent = phoenix(tSequenceFileName=f'""%CustomerSeq%\\{"_" * 1_000_000}{end}""')
    expected = None if stays is None else b'""%%CustomerSeq%%\\%s""' % stays
    assert lines(phoenix_lines(sent)).get(b"tSequenceFileName") == expected


@pytest.mark.parametrize("value", [DATE, SERIAL, f'""{BURIED}""', "1 2", "0x20250917", "DOE", "1.2.3.4"])
def test_a_listed_line_with_another_value_goes(value: str) -> None:
    assert b"sPat.lAccelFactPE" not in lines(phoenix_lines(phoenix(**{"sPat.lAccelFactPE": value})))


@pytest.mark.parametrize(
    "sent", [b"", b"DOE", phoenix().replace(b"BEGIN", b"BEGUN"), phoenix().replace(b"END", b"FIN")]
)
def test_without_begin_and_end_there_is_no_protocol(sent: bytes) -> None:
    assert phoenix_lines(sent) == b""


@given(st.binary(max_size=200), st.integers(0, 1500))
def test_any_bytes_in_the_protocol_leave_known_lines_only(garbage: bytes, at: int) -> None:
    sent = phoenix()
    clean = phoenix_lines(sent[:at] + garbage + sent[at + len(garbage) :])
    assert [needle for needle in NEEDLES if needle in clean] == []
    assert phoenix_lines(clean) == clean


# GE's protocol data block


def block(text: bytes) -> bytes:
    packed = gzip.compress(text, mtime=1_758_116_702)
    return pack("<I", len(packed)) + packed


def unpacked(clean: bytes) -> bytes:
    assert len(clean) == 4 + unpack_from("<I", clean)[0]
    return zlib.decompress(clean[4:], wbits=31)


def test_of_ges_protocol_numbers_and_words_of_the_lists_survive() -> None:
    sent = (
        b'SLICEORDER "1"\nset TE "30.0"\nMULTIBVALUE "1000.0;2000;"\nIOPT "EPI, DOE, FMRI"\nSWAPPF "R/L"\nIMODE "2D"\n'
    )
    written = b'SLICEORDER "1"\nTE "30.0"\nMULTIBVALUE "1000.0;2000;"\nIOPT "EPI, FMRI"\nSWAPPF "R/L"\nIMODE "2D"\n'
    assert unpacked(ge_protocol(block(sent))) == written
    assert ge_protocol(ge_protocol(block(sent))) == ge_protocol(block(sent))


@pytest.mark.parametrize(
    "line",
    [b'SEDESC "DOE"', b'COIL "DOE"', b'PDGMUID "1.2.3"', b'TE "DOE"', b'IMODE "DOE"', b'TE "20250917"', b"TE 30", b""],
)
def test_other_lines_do_not(line: bytes) -> None:
    assert ge_protocol(block(line + b"\n")) == b""
    assert unpacked(ge_protocol(block(line + b'\nTR "5000"\n'))) == b'TR "5000"\n'


@pytest.mark.parametrize(
    "sent", [b"", b"1234", b"\0" * 40, block(b'TE "30"\n')[:-6], block(b'TE "30"\n' + b" " * (1 << 20))]
)
def test_what_cannot_be_unpacked_to_its_end_becomes_empty(sent: bytes) -> None:
    assert ge_protocol(sent) == b""


def test_the_block_says_nothing_of_when_it_was_packed() -> None:
    first = ge_protocol(block(b'TE "30"\n'))
    packed = gzip.compress(b'TE "30"\n', mtime=5)
    assert ge_protocol(pack("<I", len(packed)) + packed) == first


# GE's user-defined data


def user(version: float = 26.002, header: int = 64, size: int = 2400) -> bytearray:
    made = bytearray((b"DOE^JOHN" * 300)[:size])
    pack_into("<H", made, 24, header)
    pack_into("<f", made, header, version)
    return made


def test_of_user_data_the_bits_of_phase_encoding_survive() -> None:
    sent = user()
    base = 64 + 0x4C
    for at, value in ((0x3A, 0x0FFF), (0x30, 0xFFFF), (0x308, 2)):
        pack_into("<H", sent, base + at, value)
    clean = ge_polarity(bytes(sent))
    assert len(clean) == len(sent)
    assert [unpack_from("<H", clean, base + at)[0] for at in (0x3A, 0x30, 0x308)] == [0x800, 0x4, 2]
    assert unpack_from("<f", clean, 64)[0] == pytest.approx(26.002)
    assert b"DOE" not in clean
    assert sum(byte != 0 for byte in clean) <= 10


def test_of_an_older_version_they_stand_elsewhere() -> None:
    sent = user(version=24.0)
    for at, value in ((0x3A, 0x800), (0x30, 0), (0x394, 9)):
        pack_into("<H", sent, 64 + at, value)
    clean = ge_polarity(bytes(sent))
    assert [unpack_from("<H", clean, 64 + at)[0] for at in (0x3A, 0x30, 0x394)] == [0x800, 0, 0]


@pytest.mark.parametrize(
    "sent", [b"", b"DOE" * 9, user(version=1e9), user(header=25), user(header=1800), user(size=500), user(version=0.0)]
)
def test_a_block_that_is_not_understood_becomes_empty(sent: bytes) -> None:
    assert ge_polarity(bytes(sent)) == b""


@given(st.binary(max_size=3000))
def test_no_bytes_make_any_of_them_fail(sent: bytes) -> None:
    for rewrite in REWRITES.values():
        assert isinstance(rewrite(sent), bytes)


# what is remembered


VALUES = [bytes([letter]) * size for letter in b"abcdefg" for size in (8, 255, 256, 300)]


@given(st.lists(st.sampled_from(VALUES)))
def test_what_was_just_rewritten_is_the_same_again(values: list[bytes]) -> None:
    rewritten = Rewritten()

    def backwards(sent: bytes) -> bytes:
        return b"<" + sent[::-1] + b">"

    assert [rewritten.by(backwards, one) for one in values] == [b"<" + one[::-1] + b">" for one in values]
    assert all(len(sent) >= 256 for _, sent in rewritten.values)
    assert len(rewritten.values) <= 4


def test_long_neighbours_are_rewritten_once_by_each_function() -> None:
    rewritten, made = Rewritten(), []

    def one(sent: bytes) -> bytes:
        made.append(sent)
        return sent[:2]

    assert [rewritten.by(one, b"y" * 300) for _ in range(3)] == [b"yy"] * 3
    assert rewritten.by(lambda sent: sent[:1], b"y" * 300) == b"y"
    assert [rewritten.by(one, b"s") for _ in range(2)] == [b"s"] * 2
    assert made == [b"y" * 300, b"s", b"s"]


def test_threads_remember_for_themselves() -> None:
    rewritten, made = Rewritten(), []

    def one(sent: bytes) -> bytes:
        made.append(sent)
        return sent

    for _ in range(2):
        thread = threading.Thread(target=rewritten.by, args=(one, b"z" * 300))
        thread.start()
        thread.join()
    assert made == [b"z" * 300] * 2
    assert rewritten.values == {}
