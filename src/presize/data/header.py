"""What the first bytes of a plain PNG or WebP say; `presize.data.jpeg` does the same for a JPEG.

Plain is what decoders agree on to the last bit: 8 bits, gray or RGB, nothing transparent, no
palette, nothing that turns the picture. A header is read in a few microseconds, in Python, and of
whatever is not plain, or looks odd, nothing is said: that is left to Pillow.
"""

import struct
import zlib
from typing import NamedTuple


class Header(NamedTuple):
    """What is known of a plain picture before it is decoded.

    Attributes:
        height: the rows of pixels, as they are stored.
        width: the pixels of a row.
        channels: 1 for gray, 3 for colour.
        orientation: how to turn the picture upright, 1 to 8 as in EXIF.
    """

    height: int
    width: int
    channels: int
    orientation: int = 1


_PNG_START = struct.Struct(">8sI4sIIBBBBB")
_PNG_CHUNK = struct.Struct(">I4s")
_PNG_CHANNELS = {0: 1, 2: 3}  # by colour type; the others are palettes and alpha
# What may stand beside the pixels without changing them, and how many bytes it has (None: any).
_PNG_EXTRAS = {
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"pHYs": 9,
    b"tIME": 7,
    b"sBIT": None,
    b"bKGD": None,
    b"tEXt": None,
}
_WEBP_START = struct.Struct("<4sI4s4sI")


def png_header(data: bytes) -> Header | None:
    """Return the header of a plain PNG that is there to its end; None for any other data."""
    if len(data) < 45:
        return None
    *_, name, width, height, depth, colours, packing, filters, interlaced = _PNG_START.unpack_from(
        data
    )
    channels = _PNG_CHANNELS.get(colours)
    usual = name == b"IHDR" and depth == 8 and not (packing or filters or interlaced)
    if not usual or channels is None or not (width and height):
        return None
    # To its end, because EXIF may stand behind the pixels.
    return Header(height, width, channels) if _nothing_but_pixels(data) else None


def _nothing_but_pixels(data: bytes) -> bool:
    """Say whether no chunk of a PNG changes how its pixels look."""
    at, n, pixels = 33, len(data), False
    while at + 12 <= n:
        length, name = _PNG_CHUNK.unpack_from(data, at)
        if name == b"IEND":
            return pixels
        if name == b"IDAT":  # its checksum is the decoder's to see to
            pixels = True
        elif name not in _PNG_EXTRAS or not _sound_extra(data, at, length, name):
            return False
        at += 12 + length
    return False


def _sound_extra(data: bytes, at: int, length: int, name: bytes) -> bool:
    """Say whether a chunk beside the pixels is as it should be; Pillow refuses it otherwise."""
    wanted = _PNG_EXTRAS[name]
    body = data[at + 4 : at + 8 + length]
    if wanted not in (None, length) or body[4:].startswith(b"Raw profile type"):  # it holds EXIF
        return False
    return data[at + 8 + length : at + 12 + length] == zlib.crc32(body).to_bytes(4)


def webp_header(data: bytes) -> Header | None:
    """Return the header of a plain WebP that is there to its end; None for any other data."""
    if len(data) < 30:
        return None
    _, rest, kind, name, length = _WEBP_START.unpack_from(data)
    # The pixels fill the file: what stands behind them is Pillow's to judge, which refuses a rest.
    if kind != b"WEBP" or rest + 8 > len(data) or length + length % 2 + 12 != rest:
        return None
    if name == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        width, height = width & 0x3FFF, height & 0x3FFF  # above are bits for scaling
    elif name == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if bits >> 28:  # with alpha, or of a version to come
            return None
    else:  # "VP8X", the extended kind: animated, with alpha, with EXIF
        return None
    return Header(height, width, 3) if width and height else None
