"""Where item transforms cut a picture in validation, as arithmetic on tensors of its sides.

The same formulas as the `plan` of each transform, which works on the numbers of one picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from presize.core.errors import ExportError
from presize.data.crops import CropPad, CropTransform, RandomCrop
from presize.data.resize import RandomResizedCrop, Resize

Span = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a picture, by axis: rows, then columns, each from where to where."""

    rows: Span
    columns: Span


def check_crop(crop: CropTransform) -> None:
    """Raise ExportError for a transform whose cuts are not known here."""
    if type(crop) not in (Resize, CropPad, RandomCrop, RandomResizedCrop):
        raise ExportError(
            "preprocessing=True puts the transforms of validation into the file, but "
            f"`{crop.name}` cannot be put there; Resize, CropPad, RandomCrop and "
            "RandomResizedCrop can. "
            "Export with preprocessing=False and prepare the pictures outside."
        )


def pads(crop: CropTransform) -> bool:
    """Say whether a transform may show more than the picture."""
    return isinstance(crop, CropPad) or (isinstance(crop, Resize) and crop.method == "pad")


def box_of(crop: CropTransform, height: Tensor, width: Tensor) -> Box:
    """Return what a transform cuts of a picture of these sides, float64 tensors without axes."""
    rows, columns = crop.size  # type: ignore[attr-defined]  # `check_crop` saw to it
    if isinstance(crop, CropPad):
        return Box(_beside(height, rows), _beside(width, columns))
    if isinstance(crop, Resize) and crop.method == "squish":
        return Box((torch.zeros_like(height), height), (torch.zeros_like(width), width))
    if isinstance(crop, Resize) and crop.method == "pad":
        per_pixel = torch.maximum(height / rows, width / columns)
        return Box(_framed(height, rows, per_pixel), _framed(width, columns, per_pixel))
    per_pixel = torch.minimum(height / rows, width / columns)
    if isinstance(crop, RandomResizedCrop):
        per_pixel = per_pixel / (1 + crop.val_xtra)
    return Box(_middle(height, rows * per_pixel), _middle(width, columns * per_pixel))


def reduction_of(crop: CropTransform, height: Tensor, width: Tensor) -> Tensor:
    """Return 1, 2, 4 or 8: how many pixels are averaged to one before a picture is cut."""
    finest = _finest(crop, height, width)
    times = torch.ones_like(height)
    for power in (2.0, 4.0, 8.0):
        times = torch.where(finest >= power, torch.full_like(times, power), times)
    return times


def _finest(crop: CropTransform, height: Tensor, width: Tensor) -> Tensor:
    if isinstance(crop, CropPad):
        return torch.ones_like(height)
    rows, columns = crop.size  # type: ignore[attr-defined]  # `check_crop` saw to it
    if isinstance(crop, RandomResizedCrop):
        low, high = crop.ratio
        area = height * width * crop.min_scale
        down = torch.minimum(torch.sqrt(area / high), torch.minimum(height, width / low))
        across = torch.minimum(torch.sqrt(area * low), torch.minimum(width, height * high))
        return torch.minimum(down / rows, across / columns)
    down, across = height / rows, width / columns
    pad = isinstance(crop, Resize) and crop.method == "pad"
    return torch.maximum(down, across) if pad else torch.minimum(down, across)


def _middle(have: Tensor, want: Tensor) -> Span:
    start = torch.clamp(have - want, min=0.0) * 0.5
    return start, torch.minimum(start + want, have)


def _beside(have: Tensor, want: int) -> Span:
    start = torch.floor((have - want) * 0.5)
    return start, start + want


def _framed(have: Tensor, want: int, per_pixel: Tensor) -> Span:
    covered = torch.clamp(torch.round(have / per_pixel), 1, want)
    scale = have / covered
    start = -torch.floor((want - covered) * 0.5) * scale
    return start, start + want * scale


def inside(box: Box, size: tuple[int, int], inner: Box) -> Box:
    """Return the box that `inner`, a box of the result of (height, width) `size`, is of a picture.

    Args:
        box: what the result shows of the picture.
        size: the size of that result.
        inner: a box of it.
    """
    spans = []
    for (start, stop), n, (low, high) in (
        (box.rows, size[0], inner.rows),
        (box.columns, size[1], inner.columns),
    ):
        step = (stop - start) / n
        spans.append((start + low * step, start + high * step))
    return Box(*spans)


def filled(span: Span, have: Tensor, want: int) -> Span:
    """Return from which to which pixel of `want` the picture fills a cut, which may exceed it."""
    start, stop = span
    scale = (stop - start) / want
    first = torch.clamp(torch.round(-start / scale), 0, want - 1)
    end = torch.round((torch.minimum(stop, have) - start) / scale)
    return first, torch.clamp(torch.maximum(end, first + 1), max=float(want))
