"""GE's protocol data block (0025,xx1B): a gzip of lines `KEY "value"`, written anew with the ones of a fixed list."""

import re
import zlib
from struct import Struct

_LENGTH = Struct("<I")
_GZIP = 31  # zlib's wbits for a gzip header
_LARGEST = 1 << 20
_LINE = re.compile(rb'(?:set )?([A-Z][A-Z0-9_]*) "([^"]*)"')
_NUMBERS = re.compile(rb"[+-]?\d{1,7}(?:\.\d{1,9})?(?:[ ;,]+[+-]?\d{1,7}(?:\.\d{1,9})?)*[ ;,]*")
_KEYS = frozenset(
    b"""
    DELACQ DELACQNOAV DUMACQ FLIPANG FOV MATRIXX MATRIXY MBACCEL MULTIBVALUE MULTINEXVALUE MULTISYNBVALUE NECHO NEX
    NOSLC NUMACCELFACTORS NUMBVALUE NUMSHOTS NUMSYNBVALUE PHASEACCEL PHASEDELAYS1 PHASEFOV SL3PLANE SLICEACCEL
    SLICEORDER SLPERLOC SLTHICK SPC TE TE2 TI TR TRREST VIEWORDER
    """.split()
)
_WORDS = {
    b"IMODE": frozenset({b"2D", b"3D"}),
    b"IOPT": frozenset(
        b"EPI FMRI ASSET ARC MPh Fast IrP EDR DIFF Seq ZIP2 ZIP4 ZIP512 Flx FR SPF TRF Asset HB MB PROMO".split()
    ),
    b"PHASECORR": frozenset({b"Yes", b"No"}),
    b"PLANE": frozenset({b"AXIAL", b"SAGITTAL", b"CORONAL", b"OBLIQUE"}),
    b"SWAPPF": frozenset({b"A/P", b"R/L", b"S/I"}),
}
"""Keys whose value is a list of words; those that are not here are left out of it."""


def ge_protocol(sent: bytes) -> bytes:
    """The block with its lines of the list, numbers and words only; empty where it cannot be read to its end."""
    text = _text(sent)
    matches = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    lines = [_line(match[1], match[2]) for match in matches if match]
    kept = b"".join(line for line in lines if line)
    if not kept:
        return b""
    packer = zlib.compressobj(0, wbits=_GZIP)  # stored: the same bytes whichever zlib writes them
    packed = packer.compress(kept) + packer.flush()
    return _LENGTH.pack(len(packed)) + packed


def _text(sent: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(sent[_LENGTH.size :], _LARGEST)
    except zlib.error:
        return b""
    return text if unpacker.eof else b""


def _line(key: bytes, value: bytes) -> bytes:
    if words := _WORDS.get(key):
        value = b", ".join(word for word in re.split(rb"[, ]+", value) if word in words)
    elif key not in _KEYS or not _NUMBERS.fullmatch(value):
        return b""
    return b'%s "%s"\n' % (key, value) if value else b""
