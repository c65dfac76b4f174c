"""The data dictionary: public, repeating, private and unknown tags."""

import pytest

from scp import dictionary


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (0x00100010, "PN"),
        (0x00280106, "US or SS"),
        (0x7FE00010, "OB or OW"),
        (0x00081140, "SQ"),
        (0x60003000, "OB or OW"),
        (0x60020010, "US"),
        (0x50003000, "OB or OW"),
        (0x00200000, "UL"),
        (0x00090000, "UL"),
        (0x00090010, "LO"),
        (0x000900FF, "LO"),
        (0x00091001, "UN"),
        (0x00189999, "UN"),
    ],
)
def test_the_vr_of_an_element_sent_without_one(tag: int, vr: str) -> None:
    assert dictionary.vr(tag) == vr


def test_a_repeating_group_is_found_under_its_own_tag() -> None:
    attribute = dictionary.find(0x60103000)
    assert attribute is not None
    assert (attribute.tag, attribute.keyword) == (0x60103000, "OverlayData")


@pytest.mark.parametrize("tag", [0x00091001, 0x00189999, 0xFFFEE000])
def test_private_unknown_and_item_tags_are_no_attributes(tag: int) -> None:
    assert dictionary.find(tag) is None


def test_every_keyword_leads_back_to_its_tag() -> None:
    assert len(dictionary.TAGS) == len(dictionary.ATTRIBUTES)
    assert all(dictionary.ATTRIBUTES[tag].keyword == keyword for keyword, tag in dictionary.TAGS.items())


@pytest.mark.parametrize(
    ("group", "creator", "element", "vr"),
    [
        (0x0019, "SIEMENS MR HEADER", 0x0A, "US"),
        (0x2005, "Philips MR Imaging DD 005", 0x0F, "SQ"),
        (0x0019, "SIEMENS MR HEADER", 0xEE, None),
        (0x0019, "NOBODY", 0x0A, None),
    ],
)
def test_private_attributes_go_by_their_creator(group: int, creator: str, element: int, vr: str | None) -> None:
    assert dictionary.private_vr(group, creator, element) == vr


def test_tags_are_written_as_the_standard_writes_them() -> None:
    assert dictionary.write(0x00100010) == "(0010,0010) PatientName"
    assert dictionary.write(0x0029100A) == "(0029,100A)"
