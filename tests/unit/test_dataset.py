"""The table of elements: what it says of good data sets, and what it refuses."""

from struct import pack

import pytest
from encoded import explicit, image, implicit, items, sequence

from scp import charset
from scp.bounds import Bounds, Excess
from scp.dataset import UNDEFINED, DataSet, read
from scp.deidentify.unknown import read_unknown
from scp.outcome import Failure, Outcome

NAME, ROWS, PIXELS, COMMENT = 0x00100010, 0x00280010, 0x7FE00010, 0x00204000
SEQUENCE, CODES = 0x00081140, 0x00082218
ITEM_DELIMITER = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_DELIMITER = pack("<HHI", 0xFFFE, 0xE0DD, 0)


def refused(data: bytes, *, vr: bool = True) -> Failure:
    with pytest.raises(Failure) as error:
        read(data, explicit=vr)
    return error.value


def test_explicit_elements_lie_where_the_table_says() -> None:
    data = explicit(NAME, "PN", "A^B") + explicit(0x00400280, "ST", "some text ") + explicit(0x00420011, "OB", b"ab")
    dataset = read(data, explicit=True)
    assert [(element.tag, element.vr) for element in dataset.elements] == [
        (NAME, "PN"),
        (0x00400280, "ST"),
        (0x00420011, "OB"),
    ]
    assert [data[element.value : element.end] for element in dataset.elements] == [b"A^B ", b"some text ", b"ab"]
    assert b"".join(data[element.start : element.stop] for element in dataset.elements) == data


def test_implicit_elements_have_the_dictionary_s_vr() -> None:
    private = implicit(0x00090010, "CREATOR") + implicit(0x00091001, "x")
    data = private + implicit(NAME, "A^B") + implicit(0x00200000, pack("<I", 4)) + implicit(0x00280106, b"\0\0")
    dataset = read(data, explicit=False)
    assert [element.vr for element in dataset.elements] == ["LO", "UN", "PN", "UL", "US or SS"]


def test_an_empty_data_set_is_complete() -> None:
    assert read(b"", explicit=True).elements == ()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_read(kind: type) -> None:
    assert read(kind(image()), explicit=True).text(0x00100020) == "PATIENT-77"


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("undefined_items", [False, True])
def test_sequences_are_walked_to_their_last_item(*, undefined: bool, undefined_items: bool) -> None:
    inner = sequence(CODES, explicit(0x00080100, "SH", "C1"), undefined=undefined, undefined_items=undefined_items)
    data = sequence(SEQUENCE, inner, b"", undefined=undefined, undefined_items=undefined_items)
    dataset = read(data, explicit=True)
    (outer,) = dataset.elements
    first, second = dataset.nested[outer.start].items
    assert (outer.value, outer.stop) == (12, len(data))
    assert outer.end == len(data) - 8 * undefined
    assert first.undefined == second.undefined == undefined_items
    assert second.elements == ()
    (codes,) = first.elements
    (code,) = dataset.nested[codes.start].items[0].elements
    assert data[code.value : code.end] == b"C1"


def test_what_is_sent_as_un_of_undefined_length_is_implicit_inside() -> None:
    data = sequence(SEQUENCE, implicit(NAME, "A^B"), vr="UN", undefined=True)
    dataset = read(data, explicit=True)
    nested = dataset.nested[dataset.elements[0].start]
    assert not nested.explicit
    assert nested.items[0].elements[0].vr == "PN"


def test_un_of_defined_length_is_looked_into_on_request() -> None:
    value = items([implicit(NAME, "A^B")])
    dataset = read(explicit(SEQUENCE, "UN", value), explicit=True)
    assert dataset.nested == {}
    nested = read_unknown(dataset, dataset.elements[0]).nested[0]
    assert nested.items[0].elements[0].tag == NAME


@pytest.mark.parametrize("value", [b"no sequence here", items([implicit(NAME, "A^B")])[:-2], items([b"abc "])])
def test_un_that_is_no_sequence_is_refused_on_request(value: bytes) -> None:
    dataset = read(explicit(SEQUENCE, "UN", value), explicit=True)
    with pytest.raises(Failure):
        read_unknown(dataset, dataset.elements[0])


def test_fragments_are_walked_and_not_copied() -> None:
    data = explicit(PIXELS, "OB", items([b"", b"abcd", b"ef"], undefined=True), UNDEFINED)
    (pixels,) = read(data, explicit=True).elements
    assert (pixels.end, pixels.stop) == (len(data) - 8, len(data))


