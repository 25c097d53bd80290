"""The cuts that item transforms plan for one picture, put together to as few readings as can be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from presize.core.randomness import draws
from presize.core.sampling import Mode
from presize.data.crops import CropTransform, Shape
from presize.data.plan import CropPlan, PadName, covered
from presize.render.warp import Bytes, Matrix, warp

_EDGE = 1e-6  # pixels; boxes are worked out in floats
_MODES: dict[Image.Resampling, Mode] = {
    Image.Resampling.NEAREST: "nearest",
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.LANCZOS: "bicubic",
}


@dataclass(frozen=True, slots=True)
class Cut:
    """A rectangle of a picture and the size that it becomes.

    Args:
        source: (height, width) of the picture.
        box: left, top, right, bottom in its pixels.
        size: (height, width) of the result.
        mode: how pixels are read.
        pad_mode: what lies outside the picture.
    """

    source: Shape
    box: tuple[float, float, float, float]
    size: Shape
    mode: Mode
    pad_mode: PadName

    @property
    def pads(self) -> bool:
        """Whether the box goes beyond the picture."""
        left, top, right, bottom = self.box
        height, width = self.source
        return min(left, top) < -_EDGE or right > width + _EDGE or bottom > height + _EDGE

    def then(self, plan: CropPlan) -> "Cut":
        """Return the cut that does this and then `plan`, which stays inside its result."""
        left, top, right, bottom = self.box
        down, across = (bottom - top) / self.size[0], (right - left) / self.size[1]
        x0, y0, x1, y1 = plan.box
        box = (left + x0 * across, top + y0 * down, left + x1 * across, top + y1 * down)
        return replace(self, box=box, size=plan.size)

    def matrix(self, stored: Shape) -> Matrix:
        """Return the map from the frame of the result to pixel numbers of the picture: [3,3].

        Args:
            stored: (height, width) of the picture as it is at hand, 1/1 to 1/8 of `source`.
        """
        rows, columns = self.size
        left, top, right, bottom = self.box
        across, down = (right - left) / columns, (bottom - top) / rows
        half = min(self.size) / 2  # pixels of the result in one unit of its frame
        times = reduction(self.source, stored)
        return np.array(
            [
                [half * across / times, 0, (left + columns / 2 * across) / times - 0.5],
                [0, half * down / times, (top + rows / 2 * down) / times - 0.5],
                [0, 0, 1],
            ]
        )

    def window(self, stored: Shape) -> tuple[slice, slice]:
        """Return the rows and columns of the picture at hand that the box touches."""
        left, top, right, bottom = self.box
        times = reduction(self.source, stored)
        return (
            _whole(top / times, bottom / times, stored[0]),
            _whole(left / times, right / times, stored[1]),
        )


def reduction(full: Shape, stored: Shape) -> int:
    """Return how many pixels of the full picture, down and across, one that is at hand stands for.

    1, 2, 4 or 8; the last row and column stand for what is left.
    """
    fits = (k for k in (1, 2, 4, 8) if (-(-full[0] // k), -(-full[1] // k)) == stored)
    times = next(fits, None)
    assert times is not None, (full, stored)
    return times


def cuts_of(crops: Sequence[CropTransform], source: Shape, *, middle: bool) -> list[Cut]:
    """Return the cuts of a picture of `source` size, the draws being those of its context.

    Neighbours are one, unless one reaches beyond its picture: what is there then has to be made
    before the next can read it.
    """
    cuts: list[Cut] = []
    size = source
    for crop in crops:
        rng = None if middle else draws(crop.draw_name or crop.name)
        plan = crop.plan(size, rng)
        mode = mode_of(crop)
        cut = Cut(size, plan.box, plan.size, mode, crop.pad_mode)
        if cuts and not cuts[-1].pads and not cut.pads and cuts[-1].mode == mode:
            cuts[-1] = cuts[-1].then(plan)
        else:
            cuts.append(cut)
        size = plan.size
    return cuts


def mode_of(crop: CropTransform) -> Mode:
    """Return how the pixels of pictures are read for a cut."""
    return _MODES.get(crop.resamples[0], "bilinear")


def read_through(
    pixels: Bytes,
    cuts: Sequence[Cut],
    last: npt.NDArray[np.float64],
    size: Shape,
    mode: Mode | None,
) -> Bytes:
    """Return what `cuts` and then a map make of a picture: uint8 [H,W,c].

    Args:
        pixels: uint8 [h,w,c], at full size or smaller.
        cuts: at least one.
        last: [3,3], from pixel numbers of the result to the frame of the last cut's result.
        size: (height, width) of the result.
        mode: how pixels are read for `last`; None: as for the last cut, nothing else moves.
    """
    *before, cut = cuts
    for one in before:
        pixels = _alone(pixels, one)
    if cut.pads:
        pixels = _alone(pixels, cut)
        if mode is None:
            return pixels
        height, width = cut.size
        cut = Cut(cut.size, (0, 0, width, height), cut.size, mode, cut.pad_mode)
    stored = pixels.shape[:2]
    # What lies outside the cut is its mirror image, as if the cut had been made.
    rows, columns = cut.window(stored)
    matrix = cut.matrix(stored) @ last
    matrix[:2] -= np.array([[columns.start], [rows.start]]) * matrix[2:]
    return warp(pixels[rows, columns], matrix, size, mode=mode or cut.mode)


def to_frame(size: Shape) -> Matrix:
    """Return the matrix from pixel numbers of a picture to its frame: [3,3]."""
    half = min(size) / 2
    return np.array(
        [
            [1 / half, 0, (1 - size[1]) / 2 / half],
            [0, 1 / half, (1 - size[0]) / 2 / half],
            [0, 0, 1],
        ]
    )


def _alone(pixels: Bytes, cut: Cut) -> Bytes:
    """Return what one cut makes of a picture."""
    matrix = cut.matrix(pixels.shape[:2]) @ to_frame(cut.size)
    if not cut.pads or cut.pad_mode != "zeros":
        return warp(pixels, matrix, cut.size, mode=cut.mode, pad_mode=cut.pad_mode)
    # The picture keeps its edge: what is black begins beyond it, and is not blended with it.
    made = warp(pixels, matrix, cut.size, mode=cut.mode, pad_mode="border")
    (y0, y1), (x0, x1) = covered(CropPlan(cut.box, cut.size), cut.source[::-1])
    kept = np.zeros_like(made)
    kept[y0:y1, x0:x1] = made[y0:y1, x0:x1]
    return kept


def _whole(start: float, stop: float, n: int) -> slice:
    """Return the pixels of 0..n-1 that lie mostly between two places; at least one."""
    first = min(max(round(start), 0), n - 1)
    return slice(first, max(min(round(stop), n), first + 1))
