"""NIfTI files as they come: both versions, both byte orders, packed or not, with a name wherever there is room."""

import gzip
import io
import struct
import zlib

NAME = b"QzDoeJohn1952"  # fills every text field, extension and unused byte
_TYPES = {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64, 1792: 128}
TYPES = tuple(_TYPES)


def filled(size, name=NAME):
    """So many bytes of a name, again and again."""
    return (name * (size // len(name) + 1))[:size]


def volume(voxels=None, *, version=1, order="<", datatype=4, shape=(2, 3, 4), **changed):
    """The bytes of a file; `extension` is the length of one, and bitpix, magic, offset and dim may be given."""
    extension = changed.get("extension", 0)
    bits = changed.get("bitpix", _TYPES.get(datatype, 8))
    count = 1
    for size in shape:
        count *= size
    voxels = bytes(index % 251 for index in range(count * bits // 8)) if voxels is None else voxels
    dim = changed.get("dim", (len(shape), *shape, *(1 for _ in range(7 - len(shape)))))
    pixdim = (-1.0, 0.5, 0.75, 1.25, 2.0, 0.0, 0.0, 0.0)
    rows = (0.5, 0.1, 0.0, -80.5, 0.0, 0.75, 0.25, -60.0, 0.125, 0.0, 1.25, 12.0)
    size = 348 if version == 1 else 540
    offset = changed.get("offset", size + 4 + extension)
    pack = lambda form, *values: struct.pack(order + form, *values)  # noqa: E731  one order for all
    magic = changed.get("magic", b"n+1\0" if version == 1 else b"n+2\0\r\n\x1a\n")
    kind = (datatype, bits)
    made = (_first if version == 1 else _second)(pack, (dim, kind, offset), (pixdim, rows), magic)
    assert len(made) == size
    flag = bytes([1, 0, 0, 0]) if extension else bytes(4)
    return made + flag + filled(extension) + voxels


def _first(pack, stored, placed, magic):
    (dim, kind, offset), (pixdim, rows) = stored, placed
    made = pack("i", 348) + filled(10) + filled(18) + filled(4) + filled(2) + filled(1) + b"\x39"
    made += pack("8h3f4h8f", *dim, 1.5, 0, 0, 0, *kind, 0, *pixdim)
    made += pack("fffhbb4f", offset, 2.0, -1.0, 3, 1, 10, 100.0, 0.0, 0.25, 0.0) + filled(8)
    made += filled(80) + filled(24) + pack("hh6f12f", 1, 2, 0.1, 0.2, 0.3, -80.5, -60.0, 12.0, *rows)
    return made + filled(16) + magic


def _second(pack, stored, placed, magic):
    (dim, kind, offset), (pixdim, rows) = stored, placed
    made = pack("i", 540) + magic + pack("hh", *kind) + pack("8q3d8dq", *dim, 1.5, 0, 0, *pixdim, offset)
    made += pack("6d2q", 2.0, -1.0, 100.0, 0.0, 0.25, 0.0, 0, 3) + filled(80) + filled(24)
    made += pack("ii6d12dii", 1, 2, 0.1, 0.2, 0.3, -80.5, -60.0, 12.0, *rows, 1, 10)
    return made + pack("i", 0) + filled(16) + b"\x39" + filled(15)


def packed(data):
    """Gzip with a name and a time in its header."""
    stream = io.BytesIO()
    with gzip.GzipFile(NAME.decode() + ".nii", "wb", fileobj=stream, mtime=1_000_000_000) as file:
        file.write(data)
    return stream.getvalue()


def unpacked(data):
    """What gzip holds, by zlib."""
    return zlib.decompress(data, 31) if data[:2] == b"\x1f\x8b" else data
