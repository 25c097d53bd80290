"""Item transforms that bring pictures to a size, before they are tensors of one batch.

See `presize.data.crops` for how they work.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from presize.core.randomness import Draws
from presize.core.types import JSON, Size, hw
from presize.data.crops import (
    SMOOTH_AND_NEAREST,
    CropTransform,
    Filter,
    Shape,
    cut_inside,
    one_of,
    places,
    start_of,
)
from presize.data.plan import CropPlan, PadName

Method: TypeAlias = Literal["crop", "pad", "squish"]


class ResizeMethod:
    """What `Resize` does with a picture of another aspect than the size."""

    Crop: Final = "crop"
    Pad: Final = "pad"
    Squish: Final = "squish"


class Resize(CropTransform):
    """Bring every picture to one size.

    Args:
        size: pixels, one number or (height, width).
        method: "crop" cuts the longer axis (at a drawn place in training), "pad" keeps the whole
            picture and pads the shorter axis, "squish" changes the aspect.
        pad_mode: what fills the padding: "zeros" (black), "border" or "reflection".
        resamples: PIL's filters for pictures and for masks, as constants or names.
    """

    shown_attributes = ("size", "method", "pad_mode")

    def __init__(
        self,
        size: Size,
        method: Method = "crop",
        pad_mode: PadName = "reflection",
        resamples: Sequence[Filter] = SMOOTH_AND_NEAREST,
    ) -> None:
        super().__init__(pad_mode=pad_mode, resamples=resamples)
        self.size = hw(size)
        self.method: Method = one_of("method", method, get_args(Method))

    def plan(self, source: Shape, rng: Draws | None) -> CropPlan:
        """Return the whole picture, or the largest cut or the smallest frame of this aspect."""
        if self.method == "squish":
            return CropPlan((0.0, 0.0, source[1], source[0]), self.size)
        if self.method == "pad":
            return self._frame(source, rng)
        per_pixel = min(have / want for have, want in zip(source, self.size, strict=True))
        return cut_inside(
            source, (self.size[0] * per_pixel, self.size[1] * per_pixel), rng, self.size
        )

    def finest(self, source: Shape) -> float:
        """Return how many pixels of the source one of the result covers, at least."""
        scales = [have / want for have, want in zip(source, self.size, strict=True)]
        return max(scales) if self.method == "pad" else min(scales)

    def _frame(self, source: Shape, rng: Draws | None) -> CropPlan:
        per_pixel = max(have / want for have, want in zip(source, self.size, strict=True))
        spans = []
        for have, want, place in zip(source, self.size, places(rng), strict=True):
            # The picture covers whole pixels of the output, so that its edge stays sharp.
            covered = min(max(round(have / per_pixel), 1), want)
            scale = have / covered
            start = -start_of(want, covered, place) * scale
            spans.append((start, start + want * scale))
        (top, bottom), (left, right) = spans
        return CropPlan((left, top, right, bottom), self.size)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {"size": list(self.size), "method": self.method, **super().spec()}


class RandomResizedCrop(CropTransform):
    """Cut a drawn share of the picture in a drawn aspect, and resize it.

    On the validation set: the largest cut of the output's aspect in the middle, less a margin.
    (Szegedy et al., "Going deeper with convolutions", 2015.)

    Args:
        size: pixels of the output, one number or (height, width).
        min_scale: the smallest share of the picture's area, above 0.
        ratio: the smallest and the largest aspect of the cut, width by height.
        resamples: PIL's filters for pictures and for masks, as constants or names.
        val_xtra: the margin in validation: the picture is resized to 1 + `val_xtra` times the
            size before the middle is taken.
        max_scale: the largest share of the picture's area, at most 1.
    """

    shown_attributes = ("size", "min_scale", "ratio")

    def __init__(
        self,
        size: Size,
        min_scale: float = 0.08,
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        resamples: Sequence[Filter] = SMOOTH_AND_NEAREST,
        val_xtra: float = 0.14,
        max_scale: float = 1.0,
    ) -> None:
        super().__init__(resamples=resamples)
        if not 0 < min_scale <= max_scale <= 1:
            raise ValueError(
                f"RandomResizedCrop cuts shares of the area with 0 < min_scale <= max_scale <= 1, "
                f"but got min_scale={min_scale}, max_scale={max_scale}."
            )
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(
                f"RandomResizedCrop: ratio is the smallest and the largest width by height, such "
                f"as (3/4, 4/3), but got {ratio!r}."
            )
        if val_xtra < 0:
            raise ValueError(f"RandomResizedCrop: val_xtra is at least 0, but got {val_xtra}.")
        self.size = hw(size)
        self.min_scale, self.max_scale = float(min_scale), float(max_scale)
        self.ratio = (float(ratio[0]), float(ratio[1]))
        self.val_xtra = float(val_xtra)

    def plan(self, source: Shape, rng: Draws | None) -> CropPlan:
        """Return a drawn cut; or the middle one."""
        height, width = source
        if rng is None:
            per_pixel = min(have / want for have, want in zip(source, self.size, strict=True))
            per_pixel /= 1 + self.val_xtra
            middle = (self.size[0] * per_pixel, self.size[1] * per_pixel)
            return cut_inside(source, middle, None, self.size)
        low, high = (math.log(aspect) for aspect in self.ratio)
        for _ in range(10):
            area = height * width * float(rng.uniform(self.min_scale, self.max_scale)[0])
            aspect = math.exp(float(rng.uniform(low, high)[0]))
            cut = (math.sqrt(area / aspect), math.sqrt(area * aspect))
            if cut[0] <= height and cut[1] <= width:
                return cut_inside(source, cut, rng, self.size)
        return cut_inside(source, self._largest(source), rng, self.size)

    def finest(self, source: Shape) -> float:
        """Return how many pixels of the source one of the result covers, in the smallest cut."""
        area = source[0] * source[1] * self.min_scale
        low, high = self.ratio
        smallest = (math.sqrt(area / high), math.sqrt(area * low))
        cuts = (smallest, self._largest(source))
        return min(side / want for cut in cuts for side, want in zip(cut, self.size, strict=True))

    def _largest(self, source: Shape) -> tuple[float, float]:
        """Return the largest cut of an aspect that is allowed, for pictures longer than any."""
        (height, width), (low, high) = source, self.ratio
        return min(height, width / low), min(width, height * high)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {
            "size": list(self.size),
            "min_scale": self.min_scale,
            "ratio": list(self.ratio),
            "resamples": super().spec()["resamples"],
            "val_xtra": self.val_xtra,
            "max_scale": self.max_scale,
        }


class RatioResize(CropTransform):
    """Resize the longer side to a number of pixels and keep the aspect.

    Args:
        max_sz: pixels of the longer side.
        resamples: PIL's filters for pictures and for masks, as constants or names.
    """

    shown_attributes = ("max_sz",)

    def __init__(
        self,
        max_sz: int,
        resamples: Sequence[Filter] = SMOOTH_AND_NEAREST,
    ) -> None:
        super().__init__(resamples=resamples)
        self.max_sz = hw(max_sz)[0]

    def plan(self, source: Shape, rng: Draws | None) -> CropPlan:
        """Return the whole picture."""
        height, width = (max(1, round(side * self.max_sz / max(source))) for side in source)
        return CropPlan((0.0, 0.0, source[1], source[0]), (height, width))

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {"max_sz": self.max_sz, "resamples": super().spec()["resamples"]}
