"""The plan of what becomes of a batch of pictures, as numbers: no pixel is touched here.

Transforms that move, light or standardise pictures add their share to a plan, one after the other.
Movements multiply to one map, light to one matrix; so whatever the number of steps, pixels are
read once (`presize.render.carry_out` for batches, `presize.render.warp` for a single picture).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from presize.core import colour
from presize.core.homography import HW, Maps, compose, identity
from presize.core.sampling import Mode, PadMode
from presize.render.levels import Levels, MixedLevels

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """How pixels are read.

    Args:
        mode: for pictures.
        pad_mode: what lies outside the picture.
        mode_mask: for masks.
    """

    mode: Mode = "bilinear"
    pad_mode: PadMode = "reflection"
    mode_mask: Mode = "nearest"


@dataclass(frozen=True, slots=True, eq=False)
class PixelPlan:
    """What becomes of `n` pictures of one size, in this order: floats, movement, light, standard.

    Args:
        n: the number of pictures.
        source: their (height, width).
        size: that of the result.
        maps: [n,3,3] from the frame of `size` to the frame of `source`; see `core.homography`.
        reading: how pixels are read; None if nothing moves.
        scale: integers are multiplied by it and become floats; None leaves values as they are.
        mask_divisor: class numbers are divided by it and become int64; None leaves them.
        light: matrices [n,4,4] in logit space; see `core.colour`.
        mean, std: [c] or [1]: the result is (x - mean) / std.
    """

    n: int
    source: HW
    size: HW
    maps: Maps
    reading: Reading | None = None
    scale: float | None = None
    mask_divisor: int | None = None
    light: colour.Matrices | None = None
    mean: FloatArray | None = None
    std: FloatArray | None = None

    @classmethod
    def of(cls, n: int, source: HW) -> Self:
        """Return the plan that changes nothing."""
        return cls(n, source, source, identity(n))

    # Each of these returns the plan with one more step, or None: that step cannot follow those
    # that the plan has. The caller then carries out what there is, and begins a new plan.

    def as_floats(self, scale: float, mask_divisor: int) -> "PixelPlan | None":
        """Turn integers into floats. Blending pixels before or after it is the same."""
        if self.scale is not None or self.light is not None or self.mean is not None:
            return None
        return replace(self, scale=scale, mask_divisor=mask_divisor)

    def moved(self, maps: Maps, size: HW, reading: Reading) -> "PixelPlan | None":
        """Move: `maps` [n,3,3] go from the frame of `size` to that of the plan's size."""
        if self.light is not None or self.mean is not None or self.reading not in (None, reading):
            return None
        return replace(self, maps=compose(self.maps, maps), size=size, reading=reading)

    def lit(self, matrices: colour.Matrices) -> "PixelPlan | None":
        """Change the light by matrices [n,4,4] in logit space."""
        if self.mean is not None:
            return None
        before = self.light
        return replace(self, light=matrices if before is None else matrices @ before)

    def standardised(self, mean: FloatArray, std: FloatArray) -> "PixelPlan | None":
        """Subtract `mean` and divide by `std`, per channel."""
        return None if self.mean is not None else replace(self, mean=mean, std=std)

    def some(self, rows: Sequence[int]) -> Self:
        """Return the plan for some of the pictures, with the draws that they have in it."""
        chosen = list(rows)
        light = None if self.light is None else self.light[chosen]
        return replace(self, n=len(chosen), maps=self.maps[chosen], light=light)

    def without_movement(self) -> Self:
        """Return the plan for pictures that have been moved already."""
        return replace(self, source=self.size, maps=identity(self.n), reading=None)

    def tables(self, channels: int) -> list[Levels] | None:
        """Return for each picture what 256 levels become; None where they stay integers."""
        if self.scale is None:
            return None
        level = np.arange(256.0)[None, :] * self.scale
        if self.light is not None:
            level = colour.light_levels(level, self.light)
        table = level[:, None, :]
        if self.mean is not None and self.std is not None:
            table = (table - self.mean[:, None]) / self.std[:, None]
        whole = np.ascontiguousarray(np.broadcast_to(table, (self.n, channels, 256)), np.float32)
        made: list[Levels] = list(whole)
        if self.light is not None:
            for i in np.flatnonzero(colour.mixing(self.light, channels)):
                made[i] = MixedLevels.of(self.scale, self.light[i], self.mean, self.std)
        return made
