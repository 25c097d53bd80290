"""Reads pictures from files and bytes: decoded, upright, in the wanted colours.

Photos are turned upright as their EXIF orientation says. To have the pixels as they are stored,
pass `orient=False`, or set `PILImage.orient = False` for everything that is loaded through it.
(TIFF is the exception: Pillow itself turns it upright.)

Where a picture is transparent, wholly or in part, it is laid onto `background`: white, unless you
say otherwise. Alpha is not simply dropped, because what lies below it is often black, or garbage.
CMYK, palettes, LAB and 16 bits become 8-bit RGB or gray; see `presize.data.modes.to_mode`.

This is the careful way, with Pillow, to a PIL image. `presize.data.reading.read_pixels` gives the
same pixels as an array, faster where a picture is plain.
"""

import io
import pathlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import IO, Any, TypeAlias

from PIL import ExifTags, Image, UnidentifiedImageError

from presize.core.types import Size, hw
from presize.data.modes import WHITE, Colour, Mode, to_mode
from presize.data.problems import Source, unreadable, unsuitable

HW: TypeAlias = tuple[int, int]

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
            at 1/2, 1/4 or 1/8 of its size, where that still covers them: in down to 0.6 of the
            time, most of which goes into reading its data, at any size.
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
    return in_mode(known, read, mode, white_level=white_level, background=background)


def in_mode(
    source: Source,
    im: Image.Image,
    mode: Mode,
    *,
    white_level: float | None = None,
    background: Colour = WHITE,
) -> Image.Image:
    """Return the picture that was read from `source` in the wanted colours; see `to_mode`.

    Raises:
        ImageError: it has values outside the range, or colours that cannot be converted.
    """
    try:
        return to_mode(im, mode, white_level=white_level, background=background)
    except ValueError as error:
        raise unsuitable(source, error) from error


def read_picture(
    source: Source, *, min_size: Size | None = None, orient: bool = True
) -> Image.Image:
    """Read a picture in the colours of its file; see `load_image`."""
    if min_size is None:
        return read_carefully(source, orient=orient)[0]
    wanted = hw(min_size)
    return read_carefully(source, orient=orient, enough=lambda full: wanted)[0]


def read_carefully(
    source: Source,
    data: bytes | None = None,
    *,
    orient: bool = True,
    enough: Callable[[HW], HW] | None = None,
) -> tuple[Image.Image, HW]:
    """Read a picture in the colours of its file; return it and its full (height, width), upright.

    Args:
        source: a path, or the bytes of a picture file.
        data: what is in the file, if that is known already.
        orient: turn the picture upright as its EXIF orientation says.
        enough: is given the full size, and returns the (height, width) that is enough. A JPEG is
            then decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that covers it.

    Raises:
        ImageError: as `load_image` does.
    """
    with told(source):
        im = open_picture(_stream(source if data is None else data))
    with im:
        with told(source):
            full = _upright_size(im, orient)
        stored = im.size
        if enough is not None and im.format in ("JPEG", "MPO"):
            height, width = enough(full)
            im.draft(None, (width, height) if full == stored[::-1] else (height, width))
        is_smaller = im.size != stored
        with told(source):
            im.load()
            # A picture that is mapped from its file would change with the file.
            own = im.copy() if im.readonly else im
            result = upright(own) if orient else own
    if 0 in result.size:
        raise unsuitable(source, f"it has no pixels, its size is {result.width}x{result.height}")
    # Some files tell only at their end that they are to be turned.
    return result, full if is_smaller else (result.height, result.width)


def image_size(source: "str | PathLike[str] | bytes", *, orient: bool = True) -> HW:
    """Return (height, width) of a picture from its header alone, without decoding it.

    Args:
        source: a path, or the bytes of a picture file.
        orient: tell the size that it has when it is turned upright.

    Raises:
        ImageError: the header cannot be read.
    """
    known = source_of(source)
    with told(known), open_picture(_stream(known)) as im:
        return _upright_size(im, orient)


def open_picture(file: "str | PathLike[str] | IO[bytes]") -> Image.Image:
    """Open a picture with Pillow, which reads its header alone.

    Raises:
        UnidentifiedImageError: it is a drawing in PostScript. To draw it, Pillow would start
            Ghostscript, which runs whatever program the file holds.
    """
    im = Image.open(file)
    if im.format == "EPS":
        im.close()
        raise UnidentifiedImageError("a drawing in PostScript is not run")
    return im


@contextmanager
def told(source: Source) -> Iterator[None]:
    """Turn whatever goes wrong while `source` is read into an ImageError that says so."""
    try:
        yield
    except (MemoryError, Warning):  # a warning is raised where the user made warnings errors
        raise
    except Exception as error:  # on damaged files Pillow's decoders raise errors of many kinds
        raise unreadable(source, error) from error


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
    if isinstance(source, bytes):
        return source  # which may know its name
    if isinstance(source, bytearray | memoryview):
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


def _stream(source: Source) -> pathlib.Path | io.BytesIO:
    return source if isinstance(source, pathlib.Path) else io.BytesIO(source)


def _upright_size(im: Image.Image, orient: bool) -> HW:
    """Return the (height, width) of an opened picture, as it will be when it is turned."""
    # Pillow tells the upright size of a TIFF at once.
    sideways = orient and im.format != "TIFF" and orientation(im) in _SIDEWAYS
    return im.size if sideways else (im.height, im.width)
