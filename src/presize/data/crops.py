"""The base of the item transforms that cut pictures, and those that cut without resizing.

Each plans its cut as numbers first (`plan`, a pure function) and then samples the pixels once.
On the training set the place of a cut is drawn, on the validation set it is the middle.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Final, TypeAlias, get_args

import numpy as np
import torch
from PIL import Image

from presize.core.errors import did_you_mean
from presize.core.randomness import Draws, draws, loose_context
from presize.core.transform import RandTransform
from presize.core.types import JSON, Size, hw
from presize.data.images import PILMask
from presize.data.plan import CropPlan, PadName, carry_out
from presize.tensors import TensorImageBase, TensorPoint

Filter: TypeAlias = Image.Resampling | int | str
Shape: TypeAlias = tuple[int, int]

# Bicubic: what batch transforms then make of the picture comes 5 dB closer to the ideal than after
# bilinear (benchmarks/fidelity.py: 42.7 dB against 37.9).
SMOOTH_AND_NEAREST = (Image.Resampling.BICUBIC, Image.Resampling.NEAREST)


class PadMode:
    """What fills the pixels beyond a picture: black, the nearest pixel, or its mirror image."""

    Zeros: Final = "zeros"
    Border: Final = "border"
    Reflection: Final = "reflection"


class CropTransform(RandTransform):
    """The base of the transforms that cut a rectangle and resize it.

    A subclass gives `plan`. All pictures, masks, points and boxes of a sample move together:
    points and boxes with the first picture beside them, masks by their nearest pixels.

    Args:
        pad_mode: what fills the output beyond the picture.
        resamples: PIL's filters for pictures and for masks, as constants or names.
    """

    order = 1
    shown_attributes: ClassVar[tuple[str, ...]] = ("size",)

    def __init__(
        self,
        *,
        pad_mode: PadName = "zeros",
        resamples: Sequence[Filter] = SMOOTH_AND_NEAREST,
    ) -> None:
        super().__init__()
        self.pad_mode: PadName = one_of("pad_mode", pad_mode, get_args(PadName))
        if len(resamples) != 2 or isinstance(resamples, str):
            raise ValueError(
                f"{self.name}: resamples is a pair, the filter for pictures and the filter for "
                f"masks, but got {resamples!r}."
            )
        self.resamples = (_filter(resamples[0]), _filter(resamples[1]))

    def plan(self, source: Shape, rng: Draws | None) -> CropPlan:
        """Return what to cut of a picture.

        Args:
            source: its (height, width).
            rng: where the place is drawn from; None for the middle.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `plan`")

    def finest(self, source: Shape) -> float:
        """Return how many pixels of the source one of the result covers, in the finest cut drawn.

        By as much a picture can be made smaller without loss. 1 where that is not known.

        Args:
            source: its (height, width).
        """
        return 1.0

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Cut a picture, or the pictures, masks and points of a tuple.

        Args:
            x: a PIL picture, or a tuple with some.
            split_idx: 1 takes the middle as for the validation set; 0 and None draw.
        """
        if self.skips(split_idx):
            return x
        with loose_context():
            if type(x) is not tuple:
                return self._one(x, None, split_idx == 1)
            pictures = (element for element in x if isinstance(element, Image.Image))
            shape = next(((im.height, im.width) for im in pictures), None)
            return tuple(self._one(element, shape, split_idx == 1) for element in x)

    def encodes(self, x: Image.Image) -> Image.Image:
        """Return the picture, cut at a drawn place."""
        result: Image.Image = self(x)
        return result

    def _one(self, x: Any, beside: Shape | None, middle: bool) -> Any:
        if isinstance(x, TensorImageBase):
            raise TypeError(
                f"{self.name} cuts pictures before they are tensors, but got a "
                f"{type(x).__name__} of shape {list(x.shape)}. Use it in item_tfms; for the batch "
                f"give `size` to aug_transforms or use RandomResizedCropGPU."
            )
        # A fresh generator each time gives all elements of the sample the same numbers.
        rng = None if middle else draws(self.draw_name or self.name)
        if isinstance(x, Image.Image):
            resample = self.resamples[isinstance(x, PILMask)]
            plan = self.plan((x.height, x.width), rng)
            return carry_out(plan, x, resample=resample, pad_mode=self.pad_mode)
        if isinstance(x, TensorPoint) and beside is not None:
            return _moved(x, self.plan(beside, rng), beside)
        return x

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {
            "pad_mode": self.pad_mode,
            "resamples": [resample.name.lower() for resample in self.resamples],
        }


class CropPad(CropTransform):
    """Cut the middle to a size without resizing; pad what is smaller.

    Args:
        size: pixels, one number or (height, width).
        pad_mode: what fills the output beyond the picture.
    """

    def __init__(self, size: Size, pad_mode: PadName = "zeros") -> None:
        super().__init__(pad_mode=pad_mode)
        self.size = hw(size)

    def plan(self, source: Shape, rng: Draws | None) -> CropPlan:
        """Return the cut of the output's own size, in the middle."""
        starts = [start_of(have, want, 0.5) for have, want in zip(source, self.size, strict=True)]
        return _plain_cut(starts, self.size)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again."""
        return {"size": list(self.size), "pad_mode": self.pad_mode}


class RandomCrop(CropPad):
    """Cut a size at a drawn place without resizing, in the middle on the validation set.

    Args:
        size: pixels, one number or (height, width). A picture that is smaller is padded.
        pad_mode: what fills the output beyond the picture.
    """

    def plan(self, source: Shape, rng: Draws | None) -> CropPlan:
        """Return the cut of the output's own size."""
        starts = [
            start_of(have, want, place if have > want else 0.5)
            for have, want, place in zip(source, self.size, places(rng), strict=True)
        ]
        return _plain_cut(starts, self.size)