def test_find_and_value_of_what_is_there_and_what_is_not() -> None:
    dataset = read(image(), explicit=True)
    element = dataset.find(ROWS)
    assert element is not None
    assert element.tag == ROWS
    assert dataset.find(ROWS + 0x0F) is None
    assert dataset.find(0xFFFFFFFF) is None
    assert dataset.value(ROWS) == b"\2\0"
    assert dataset.value(NAME) == b""
    assert dataset.text(NAME) == ""


@pytest.mark.parametrize(
    ("terms", "value", "expected"),
    [
        ("", b"M\xfcller^Eva ", "Müller^Eva"),
        ("ISO_IR 100", b"M\xfcller", "Müller"),
        ("ISO-IR 100", b"M\xfcller", "Müller"),
        ("ISO_IR 192", "Müller".encode(), "Müller"),
        ("ISO_IR 144", b"\xbb\xee", "Лю"),
        ("GB18030", "王".encode("gb18030"), "王"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("ISO 2022 IR 6\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8", "김"),
        ("nobody knows", b"plain", "plain"),
    ],
)
def test_text_is_decoded_by_the_character_set(terms: str, value: bytes, expected: str) -> None:
    data = explicit(0x00080005, "CS", terms) + explicit(NAME, "PN", value)
    assert read(data, explicit=True).text(NAME) == expected


@pytest.mark.parametrize(
    ("terms", "value"),
    [("ISO_IR 192", b"\xff\xfe"), ("ISO_IR 999", b"\xfc"), ("\\ISO 2022 IR 87", b"\x1bQQ\xfc"), ("ISO_IR 13", b"\xfc")],
)
def test_text_that_cannot_be_decoded_is_refused_without_telling_it(terms: str, value: bytes) -> None:
    dataset = read(explicit(0x00080005, "CS", terms) + explicit(NAME, "PN", value), explicit=True)
    with pytest.raises(Failure) as error:
        dataset.text(NAME)
    assert error.value.outcome is Outcome.MALFORMED
    assert repr(value)[2:-1] not in str(error.value)


def test_replacing_decodes_what_strict_refuses() -> None:
    dataset = read(explicit(0x00080005, "CS", "ISO_IR 192") + explicit(NAME, "PN", b"ab\xff"), explicit=True)
    assert dataset.decode(b"ab\xff", "replace") == "ab\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("descending", explicit(NAME, "PN", "A") + explicit(0x00080060, "CS", "MR")),
        ("twice", explicit(NAME, "PN", "A") + explicit(NAME, "PN", "B")),
        ("command group", explicit(0x00000100, "US", b"\1\0")),
        ("file meta group", explicit(0x00020010, "UI", "1.2")),
        ("unknown VR", explicit(NAME, "QQ", "A")),
        ("lower-case VR", explicit(NAME, "pn", "A")),
        ("odd length", explicit(NAME, "PN", b"")[:-2] + b"\1\0A"),
        ("odd sequence", explicit(SEQUENCE, "SQ", b"abcdefghi", 9)),
        ("undefined text", explicit(0x00400280, "UT", b"ab" + SEQUENCE_DELIMITER, UNDEFINED)),
        ("undefined OB", explicit(0x00420011, "OB", items([b"ab"], undefined=True), UNDEFINED)),
        ("element in sequence", explicit(SEQUENCE, "SQ", explicit(NAME, "PN", "A"))),
        ("element in UN", explicit(SEQUENCE, "UN", implicit(NAME, "A"), UNDEFINED)),
        ("descending in item", sequence(SEQUENCE, explicit(NAME, "PN", "A") + explicit(0x00080060, "CS", "MR"))),
        ("meta in item", sequence(SEQUENCE, explicit(0x00020010, "UI", "1.2"))),
        ("stray item delimiter", explicit(NAME, "PN", "A") + ITEM_DELIMITER),
        ("delimiter in a defined sequence", explicit(SEQUENCE, "SQ", SEQUENCE_DELIMITER)),
        (
            "odd fragment",
            explicit(PIXELS, "OB", pack("<HHI", 0xFFFE, 0xE000, 3) + b"abc" + SEQUENCE_DELIMITER, UNDEFINED),
        ),
        ("nested fragment", explicit(PIXELS, "OB", pack("<HHI", 0xFFFE, 0xE000, UNDEFINED), UNDEFINED)),
        ("element among fragments", explicit(PIXELS, "OB", implicit(NAME, "A"), UNDEFINED)),
    ],
)
def test_malformed(what: str, data: bytes) -> None:
    assert refused(data).outcome is Outcome.MALFORMED, what


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("item as element", pack("<HHI", 0xFFFE, 0xE000, 0)),
        ("delimiter as element", implicit(NAME, "A") + SEQUENCE_DELIMITER),
        ("undefined text", implicit(NAME, b"", UNDEFINED)),
        ("encapsulated pixels", implicit(PIXELS, items([b"ab"], undefined=True), UNDEFINED)),
        ("undefined odd", implicit(NAME, b"", 3)),
    ],
)
def test_malformed_implicit(what: str, data: bytes) -> None:
    assert refused(data, vr=False).outcome is Outcome.MALFORMED, what


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("value cut", explicit(NAME, "PN", "ABCD")[:-2]),
        ("header cut", explicit(NAME, "PN", "ABCD") + b"\x10\0\x20\0"),
        ("long header cut", explicit(0x00420011, "OB", b"")[:-2]),
        ("huge value", explicit(0x00400280, "UT", b"ab", 0xFFFFFFF0)),
        ("sequence cut", sequence(SEQUENCE, explicit(NAME, "PN", "AB"))[:-2]),
        ("sequence without delimiter", sequence(SEQUENCE, explicit(NAME, "PN", "AB"), undefined=True)[:-8]),
        ("half a delimiter", sequence(SEQUENCE, explicit(NAME, "PN", "AB"), undefined=True)[:-4]),
        ("item without delimiter", sequence(SEQUENCE, explicit(NAME, "PN", "A"), undefined_items=True)[:-8]),
        ("item beyond its sequence", explicit(SEQUENCE, "SQ", pack("<HHI", 0xFFFE, 0xE000, 64) + bytes(8)) + bytes(90)),
        ("value beyond its item", sequence(SEQUENCE, explicit(NAME, "PN", "AB", 64)) + bytes(90)),
        ("sequence beyond its item", sequence(SEQUENCE, explicit(CODES, "SQ", b"", 64)) + bytes(90)),
        ("fragments without delimiter", explicit(PIXELS, "OB", items([b"ab"]), UNDEFINED)),
        ("fragment cut", explicit(PIXELS, "OB", items([b"abcd"])[:-2], UNDEFINED)),
    ],
)
def test_incomplete(what: str, data: bytes) -> None:
    assert refused(data).outcome is Outcome.INCOMPLETE, what


