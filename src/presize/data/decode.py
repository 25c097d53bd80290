"""Reads pictures from files and bytes: decoded, upright, in the wanted colours.

Photos are turned upright as their EXIF orientation says. To have the pixels as they are stored,
pass `orient=False`, or set `PILImage.orient = False` for everything that is loaded through it.
(TIFF is the exception: Pillow itself turns it upright.)
"""

import io
import pathlib
from os import PathLike
from typing import IO, Any

from PIL import ExifTags, Image

from presize.core.types import Size, hw
from presize.data.modes import WHITE, Colour, Mode, to_mode
from presize.data.problems import Source, unreadable, unsuitable

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


def load_image(
    source: "str | PathLike[str] | bytes | IO[bytes]",
    mode: Mode | None = "RGB",
    *,
    min_size: Size | None = None,
    orient: bool = True,
    white_level: float | None = None,
    background: Colour = WHITE,
) -> Image.Image:
    """Read a picture, the first frame of an animated one.

    Args:
        source: a path, the bytes of a picture file, or a file opened in binary mode.
        mode: "RGB" or "L" (gray); None keeps the colours of the file.
        min_size: pixels that are enough, as one number or (height, width). A JPEG is then decoded
            at 1/2, 1/4 or 1/8 of its size, where that still covers them, which is much faster.
        orient: turn the picture upright as its EXIF orientation says.
        white_level: the value of a picture with more than 8 bits that becomes 255; see
            `presize.data.modes.to_mode`.
        background: the colour that shows through where the picture is transparent.

    Raises:
        ImageError: the picture is missing, damaged, not a picture, or too large to be trusted.
    """
    known = source_of(source)
    read = read_picture(known, min_size=min_size, orient=orient)
    if mode is None:
        return read
    try:
        return to_mode(read, mode, white_level=white_level, background=background)
    except ValueError as error:
        raise unsuitable(known, error) from error


def read_picture(
    source: Source, *, min_size: Size | None = None, orient: bool = True
) -> Image.Image:
    """Read a picture in the colours of its file; see `load_image`."""
    wanted = None if min_size is None else hw(min_size)
    try:
        with _open(source) as im:
            if wanted is not None:
                _shrink_on_load(im, wanted)
            im.load()
            # A picture that is mapped from its file would change with the file.
            own = im.copy() if im.readonly else im
            result = upright(own) if orient else own
    except (MemoryError, Warning):  # a warning is raised where the user made warnings errors
        raise
    except Exception as error:  # on damaged files Pillow's decoders raise errors of many kinds
        raise unreadable(source, error) from error
    if 0 in result.size:
        raise unsuitable(source, f"it has no pixels, its size is {result.width}x{result.height}")
    return result


def image_size(source: "str | PathLike[str] | bytes", *, orient: bool = True) -> tuple[int, int]:
    """Return (height, width) of a picture from its header alone, without decoding it.

    Args:
        source: a path, or the bytes of a picture file.
        orient: tell the size that it has when it is turned upright.

    Raises:
        ImageError: the header cannot be read.
    """
    known = source_of(source)
    try:
        with _open(known) as im:
            width, height = im.size
            # Pillow tells the upright size of a TIFF at once.
            sideways = orient and im.format != "TIFF" and orientation(im) in _SIDEWAYS
    except (MemoryError, Warning):
        raise
    except Exception as error:  # as in read_picture
        raise unreadable(known, error) from error
    return (width, height) if sideways else (height, width)


def orientation(im: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where there is none or it is broken."""
    try:
        value = im.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF says nothing about the pixels, which may be fine
        return 1
    return value if value in _TURNS else 1


def upright(im: Image.Image) -> Image.Image:
    """Return the picture turned upright as its EXIF orientation says."""
    turn = _TURNS.get(orientation(im))
    return im if turn is None else im.transpose(turn)


def source_of(source: Any) -> Source:
    """Return what to read as a path or as bytes."""
    if isinstance(source, str | PathLike):
        return pathlib.Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        data = source.read()
    except UnicodeDecodeError:
        data = ""
    if not isinstance(data, bytes):
        raise TypeError(
            "A picture is read from a file that is open in binary mode; use open(path, 'rb')."
        )
    return data


def _open(source: Source) -> Image.Image:
    return Image.open(source if isinstance(source, pathlib.Path) else io.BytesIO(source))


def _shrink_on_load(im: Image.Image, size: tuple[int, int]) -> None:
    """Have a JPEG decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that covers `size`."""
    height, width = size
    if orientation(im) in _SIDEWAYS:
        height, width = width, height
    im.draft(None, (width, height))