def places(rng: Draws | None) -> tuple[float, float]:
    """Return where a cut lies in what is left over, down and across: 0 to 1."""
    if rng is None:
        return 0.5, 0.5
    return float(rng.uniform()[0]), float(rng.uniform()[0])


def cut_inside(source: Shape, cut: tuple[float, float], rng: Draws | None, size: Shape) -> CropPlan:
    """Return the plan that takes a cut of (height, width) inside the source."""
    spans = []
    for have, want, place in zip(source, cut, places(rng), strict=True):
        start = max(have - want, 0.0) * place
        spans.append((start, min(start + want, float(have))))
    (top, bottom), (left, right) = spans
    return CropPlan((left, top, right, bottom), size)


def start_of(have: int, want: int, place: float) -> int:
    """Return the whole pixel where `want` of `have` pixels start; negative if there are fewer."""
    return math.floor((have - want) * place) if place == 0.5 else int((have - want + 1) * place)


def _plain_cut(starts: Sequence[int], size: Shape) -> CropPlan:
    top, left = starts
    return CropPlan((left, top, left + size[1], top + size[0]), size)


def _moved(points: TensorPoint, plan: CropPlan, source: Shape) -> TensorPoint:
    """Return points or boxes (-1..1 of the source) in -1..1 of the output."""
    flat = points.as_subclass(torch.Tensor).reshape(-1, 2).double().numpy()
    moved = torch.from_numpy(np.ascontiguousarray(plan.points(flat, source)))
    return type(points)(moved.to(points.dtype).reshape(points.shape))


def one_of(what: str, value: str, options: Sequence[str]) -> Any:
    """Return `value`; ValueError with the nearest name unless it is one of `options`."""
    if value not in options:
        raise ValueError(
            f"{what} is one of {', '.join(map(repr, options))}, but got {value!r}."
            f"{did_you_mean(value, options)}"
        )
    return value


def _filter(resample: Filter) -> Image.Resampling:
    """Return PIL's filter by its constant or its name."""
    if isinstance(resample, str):
        names = [member.name.lower() for member in Image.Resampling]
        return Image.Resampling[one_of("A filter in resamples", resample, names).upper()]
    return Image.Resampling(resample)
