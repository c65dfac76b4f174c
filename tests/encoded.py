"""Elements written byte by byte, also the wrong ones that no library would write."""

from collections.abc import Sequence
from struct import pack

from scp.dataset import LONG_VRS, UNDEFINED, read
from scp.instance import Arrival, Instance, Peer

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE = "1.2.840.10008.1.2.5"
MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "1.2.3.4.5"
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD


def explicit(tag: int, vr: str, value: bytes | str = b"", length: int | None = None) -> bytes:
    """An element with explicit VR; `length` lies about the value's."""
    value = _padded(value)
    size = len(value) if length is None else length
    if vr in LONG_VRS:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, size) + value
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), size) + value


def implicit(tag: int, value: bytes | str = b"", length: int | None = None) -> bytes:
    """An element without its VR."""
    value = _padded(value)
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def items(contents: Sequence[bytes], *, undefined: bool = False, undefined_items: bool = False) -> bytes:
    """A sequence's value; with its delimiter if the sequence has undefined length."""
    body = b""
    for content in contents:
        if undefined_items:
            body += pack("<HHI", 0xFFFE, _ITEM, UNDEFINED) + content + pack("<HHI", 0xFFFE, _ITEM_END, 0)
        else:
            body += pack("<HHI", 0xFFFE, _ITEM, len(content)) + content
    return body + (pack("<HHI", 0xFFFE, _SEQUENCE_END, 0) if undefined else b"")


def sequence(
    tag: int, *contents: bytes, vr: str = "SQ", undefined: bool = False, undefined_items: bool = False
) -> bytes:
    """A sequence with explicit VR, or one that says it is UN."""
    value = items(contents, undefined=undefined, undefined_items=undefined_items)
    return explicit(tag, vr, value, UNDEFINED if undefined else None)


def image(*more: bytes, pixels: bytes | None = None) -> bytes:
    """An explicit MR image of 2 x 2 pixels with `more` elements, all sorted by tag."""
    elements = [
        explicit(0x00080016, "UI", MR),
        explicit(0x00080018, "UI", UID),
        explicit(0x00100020, "LO", "PATIENT-77"),
        explicit(0x0020000D, "UI", "1.2.3.1"),
        explicit(0x0020000E, "UI", "1.2.3.2"),
        explicit(0x00280002, "US", pack("<H", 1)),
        explicit(0x00280010, "US", pack("<H", 2)),
        explicit(0x00280011, "US", pack("<H", 2)),
        explicit(0x00280100, "US", pack("<H", 16)),
        explicit(0x00280103, "US", pack("<H", 0)),
        explicit(0x7FE00010, "OW", bytes(range(8))) if pixels is None else pixels,
    ]
    return ordered(*elements, *more)


def ordered(*elements: bytes) -> bytes:
    """The elements in ascending order of tags; of two with one tag the later one stays."""
    by_tag = {int.from_bytes(one[:2], "little") << 16 | int.from_bytes(one[2:4], "little"): one for one in elements}
    return b"".join(by_tag[tag] for tag in sorted(by_tag))


def instance(data: bytes, transfer_syntax: str = EXPLICIT) -> Instance:
    """The bytes after examination, as an MR image."""
    arrival = Arrival(
        peer=Peer("MODALITY", "CLOAKROOM", "192.0.2.7"),
        sop_class_uid=MR,
        sop_instance_uid=UID,
        context_class=MR,
        transfer_syntax=transfer_syntax,
        data=data,
    )
    return Instance(arrival, read(data, explicit=transfer_syntax != IMPLICIT))


def _padded(value: bytes | str) -> bytes:
    value = value.encode("latin-1") if isinstance(value, str) else value
    return value + b" " * (len(value) & 1)
