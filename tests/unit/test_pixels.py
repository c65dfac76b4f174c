"""The header that is gathered and the pixels that are counted, for any borders between the pieces."""

from struct import pack

import pytest
from encoded import EXPLICIT, IMPLICIT, explicit, image, implicit, items, sequence
from hypothesis import given
from hypothesis import strategies as st
from streamed import cut, encapsulated, followers, images, pieces

from scp.bounds import Bounds
from scp.dataset import BOUNDS, PIXEL_DATA, UNDEFINED, read
from scp.outcome import Failure, Outcome
from scp.pixels import PIXELS, Header, Pixels, begin, behind
from scp.table import Element

BORDERS = st.lists(st.integers(0, 2000), max_size=8)
MANY = 1 << 20


def header(syntax=EXPLICIT, most=MANY, ends=PIXELS, elements=BOUNDS.elements):
    return Header(syntax != IMPLICIT, ends, Bounds(header_bytes=most, elements=elements))


def begun(data, borders=(), **options):
    first, *rest = cut(data, borders) or [b""]
    gathered, waiting = bytearray(first), pieces(rest)
    dataset, pixels = begin(gathered, waiting, header(**options))
    return dataset, pixels, gathered, waiting


def taken(pixels, parts):
    """What was taken for pixel data, and what stands behind."""
    inside, outside = b"", b""
    for part in parts:
        count = pixels.take(memoryview(part))
        inside, outside = inside + part[:count], outside + part[count:]
    return inside, outside


def failing(call, *args, **options):
    with pytest.raises(Failure) as caught:
        call(*args, **options)
    return caught.value.outcome


@given(made=images(), borders=BORDERS)
def test_header_pixels_and_followers_are_those_of_the_whole(made, borders):
    data, syntax = made
    whole = read(data, explicit=syntax != IMPLICIT)
    dataset, pixels, gathered, rest = begun(data, borders, syntax=syntax)
    if pixels is None:  # it had all come before its header was found
        assert (dataset.elements, gathered, list(rest)) == (whole.elements, data, [])
        return
    element = whole.find(PIXEL_DATA)
    at = whole.elements.index(element)
    assert [one[:4] for one in dataset.elements] == [one[:4] for one in whole.elements[: at + 1]]
    assert bytes(dataset.data) == data[: element.value]
    inside, outside = taken(pixels, [bytes(gathered[element.value :]), *(bytes(part) for part in rest)])
    pixels.finish()
    assert inside == data[element.value : element.stop]
    assert outside == data[element.stop :]
    table = behind(bytearray(outside), pixels, explicit=syntax != IMPLICIT)
    assert [one.tag for one in table.elements] == [one.tag for one in whole.elements[at + 1 :]]


@given(made=images(), borders=BORDERS, data=st.data())
def test_what_is_cut_short_is_never_whole(made, borders, data):
    sent, syntax = made
    element = read(sent, explicit=syntax != IMPLICIT).find(PIXEL_DATA)
    end = data.draw(st.integers(element.value, element.stop - 1))

    def receive():
        _, pixels, gathered, rest = begun(sent[:end], borders, syntax=syntax)
        taken(pixels, [bytes(gathered[element.value :]), *(bytes(part) for part in rest)])
        pixels.finish()

    assert failing(receive) is Outcome.INCOMPLETE


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_data_set_that_ends_within_its_header_is_incomplete(syntax):
    data = image() if syntax == EXPLICIT else implicit(0x00100010, "DOE") + implicit(PIXEL_DATA, bytes(8))
    end = data.index(b"\xe0\x7f\x10\0") + 7
    outcomes = {
        failing(begun, data[:length], [3, 9], syntax=syntax) for length in range(1, end) if length not in ends(data)
    }
    assert outcomes == {Outcome.INCOMPLETE}


def ends(data):
    """Where one element stops and the next begins: what ends there is complete, only without pixels."""
    explicit_vrs = data[4:6].isalpha()
    return {element.stop for element in read(data, explicit=explicit_vrs).elements}


def test_without_pixels_it_is_read_whole():
    data = explicit(0x00100010, "PN", "DOE^JOHN") + sequence(0x00081110, undefined=True)
    data = data[16:] + data[:16]
    dataset, pixels, gathered, rest = begun(data, [5, 11])
    assert pixels is None
    assert dataset.elements == read(data, explicit=True).elements
    assert gathered == data
    assert list(rest) == []


