"""Turns pictures of every kind of colour into 8-bit RGB or gray, and masks into class numbers."""

import warnings
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Mode: TypeAlias = Literal["RGB", "L"]
Colour: TypeAlias = tuple[int, int, int]
Bytes: TypeAlias = npt.NDArray[np.uint8]

WHITE: Colour = (255, 255, 255)
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def to_mode(
    im: Image.Image,
    mode: Mode,
    *,
    white_level: float | None = None,
    background: Colour = WHITE,
) -> Image.Image:
    """Return the picture as 8-bit "RGB" or "L" (gray); itself if it is that already.

    Args:
        im: a picture of any mode: palette, with alpha, CMYK, LAB, YCbCr, HSV, 1, 16 or 32 bits.
        mode: the mode wanted.
        white_level: the value of a picture with more than 8 bits that becomes 255. By default
            65535, and 1.0 for pictures of floats: the same for all pictures, whatever their
            content, so that equal values stay equal. Data of 12 bits wants 4095.
        background: the colour that shows through where the picture is transparent.

    Raises:
        ValueError: values outside the range, or a mode that cannot be converted.
    """
    if im.mode in _DEEP:
        im = _deep_to_gray(im, white_level, background)
    elif im.has_transparency_data:
        im = _flattened(im, background)
    if im.mode in ("LAB", "HSV"):
        im = im.convert("RGB")  # the only way from there to gray
    return im if im.mode == mode else im.convert(mode)


def to_bytes(values: npt.NDArray[Any], white_level: float | None = None) -> Bytes:
    """Return numbers as 0..255: uint8 as they are, fractions of 1 times 255, bool as 0 or 255.

    Args:
        values: any shape. Floats are 0..1; uint16 are 0..65535; other integers 0..255.
        white_level: the value that becomes 255, in place of these.

    Raises:
        ValueError: a value is outside the range.
    """
    if values.dtype == np.uint8 and white_level is None:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    white = white_level or _white_of(values.dtype)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= white):  # written so that NaN is refused too
        raise ValueError(
            f"a picture of {values.dtype} has values from 0 to {white:g}, but these go from "
            f"{low:g} to {high:g}. {_way_out(values.dtype)}"
        )
    return np.rint(values * (255 / white)).astype(np.uint8)


def class_numbers(im: Image.Image) -> Bytes:
    """Return the class number of each pixel of a mask: uint8 [h, w].

    A palette picture gives the numbers, not their colours; a 1-bit picture gives 0 and 1.

    Raises:
        ValueError: the picture has colours, or numbers above 255.
    """
    values = np.asarray(im)
    if im.mode in ("LA", "PA", "La"):
        values = values[..., 0]
    if values.ndim == 3:
        values = values[..., :3]
        if (values != values[..., :1]).any():
            raise ValueError(
                "a mask has one class number per pixel, but this one has colours. Turn each "
                "colour into its number first"
            )
        values = values[..., 0]
    return whole_numbers(values)


def whole_numbers(values: npt.NDArray[Any]) -> Bytes:
    """Return class numbers as uint8; ValueError unless they are whole and in 0..255."""
    numbers = values.astype(np.uint8) if _fits(values) else None
    if numbers is None or (numbers != values).any():
        raise ValueError(
            f"a mask has one class number per pixel, whole and from 0 to 255, but this one has "
            f"{values.dtype} values from {values.min():g} to {values.max():g}"
        )
    return numbers


def _fits(values: npt.NDArray[Any]) -> bool:
    return bool(values.min() >= 0 and values.max() <= 255)


def _white_of(dtype: np.dtype[Any]) -> float:
    if dtype.kind == "f":
        return 1.0
    return 65535.0 if dtype.newbyteorder("=") == np.uint16 else 255.0


def _way_out(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "Undo the normalisation first, or say with white_level= which value is white"
    return "Say with white_level= which value is white"


def _deep_to_gray(im: Image.Image, white_level: float | None, background: Colour) -> Image.Image:
    """Return a picture with more than 8 bits per pixel as 8-bit gray."""
    values = np.asarray(im)
    if im.mode == "I" and _is_16_bit(values):
        values = values.astype(np.uint16)  # Pillow reads 16-bit PGM and some PNG as 32 bits
    if white_level is None and values.dtype.kind == "u" and 0 < values.max() < 4096:
        warnings.warn(
            "A 16-bit picture uses less than a sixteenth of its range and turns out nearly "
            "black in 8 bits. If your data has fewer bits, set the largest value, such as "
            "PILImage.white_level = 4095 for 12 bits.",
            stacklevel=2,
        )
    gray = Image.fromarray(to_bytes(values, white_level))
    clear = im.info.get("transparency")
    if clear is None:
        return gray
    seen = Image.fromarray((values != clear).astype(np.uint8) * np.uint8(255))
    flat = Image.new("RGB", im.size, background)
    flat.paste(gray.convert("RGB"), mask=seen)
    return flat


def _is_16_bit(values: npt.NDArray[Any]) -> bool:
    return bool(values.min() >= 0 and values.max() <= 65535)


def _flattened(im: Image.Image, background: Colour) -> Image.Image:
    """Return a picture with transparent parts as opaque RGB over `background`."""
    whole = im.convert("LA") if im.mode == "La" else im
    whole = whole.convert("RGBA")
    alpha = whole.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return whole.convert("RGB")
    flat = Image.new("RGB", im.size, background)
    flat.paste(whole, mask=alpha)
    return flat
