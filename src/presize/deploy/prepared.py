"""`Prepared`: a picture that was decoded and resized, and the check of its size before that."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from presize.core.errors import DataError, ImageError, PixelLimitError
from presize.data.decode import image_size
from presize.data.decoders import TABLE

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture that was decoded and resized, ready for the model.

    Args:
        inputs: what the model takes, each [1, ...], on the CPU.
        source: the file or name of the picture; None where it has none.
    """

    inputs: tuple[Tensor, ...]
    source: str | None = None


def check_pixels(item: Any, most: int, name: str | None) -> None:
    """Refuse a picture that is too large, by its header or its shape alone.

    Args:
        item: a path, bytes, a PIL image, an array or a tensor.
        most: how many pixels it may have.
        name: what it is called.

    Raises:
        PixelLimitError: it has more.
        ImageError: its header cannot be read.
    """
    try:
        height, width = _size(item, name)
    except PixelLimitError:  # Pillow does not even tell how many
        least = min(most, Image.MAX_IMAGE_PIXELS or most)
        raise PixelLimitError(
            f"{_called(name)} has more pixels than the {least / 1e6:.3g} million that are allowed. "
            "Make it smaller."
        ) from None
    if height * width > most:
        raise PixelLimitError(
            f"{_called(name)} has {width}x{height} pixels, {height * width / 1e6:.3g} million, "
            f"and at most {most / 1e6:.3g} million are allowed. Make it smaller."
        )


@contextmanager
def read_errors(name: str | None) -> Iterator[None]:
    """Turn what goes wrong with one picture inside a `with` block into an ImageError that names it.

    Args:
        name: what the picture is called.
    """
    try:
        yield
    except Image.DecompressionBombWarning as warning:  # where warnings are errors
        raise _bomb(name, warning) from None
    except DataError as error:
        if isinstance(error.__cause__, _BOMBS):
            raise _bomb(name, error.__cause__) from error
        if isinstance(error, ImageError):
            raise
        # A picture that a transform fails on; a loader has put the reason into words.
        raise ImageError(f"{_called(name)} cannot be used: {error}") from error
    except MemoryError:
        raise PixelLimitError(
            f"{_called(name)} takes more memory to decode than there is. Make it smaller."
        ) from None


def _bomb(name: str | None, why: BaseException) -> PixelLimitError:
    return PixelLimitError(
        f"{_called(name)} is larger than the guard against decompression bombs allows "
        f"({str(why).rstrip('.')}). If you trust it, set PIL.Image.MAX_IMAGE_PIXELS to a larger "
        "number of pixels, or to None."
    )


def _called(name: str | None) -> str:
    return "The picture" if name is None else f"`{name}`"


def _size(item: Any, name: str | None) -> tuple[int, int]:
    """Return (height, width)."""
    if isinstance(item, Image.Image):
        return item.height, item.width
    if isinstance(item, np.ndarray | Tensor):
        sides = sorted(item.shape)[-2:] if item.ndim >= 2 else [1, 1]
        return int(sides[0]), int(sides[1])
    if not isinstance(item, str | PathLike | bytes):
        return 1, 1  # no picture, which is said later
    if isinstance(item, bytes):
        decoder = next((row for row in TABLE if item.startswith(row.begins)), None)
        header = None if decoder is None else decoder.header(item)
        if header is not None:
            return header.height, header.width
    with read_errors(name):
        return image_size(item, orient=False)


@contextmanager
def bombs_refused(most: int) -> Iterator[None]:
    """Inside a `with` block, let Pillow refuse what is larger, in the whole program.

    It checks what no header tells beforehand, such as pictures within an icon, and does not write
    to the log of those that it would decode and only warn of.

    Args:
        most: how many pixels a picture may have.
    """
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = most
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