def test_sequences_in_front_are_passed_over_whatever_their_lengths():
    for undefined in (False, True):
        inner = sequence(0x00081110, explicit(0x7FE00010, "OW", b"no"), undefined=undefined, undefined_items=undefined)
        dataset, pixels, *_ = begun(image(inner), [30])
        assert dataset.find(0x00081110)
        assert pixels.left == 8
        assert dataset.nested


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (explicit(PIXEL_DATA, "OW", b"", 7), Outcome.MALFORMED),
        (explicit(PIXEL_DATA, "UN", b"", UNDEFINED), Outcome.MALFORMED),
        (explicit(PIXEL_DATA, "SQ", b"", UNDEFINED), Outcome.MALFORMED),
        (explicit(0x7FE00008, "OF", b"", UNDEFINED), Outcome.MALFORMED),
        (b"\x10\0\x10\0??\0\0" + explicit(PIXEL_DATA, "OW", b""), Outcome.MALFORMED),
        (explicit(0x7FE10010, "LO", "A") + explicit(PIXEL_DATA, "OW", b""), Outcome.MALFORMED),
        (explicit(0x00020010, "UI", "1.2") + explicit(PIXEL_DATA, "OW", b""), Outcome.MALFORMED),
        (explicit(0x00100010, "PN", b"") * 2 + explicit(PIXEL_DATA, "OW", b""), Outcome.MALFORMED),
        (image(pixels=explicit(PIXEL_DATA, "OW", b"", 6)), Outcome.INCOMPLETE),
    ],
)
def test_what_no_header_may_say(data, outcome):
    assert failing(begun, data + bytes(20)) is outcome


def test_a_header_has_a_longest_length():
    data = explicit(0x00100010, "UT", b"x" * 500) + explicit(PIXEL_DATA, "OW", bytes(100))
    end = data.index(b"\xe0\x7f\x10\0") + 12
    assert begun(data, range(0, 600, 7), most=end)[1].tag == PIXEL_DATA
    assert failing(begun, data, range(0, 600, 7), most=end - 1) is Outcome.MALFORMED
    assert failing(begun, explicit(0x00100010, "UT", b"x" * 500), [9, 99, 400], most=300) is Outcome.MALFORMED


def test_pixel_data_that_does_not_stream_is_an_element_like_others():
    data = image()
    dataset, pixels, *_ = begun(data, [100], ends=frozenset())
    assert pixels is None
    assert dataset.find(PIXEL_DATA).end == len(data)


@pytest.mark.parametrize("item", [pack("<HHI", 0xFFFE, 0xE000, 3), pack("<HHI", 0xFFFE, 0xE000, UNDEFINED), bytes(8)])
@pytest.mark.parametrize("border", range(0, 24, 5))
def test_what_is_no_fragment_is_malformed(item, border):
    pixels = Pixels(Element(PIXEL_DATA, "OB", 0, 12, 12 + UNDEFINED, 20 + UNDEFINED), BOUNDS)
    data = items([b"good"]) + item
    with pytest.raises(Failure) as caught:
        taken(pixels, [data[:border], data[border:]])
    assert caught.value.outcome is Outcome.MALFORMED


def test_fragments_have_a_largest_number():
    pixels = Pixels(Element(PIXEL_DATA, "OB", 0, 12, 12 + UNDEFINED, 20 + UNDEFINED), Bounds(elements=3))
    assert taken(pixels, [items([b"aa", b"bb", b"cc"])])[1] == b""
    assert failing(pixels.take, memoryview(items([b"dd"]))) is Outcome.MALFORMED


def test_elements_in_front_have_a_largest_number():
    data = b"".join(explicit(0x00090010 + number, "LO", "A") for number in range(15))
    assert begun(data + explicit(PIXEL_DATA, "OW", b"12"), elements=20)[1].left == 2
    data = b"".join(explicit(0x00090010 + number, "LO", "A") for number in range(25))
    assert failing(begun, data + explicit(PIXEL_DATA, "OW", b"12"), elements=20) is Outcome.MALFORMED


def test_what_follows_has_higher_tags_and_is_complete():
    _, pixels, *_ = begun(image())
    follower = followers(vrs=True)[0]
    assert len(behind(bytearray(follower), pixels, explicit=True).elements) == 1
    assert failing(behind, bytearray(image()), pixels, explicit=True) is Outcome.MALFORMED
    assert failing(behind, bytearray(follower[:-1]), pixels, explicit=True) is Outcome.INCOMPLETE


def test_empty_pixel_data_ends_where_it_begins():
    empty = explicit(0x00080016, "UI", "1.2") + explicit(PIXEL_DATA, "OW", b"")
    _, pixels, *_ = begun(empty)
    assert pixels.take(memoryview(b"behind")) == 0
    pixels.finish()
    assert encapsulated()[-8:] == items([], undefined=True)