def nested(depth: int, *, undefined: bool) -> bytes:
    data = b""
    for _ in range(depth):
        data = sequence(SEQUENCE, data, undefined=undefined)
    return data


@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_go_as_deep_as_the_limit_and_no_deeper(*, undefined: bool) -> None:
    assert len(read(nested(32, undefined=undefined), explicit=True).nested) == 32
    assert refused(nested(33, undefined=undefined)).outcome is Outcome.MALFORMED
    assert len(read(nested(33, undefined=undefined), explicit=True, bounds=Bounds(depth=33)).nested) == 33
    assert refused(nested(900, undefined=undefined)).outcome is Outcome.MALFORMED


def test_more_elements_than_the_limit_are_refused() -> None:
    ten = Bounds(elements=10)
    elements = [explicit(0x00100010 + number, "LO", "") for number in range(11)]
    assert len(read(b"".join(elements[:10]), explicit=True, bounds=ten).elements) == 10
    read(sequence(SEQUENCE, *[b""] * 9), explicit=True, bounds=ten)
    # The sequence itself and its items count too, and so do fragments.
    for data in (
        b"".join(elements),
        sequence(SEQUENCE, *[b""] * 10),
        sequence(SEQUENCE, b"".join(elements[:5]), b"".join(elements[:5])),
        explicit(PIXELS, "OB", items([b""] * 10, undefined=True), UNDEFINED),
    ):
        with pytest.raises(Excess, match="more elements") as caught:
            read(data, explicit=True, bounds=ten)
        assert (caught.value.outcome, caught.value.limit) == (Outcome.MALFORMED, "max_elements")


