"""GE's user-defined data (0043,xx2A): an undocumented block; of it the few bits that say how phase was encoded."""

from struct import Struct

_SHORT, _FLOAT = Struct("<H"), Struct("<f")
_HEADER_AT = 24
_REVISED = 25.002
"""From this version on the header of the raw data has another layout."""
_EPI_AT, _POLARITY_AT, _DIRECTION_AT = 0x3A, 0x30, 0x394
_REVISED_HEADER, _REVISED_DIRECTION = 0x4C, -0x8C
_EPI_BIT, _POLARITY_BIT, _MOST_DIRECTIONS = 0x800, 0x4, 7
_LARGEST = 1 << 16
_VERSIONS = (1.0, 99.0)


def ge_polarity(sent: bytes) -> bytes:
    """Zeros with the bit for EPI, the bit for the polarity and the direction in k-space; empty if it is too short.

    Where they stand depends on the version that the block states, as dcm2niix reads it.
    """
    if not _HEADER_AT + _SHORT.size <= len(sent) <= _LARGEST:
        return b""
    (header,) = _SHORT.unpack_from(sent, _HEADER_AT)
    if header < _HEADER_AT + _SHORT.size or header + _FLOAT.size > len(sent):
        return b""
    (version,) = _FLOAT.unpack_from(sent, header)
    if not _VERSIONS[0] <= version <= _VERSIONS[1]:
        return b""
    revised = version >= _REVISED
    base = header + (_REVISED_HEADER if revised else 0)
    direction_at = base + _DIRECTION_AT + (_REVISED_DIRECTION if revised else 0)
    if direction_at + _SHORT.size > len(sent):
        return b""
    made = bytearray(len(sent))  # readers insist on the length it had
    _SHORT.pack_into(made, _HEADER_AT, header)
    _FLOAT.pack_into(made, header, round(version, 3))
    for at, bit in ((base + _EPI_AT, _EPI_BIT), (base + _POLARITY_AT, _POLARITY_BIT)):
        _SHORT.pack_into(made, at, _SHORT.unpack_from(sent, at)[0] & bit)
    (direction,) = _SHORT.unpack_from(sent, direction_at)
    _SHORT.pack_into(made, direction_at, direction if direction <= _MOST_DIRECTIONS else 0)
    return bytes(made)
