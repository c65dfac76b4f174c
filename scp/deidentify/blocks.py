"""Whose private elements are: the creators that reserve the blocks of one item (PS3.5 7.8.1)."""

from collections.abc import Sequence

from scp.deidentify.fields import Private, Tag
from scp.table import Element

CREATORS = range(0x0010, 0x0100)
ODD_GROUP = 1 << 16


def owners(elements: Sequence[Element], data: memoryview) -> dict[int, tuple[int, str]]:
    """The creators of a level's blocks, by the first six digits of what they own: the tag of each, and its name."""
    found = {}
    for element in elements:
        tag = element.tag
        if tag & ODD_GROUP and tag & 0xFFFF in CREATORS:
            creator = bytes(data[element.value : element.end]).rstrip(b" \0").decode("ascii", "replace")
            found[tag >> 16 << 8 | tag & 0xFF] = tag, creator
    return found


def block(tag: int) -> int:
    """The first six digits of a tag: its group, and the number of its block."""
    return tag >> 8


def tags(named: Tag, elements: Sequence[Element], data: memoryview) -> list[int]:
    """The tags that it has at this level: none where its creator has no block there, and more where it has several."""
    if not isinstance(named, Private):
        return [named]
    blocks = owners(elements, data).items()
    return [
        at << 8 | named.element for at, (of, creator) in blocks if (of >> 16, creator) == (named.group, named.creator)
    ]
