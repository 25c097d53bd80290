"""Reads pictures as arrays, from files and bytes: what training does for each picture.

The same pixels as `presize.data.decode.load_image` gives, to the last bit, and the same errors.
The file is read once, whole. A plain picture is then decoded the fast way, see
`presize.data.decoders`; one that is not, or that fails there, the careful way.

What is transparent is laid onto `background` (white), photos are turned upright as EXIF says, and
16 bits, CMYK and palettes become 8-bit RGB or gray, as told in `presize.data.decode`.
"""

import functools
import io
from dataclasses import dataclass
from os import PathLike

import numpy as np

from presize.data.decode import in_mode, read_carefully, source_of, told
from presize.data.decoders import HW, Reduce, decode_plain, scale_of
from presize.data.modes import WHITE, Bytes, Colour, Mode


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture.

    Args:
        pixels: uint8 [h,w,c], contiguous; c is 3 (RGB) or 1 (gray).
        full: the (height, width) that the picture has at full size; `pixels` may have less, by
            2, 4 or 8.
    """

    pixels: Bytes
    full: HW


def read_pixels(
    source: str | PathLike[str] | bytes,
    mode: Mode = "RGB",
    *,
    orient: bool = True,
    white_level: float | None = None,
    background: Colour = WHITE,
    reduce: Reduce | None = None,
) -> Decoded:
    """Read a picture, the first frame of an animated one; from several threads at once, too.

    Args:
        source: a path, or the bytes of a picture file.
        mode: "RGB" or "L" (gray).
        orient: turn the picture upright as its EXIF orientation says.
        white_level: the value of a picture with more than 8 bits that becomes 255; see
            `presize.data.modes.to_mode`.
        background: the colour that shows through where the picture is transparent.
        reduce: is given the full (height, width), upright, and returns 1, 2, 4 or 8: by how much
            the sides may be smaller. A JPEG is then decoded at that part of its size, rounded
            up, which is faster; others come at full size.

    Raises:
        ImageError: the picture is missing, damaged, not a picture, or too large to be trusted.
    """
    if isinstance(source, bytes):
        data = source
    else:
        with told(source_of(source)), io.FileIO(source) as file:
            data = file.readall()
    fast = decode_plain(data, mode, orient=orient, reduce=reduce)
    if fast is not None:
        return Decoded(*fast)
    known = source_of(source)
    enough = None if reduce is None else functools.partial(_enough, reduce)
    read, full = read_carefully(known, data, orient=orient, enough=enough)
    im = in_mode(known, read, mode, white_level=white_level, background=background)
    return Decoded(np.array(im).reshape(im.height, im.width, -1), full)


def _enough(reduce: Reduce, full: HW) -> HW:
    times = scale_of(reduce, full)
    return max(1, full[0] // times), max(1, full[1] // times)
