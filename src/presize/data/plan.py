"""Where the pixels of a resized picture come from: planned as numbers, carried out once.

Coordinates are continuous and in pixels: pixel i covers i to i+1, so that a picture of width w
goes from 0 to w. A plan says which rectangle of the source fills the output; where the rectangle
goes beyond the source, the output is padded.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from presize.data.images import PILBase
from presize.data.modes import to_mode

PadName: TypeAlias = Literal["zeros", "border", "reflection"]
FloatArray: TypeAlias = npt.NDArray[np.float64]

# Where a picture shrinks much, whole pixels are averaged first, to 3 times the output: 3000 px to
# 224 takes 5 ms in place of 13, and 0.07 % of the values differ by more than 1 of 255. A gap of 2
# takes 3.4 ms, but 3 % of the values differ.
REDUCING_GAP = 3.0


@dataclass(frozen=True, slots=True)
class CropPlan:
    """A rectangle of the source, and the size in pixels that it becomes.

    Args:
        box: left, top, right, bottom in source pixels; may exceed the source.
        size: (height, width) of the output.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Source pixels per output pixel, down and across."""
        left, top, right, bottom = self.box
        return (bottom - top) / self.size[0], (right - left) / self.size[1]

    def matrix(self) -> FloatArray:
        """Return the map from output to source pixels: [3,3], acting on (x, y, 1)."""
        down, across = self.scale
        return np.array([[across, 0, self.box[0]], [0, down, self.box[1]], [0, 0, 1]], float)

    def points(self, points: FloatArray, source: tuple[int, int]) -> FloatArray:
        """Return where points of the source lie in the output.

        Args:
            points: [n,2] as (x, y) in -1..1 of the source; the result likewise of the output.
            source: (height, width) of the source.
        """
        left, top, right, bottom = self.box
        pixels = (points + 1) / 2 * np.array(source[::-1], float)
        moved: FloatArray = (pixels - [left, top]) / [right - left, bottom - top] * 2 - 1
        return moved


def carry_out(
    plan: CropPlan,
    im: Image.Image,
    *,
    resample: Image.Resampling = Image.Resampling.BILINEAR,
    pad_mode: PadName = "zeros",
) -> Image.Image:
    """Return the picture as planned, of exactly the planned size and the class of `im`.

    Args:
        plan: made for a picture of this size.
        im: the source.
        resample: PIL's filter; all but NEAREST are free of aliases when they shrink.
        pad_mode: what fills the output beyond the source: black, the nearest pixel, or the
            picture mirrored at its edges.
    """
    if im.mode in ("P", "1"):
        im = to_mode(im, "RGB" if im.mode == "P" else "L")  # palette numbers cannot be blended
    (y0, y1), (x0, x1) = covered(plan, im.size)
    left, top, right, bottom = plan.box
    inside = (max(left, 0.0), max(top, 0.0), min(right, im.width), min(bottom, im.height))
    cut = im.resize((x1 - x0, y1 - y0), resample, box=inside, reducing_gap=REDUCING_GAP)
    if (y1 - y0, x1 - x0) == plan.size:
        return cut
    return _padded(cut, (y0, x0), plan.size, pad_mode)


def covered(plan: CropPlan, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows and the columns of the output that the source fills."""
    left, top, right, bottom = plan.box
    down, across = plan.scale
    return (
        _span(-top / down, (min(bottom, size[1]) - top) / down, plan.size[0]),
        _span(-left / across, (min(right, size[0]) - left) / across, plan.size[1]),
    )


def _span(start: float, stop: float, n: int) -> tuple[int, int]:
    first = min(max(round(start), 0), n - 1)
    return first, min(max(round(stop), first + 1), n)


def _padded(
    im: Image.Image, offset: tuple[int, int], size: tuple[int, int], pad_mode: PadName
) -> Image.Image:
    """Return a picture of `size` with `im` at `offset`, both as (down, across)."""
    source = np.asarray(im)
    rows, columns = (np.arange(n) - start for n, start in zip(size, offset, strict=True))
    height, width = source.shape[:2]
    made = source.take(_inside(rows, height, pad_mode), axis=0)
    made = made.take(_inside(columns, width, pad_mode), axis=1)
    if pad_mode == "zeros":
        made[(rows < 0) | (rows >= height)] = 0
        made[:, (columns < 0) | (columns >= width)] = 0
    plain = Image.fromarray(made)
    return im.same_pixels(plain) if isinstance(im, PILBase) else plain


def _inside(index: npt.NDArray[np.int64], n: int, pad_mode: PadName) -> npt.NDArray[np.int64]:
    """Return the pixel of 0..n-1 that stands for each index, also for those outside."""
    if pad_mode == "reflection":
        there_and_back = index % (2 * n)
        index = np.minimum(there_and_back, 2 * n - 1 - there_and_back)
    return np.clip(index, 0, n - 1)
