"""Reads one picture: its identity, size and colours, and what it looks like in small."""

import hashlib
import io
import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from presize.core.errors import DataError, ImageError
from presize.data.check.entries import Entry
from presize.data.check.looks import Look, look_of
from presize.data.decode import open_picture, orientation, upright
from presize.data.images import PILImage
from presize.data.modes import to_bytes, to_mode
from presize.data.problems import unreadable, unsuitable

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves so many pixels a side. All of
# its data is read all the same, so that one that is cut short is found.
ENOUGH = 64
_SIDEWAYS = (5, 6, 7, 8)
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a picture that could be read.

    Args:
        digest: the same for files of the same bytes, or pictures of the same pixels.
        size: (height, width), upright.
        mode: of the pixels as they are stored, as Pillow names it, such as "RGB" or "L".
        format: such as "JPEG"; None if the picture is not from a file.
        turned: it is stored lying, and turned upright as its EXIF orientation says.
        dark: it has 16 bits, of which it uses fewer than 12.
    """

    digest: bytes
    size: tuple[int, int]
    mode: str
    format: str | None = None
    turned: bool = False
    dark: bool = False


def examined(entry: Entry) -> tuple[Facts, Look]:
    """Return what is known of a picture, which is read once.

    Raises:
        ImageError: it cannot be read.
    """
    if isinstance(entry.source, Path):
        return _of_file(entry.source)
    try:
        return _of_picture(entry.source())
    except (MemoryError, Warning, ImageError):
        raise
    except Exception as error:  # the user's own data set and functions may raise anything
        raise ImageError(f"{type(error).__name__}: {error}") from error


def reason(entry: Entry, error: ImageError) -> str:
    """Return what is wrong with a picture, without the name of the file and the way out."""
    text = str(error).removeprefix(f"`{entry.source}` ").partition(" Replace it or leave")[0]
    return text.removeprefix("cannot be read: ").removeprefix("cannot be used: ").rstrip(".")


def _of_file(path: Path) -> tuple[Facts, Look]:
    try:
        data = path.read_bytes()
        with open_picture(io.BytesIO(data)) as im:
            size, mode, turn = im.size, im.mode, orientation(im)
            im.draft(None, (ENOUGH, ENOUGH))
            im.load()
            # Pillow turns a TIFF upright by itself, and tells its upright size at once.
            lying = turn != 1 and im.format != "TIFF"
            whole = upright(im) if lying else im
    except Warning:  # raised where the user made warnings errors
        raise
    except Exception as error:  # on damaged files Pillow's decoders raise errors of many kinds
        raise unreadable(path, error) from error
    if 0 in size:
        raise unsuitable(path, f"it has no pixels, its size is {size[0]}x{size[1]}")
    try:
        plain, dark = _plain(whole)
    except ValueError as error:
        raise unsuitable(path, error) from error
    height, width = size if lying and turn in _SIDEWAYS else size[::-1]
    facts = Facts(_digest(data), (height, width), mode, im.format, turn != 1, dark)
    return facts, look_of(plain)


def _of_picture(picture: Any) -> tuple[Facts, Look]:
    """Return what is known of a decoded picture: of PIL, an array or a tensor."""
    if isinstance(picture, str | PathLike):
        return _of_file(Path(picture))
    if isinstance(picture, bytes | bytearray | memoryview):
        picture = open_picture(io.BytesIO(bytes(picture)))
    form = None
    if isinstance(picture, Image.Image):
        pixels, mode, form = np.asarray(picture), picture.mode, picture.format
        plain, dark = _plain(picture)
    else:
        plain, dark = _drawn(picture), False
        pixels = np.asarray(picture.detach().cpu() if isinstance(picture, Tensor) else picture)
        mode = str(pixels.dtype)
    about = f"{pixels.shape} {pixels.dtype} {mode}".encode()
    digest = _digest(about + np.ascontiguousarray(pixels).tobytes())
    facts = Facts(digest, (plain.height, plain.width), mode, form, dark=dark)
    return facts, look_of(plain)


def _drawn(values: Any) -> Image.Image:
    """Return an array or tensor as a picture.

    Values of no usual range, as after normalising, are spread over the range of pictures.
    """
    try:
        return PILImage.create(values)
    except DataError:
        low, high = float(values.min()), float(values.max())
        if not math.isfinite(high - low):
            raise
        return PILImage.create(((values - low) / max(high - low, 1e-12)).clip(0, 1))


def _plain(im: Image.Image) -> tuple[Image.Image, bool]:
    """Return a picture as 8-bit RGB or gray, and whether it is a dark one of 16 bits.

    Raises:
        ValueError: it has values that training refuses, too.
    """
    if im.mode not in _DEEP:
        as_it_is = im.mode in ("L", "RGB") and not im.has_transparency_data
        return (im if as_it_is else to_mode(im, "RGB")), False
    values = np.asarray(im)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "i" and low >= 0 and high <= 65535:
        values = values.astype(np.uint16)  # Pillow reads 16-bit PGM and some PNG as 32 bits
    to_bytes(values, PILImage.white_level)
    dark = values.dtype.kind == "u" and 0 < high < 4096 and PILImage.white_level is None
    spread = (values.astype(np.float64) - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(spread.astype(np.uint8)), dark


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