@pytest.mark.parametrize(
    ("element", "values"),
    [
        (explicit(0x00181310, "DS", "1\\" * 9 + "2 "), 10),
        (explicit(0x00080008, "CS", "A\\" * 9 + "B "), 10),
        (explicit(0x00189087, "FD", bytes(80)), 10),
        (explicit(0x00280010, "US", bytes(20)), 10),
        (explicit(0x00091001, "OB", bytes(1000)), 1),
        (explicit(0x00091002, "UT", "\\" * 1000), 1),
        (implicit(0x00181310, b"1\\" * 9 + b"2 "), 10),
    ],
)
def test_more_values_than_the_limit_are_refused(element: bytes, values: int) -> None:
    is_explicit = element[4:6].isalpha()
    assert read(element, explicit=is_explicit, bounds=Bounds(values=values)).elements
    if values > 1:
        with pytest.raises(Excess, match="more values") as caught:
            read(element, explicit=is_explicit, bounds=Bounds(values=values - 1))
        assert caught.value.limit == "max_values"


@pytest.mark.parametrize("payload", [(PIXELS, "OW"), (0x00420011, "OB"), (0x56000020, "OF")])
def test_a_header_is_bounded_and_what_it_describes_is_not(payload: tuple[int, str]) -> None:
    header = explicit(0x00090010, "OB", bytes(988))
    data = header + explicit(*payload, bytes(5000))
    assert read(data, explicit=True, bounds=Bounds(header_bytes=1000)).elements
    with pytest.raises(Excess, match="besides the pixels") as caught:
        read(data, explicit=True, bounds=Bounds(header_bytes=999))
    assert (caught.value.outcome, caught.value.limit) == (Outcome.MALFORMED, "max_header_bytes")


def pixels(length: int, *more: bytes) -> DataSet:
    return read(image(explicit(PIXELS, "OW", bytes(length)), *more), explicit=True)


@pytest.mark.parametrize(
    ("length", "more"),
    [
        (8, ()),
        (10, ()),
        (16, (explicit(0x00280008, "IS", "2"),)),
        (8, (explicit(0x00280008, "IS", "two"),)),
        (8, (explicit(0x00280008, "IS", "2" * 4_400),)),
        (2, (explicit(0x00280100, "US", pack("<H", 1)),)),
        (0, (explicit(0x00280010, "US", b""),)),
        (
            8,
            (
                explicit(0x00280002, "US", b"\3\0"),
                explicit(0x00280100, "US", b"\x08\0"),
                explicit(0x00280004, "CS", "YBR_FULL_422"),
            ),
        ),
        (
            6,
            (
                explicit(0x00280002, "US", b"\3\0"),
                explicit(0x00280100, "US", b"\x08\0"),
                explicit(0x00280004, "CS", "YBR_PARTIAL_420"),
            ),
        ),
    ],
)
def test_pixel_data_as_long_as_its_image_is_complete(length: int, more: tuple[bytes, ...]) -> None:
    assert len(pixels(length, *more).value(PIXELS)) == length


@pytest.mark.parametrize(
    ("length", "more"),
    [
        (6, ()),
        (0, ()),
        (14, (explicit(0x00280008, "IS", "2"),)),
        (10, (explicit(0x00280002, "US", b"\3\0"), explicit(0x00280100, "US", b"\x08\0"))),
    ],
)
def test_pixel_data_shorter_than_its_image_is_incomplete(length: int, more: tuple[bytes, ...]) -> None:
    with pytest.raises(Failure) as error:
        pixels(length, *more)
    assert error.value.outcome is Outcome.INCOMPLETE


def test_a_data_set_does_not_show_its_values() -> None:
    dataset = read(image(), explicit=True)
    assert "PATIENT-77" not in repr(dataset)


def test_the_default_repertoire_needs_no_term() -> None:
    assert charset.decode(b"M\xfcller", []) == "Müller"
    assert charset.decode(b"plain", ["nobody knows"]) == "plain"


def test_an_escape_sequence_nobody_defines_is_refused() -> None:
    with pytest.raises(Failure) as error:
        charset.decode(b"A\x1bQQ\xfc", ["", "ISO 2022 IR 87"])
    assert error.value.outcome is Outcome.MALFORMED


@pytest.mark.parametrize("undefined", [False, True])
def test_empty_items_are_items_like_others_and_count(undefined):
    data = sequence(0x00081140, b"", explicit(0x00081155, "UI", "1.2"), b"", b"", undefined=undefined)
    dataset = read(data + explicit(0x00100020, "LO", "x"), explicit=True)
    (held,) = dataset.nested.values()
    assert [len(item.elements) for item in held.items] == [0, 1, 0, 0]
    assert [element.tag for element in dataset.elements] == [0x00081140, 0x00100020]
    with pytest.raises(Excess):
        read(data, explicit=True, bounds=Bounds(elements=5))
    assert read(data, explicit=True, bounds=Bounds(elements=7))
    with pytest.raises(Failure):
        read(data[:-4], explicit=True)
