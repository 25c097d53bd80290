"""Points in pictures: read as pixels, kept in -1..1, so that they move with every resize."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from presize.core.errors import DataError
from presize.core.transform import ItemTransform
from presize.core.types import JSON
from presize.tensors import TensorImageBase, TensorPoint


def to_points(x: Any) -> TensorPoint:
    """Return points: float [n,2].

    Args:
        x: (x, y) pairs as a list, array or tensor, or one flat row x0, y0, x1, y1, ...

    Raises:
        DataError: the numbers do not make pairs.
    """
    numbers = x if isinstance(x, Tensor) else torch.from_numpy(np.asarray(x, dtype=np.float32))
    if numbers.numel() % 2 or (numbers.ndim > 1 and numbers.shape[-1] != 2):
        raise DataError(
            f"Points are (x, y) pairs of pixels, but got numbers of shape {list(numbers.shape)}."
        )
    return TensorPoint(numbers.float().reshape(-1, 2))


class PointScaler(ItemTransform):
    """Turn points from pixels into -1..1 of the picture beside them, and back.

    Args:
        do_scale: False if the points are in -1..1 already.
        y_first: True if the points come as (y, x).
        c: how many numbers there are per item, 2 for each point; by default as many as the first
            item has. A model for the points needs so many outputs.
    """

    order = 0
    shown_attributes = ("do_scale", "y_first")

    def __init__(self, do_scale: bool = True, y_first: bool = False, c: int | None = None) -> None:
        super().__init__()
        self.do_scale, self.y_first, self.c = do_scale, y_first, c

    def setups(self, items: Sequence[Any]) -> None:
        """Count the numbers of the first item."""
        if self.c is None and len(items):
            counts = [e.numel() for e in _elements(items[0]) if isinstance(e, TensorPoint)]
            self.c = counts[-1] if counts else None

    def encodes(self, x: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the sample with its points in -1..1."""
        sizes = _sizes(x)
        return tuple(self._scaled(e, sizes) if isinstance(e, TensorPoint) else e for e in x)

    def decodes(self, x: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the sample with its points in pixels (x, y)."""
        sizes = _sizes(x)
        return tuple(
            self._unscaled(e, sizes.to(e.device)) if isinstance(e, TensorPoint) else e for e in x
        )

    def _unscaled(self, points: TensorPoint, sizes: Tensor) -> TensorPoint:
        # Predictions come as one flat row of numbers.
        shape = points.shape if points.ndim > 1 else (-1, 2)
        return type(points)(((_pairs(points) + 1) / 2 * sizes).reshape(shape))

    def _scaled(self, points: TensorPoint, sizes: Tensor) -> TensorPoint:
        pairs = _pairs(points)
        pairs = pairs.flip(1) if self.y_first else pairs
        scaled = pairs / sizes * 2 - 1 if self.do_scale else pairs
        return type(points)(scaled.reshape(points.shape))

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {"do_scale": self.do_scale, "y_first": self.y_first, "c": self.c}


def _pairs(points: TensorPoint) -> Tensor:
    return points.as_subclass(Tensor).reshape(-1, 2)


def _elements(sample: Any) -> tuple[Any, ...]:
    return sample if isinstance(sample, tuple) else (sample,)


def _sizes(x: Any) -> Tensor:
    """Return (width, height) of the first picture of a sample."""
    for element in _elements(x):
        if isinstance(element, Image.Image):
            return torch.tensor([element.width, element.height])
        if isinstance(element, TensorImageBase):
            return torch.tensor([element.shape[-1], element.shape[-2]])
    raise DataError(
        "PointScaler needs the picture that the points are in, in the same sample; for an "
        "ImageBlock in front of the PointBlock this is so."
    )
