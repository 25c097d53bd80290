"""What a tensor, array or PIL picture looks like: the array of gray values or colours to draw."""

from typing import Any

import numpy as np
import PIL.Image
from torch import Tensor

from presize.core.foundation import to_np

Array = np.ndarray[Any, Any]

_COLOURS = (3, 4)  # channels of a colour picture: red, green, blue, and how opaque


def as_pixels(im: Any) -> Array:
    """Return a picture as matplotlib draws it: [h,w] of gray values or [h,w,3 or 4] of colours.

    Args:
        im: tensor or array [h,w], [c,h,w] or [h,w,c], or a PIL picture; c is 1, 3 or 4. Where
            both ends of the shape could be channels, tensors have them first, arrays last.
            Fractions are from 0 to 1 (larger ones up to 255 are scaled down, others clipped).

    Raises TypeError for what is no picture, ValueError for any other shape.
    """
    made: Array = np.asarray(_plain(im) if isinstance(im, PIL.Image.Image) else to_np(im))
    if made.dtype.kind not in "biuf":
        raise TypeError(
            f"A picture to show is a tensor, an array or a PIL picture; got {type(im).__name__} "
            f"{im!r:.60}. A file is opened first: show_image(Image.open(path))."
        )
    channels = (1, *_COLOURS)
    if made.ndim == 3:
        ends = made.shape[0] in channels, made.shape[2] in channels
        if ends[0] and (not ends[1] or isinstance(im, Tensor)):
            made = made.transpose(1, 2, 0)
        if made.shape[2] == 1:
            made = made[:, :, 0]
    if made.ndim != 2 and not (made.ndim == 3 and made.shape[2] in _COLOURS):
        batch = " This may be a batch: show one of it, or use show_images." * (made.ndim == 4)
        raise ValueError(
            f"A picture has shape [h,w], [c,h,w] or [h,w,c] with 1, 3 or 4 channels; got "
            f"{list(np.shape(made))}.{batch}"
        )
    return made if made.ndim == 2 else _as_colours(made)


def _plain(im: PIL.Image.Image) -> PIL.Image.Image:
    """Return a PIL picture whose numbers are brightnesses, not entries of a palette or inks."""
    if im.mode in ("P", "PA", "LA", "La", "RGBa"):
        return im.convert("RGBA")
    return im.convert("RGB") if im.mode in ("CMYK", "YCbCr", "LAB", "HSV") else im


def _as_colours(made: Array) -> Array:
    """Return colours in the range that matplotlib takes: bytes, or fractions from 0 to 1."""
    if made.dtype == bool:
        return made.astype(np.uint8) * np.uint8(255)
    if made.dtype == np.uint16 and made.max(initial=0) > 255:  # 16 bits for each colour
        return (made >> 8).astype(np.uint8)
    if made.dtype.kind in "iu":
        return made.clip(0, 255).astype(np.uint8)
    fractions = np.nan_to_num(made.astype(np.float32))
    if 2 < fractions.max(initial=0) <= 255 and fractions.min(initial=0) >= 0:
        fractions /= 255
    return fractions.clip(0, 1)


def gray_range(made: Array) -> tuple[float | None, float | None]:
    """Return the values of black and white for a gray picture; None where they are not known."""
    if made.dtype == np.uint8:
        return 0, 255
    if made.dtype == bool:
        return 0, 1
    if made.dtype.kind == "f" and made.min(initial=0) >= 0 and made.max(initial=0) <= 1:
        return 0, 1
    return None, None
