"""The table of decoders: which library decodes which kind of picture.

OpenCV decodes plain JPEG, PNG and WebP (see `presize.data.header`), Pillow, which takes care, all
others. Milliseconds a picture by `benchmarks/decode.py`, in one thread:

                          OpenCV   Pillow   torchvision   simplejpeg
    JPEG 224 px            0.21     0.23       0.19          0.18
    JPEG 500 px            0.75     0.87       0.75          0.74
    JPEG 500 px, at 1/8    0.55     0.61         -           0.55
    JPEG 3000 px, at 1/8   12.1     12.5         -           12.1
    PNG 28 px, gray        0.013    0.029      0.018           -
    PNG 500 px             3.70     4.18       3.88            -
    WebP 500 px            2.49     2.71       2.44            -
    GIF 500 px             5.18     1.32         -             -
    PNG palette, 500 px    1.30     1.32       1.33            -

Their pixels are the same to the last bit, at all four scales, and all leave Python's lock to other
threads while they decompress: two threads take 0.52 to 0.55 of the time, Pillow's 0.53 to 0.67.
torchvision is 8 % ahead of OpenCV at some sizes and 5 % behind at others, and has no scales. TIFF,
BMP and PPM have no row: OpenCV would save 0.1 to 0.2 ms a picture of 500 px, few data sets have
them, and their faults would have to be looked for as a JPEG's are.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from PIL import Image

from presize.data.header import Header, png_header, webp_header
from presize.data.jpeg import jpeg_header
from presize.data.modes import Bytes, Mode

HW: TypeAlias = tuple[int, int]
Reduce: TypeAlias = Callable[[HW], int]


class Decoder(NamedTuple):
    """A row of the table: a kind of file that OpenCV decodes.

    Attributes:
        begins: how such a file begins.
        header: reads the header; None for a file that is not plain.
        scales: whether it can be decoded at 1/2, 1/4, 1/8 of its size, in less time.
    """

    begins: bytes
    header: Callable[[bytes], Header | None]
    scales: bool


TABLE = (
    Decoder(b"\xff\xd8\xff", jpeg_header, scales=True),
    Decoder(b"\x89PNG\r\n\x1a\n\0\0\0\r", png_header, scales=False),
    Decoder(b"RIFF", webp_header, scales=False),
)
# Scales, and OpenCV's flags for them: IMREAD_REDUCED_GRAYSCALE_2 and so on. With IMREAD_COLOR_RGB
# they mean a small picture in colour. Those that are named for it give BGR, and to turn that
# around OpenCV would start threads of its own.
_SMALL = {1: 0, 2: 16, 4: 32, 8: 64}


def decode_plain(
    data: bytes, mode: Mode, *, orient: bool, reduce: Reduce | None
) -> tuple[Bytes, HW] | None:
    """Return the pixels [h,w,c] of a plain picture, and its full size; None if it is not plain.

    Args:
        data: the whole file.
        mode: "RGB" or "L".
        orient: turn the picture upright as its EXIF orientation says.
        reduce: see `presize.data.reading.read_pixels`.
    """
    decoder = next((row for row in TABLE if data.startswith(row.begins)), None)
    header = None if decoder is None else decoder.header(data)
    if decoder is None or header is None:
        return None
    most = Image.MAX_IMAGE_PIXELS  # the guard against decompression bombs is Pillow's
    if most is not None and header.height * header.width > most:
        return None
    turn = header.orientation if orient else 1
    full = (header.width, header.height) if turn >= 5 else (header.height, header.width)
    times = 1 if reduce is None or not decoder.scales else scale_of(reduce, full)
    pixels = _by_opencv(data, header, mode, times)
    if pixels is None:
        return None
    pixels = _turned(pixels, turn)
    return pixels.reshape(*pixels.shape[:2], -1), full


def scale_of(reduce: Reduce, full: HW) -> int:
    """Return by what a picture of a size is to be smaller.

    Raises:
        ValueError: it is not 1, 2, 4 or 8.
    """
    times = reduce(full)
    if times not in _SMALL:
        raise ValueError(
            f"A JPEG can be decoded at 1/1, 1/2, 1/4 or 1/8 of its size, but `reduce` returned "
            f"{times!r} for {full}; it should be 1, 2, 4 or 8."
        )
    return times


def _by_opencv(data: bytes, header: Header, mode: Mode, times: int) -> Bytes | None:
    """Decode a picture with OpenCV: [h,w,3] or [h,w]; None if it does not come as expected."""
    import cv2

    gray = mode == "L" and header.channels == 1
    flags = cv2.IMREAD_IGNORE_ORIENTATION | _SMALL[times]
    flags |= cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    shape = (-(-header.height // times), -(-header.width // times), 3)
    if pixels is None or pixels.shape != shape[: 2 if gray else 3]:
        return None
    if mode == "L" and not gray:
        # Pillow's weights, to the bit: OpenCV rounds one pixel of 60,000 to the next level.
        return np.array(Image.fromarray(pixels).convert("L"))
    return cast(Bytes, pixels)


def _turned(pixels: Bytes, orientation: int) -> Bytes:
    """Return pixels turned upright; OpenCV takes a third of the time that NumPy does."""
    if orientation == 1:
        return pixels
    import cv2

    turns: dict[int, Callable[[], Any]] = {
        2: lambda: cv2.flip(pixels, 1),
        3: lambda: cv2.rotate(pixels, cv2.ROTATE_180),
        4: lambda: cv2.flip(pixels, 0),
        5: lambda: cv2.transpose(pixels),
        6: lambda: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
        7: lambda: cv2.flip(cv2.transpose(pixels), -1),
        8: lambda: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
    }
    return cast(Bytes, turns[orientation]())
