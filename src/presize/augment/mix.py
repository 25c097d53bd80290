"""Mixing pictures of a batch in pairs: MixUp and CutMix, as numbers first and pixels last.

A plan says with which other item each one is mixed and where; what was drawn decides it alone.
`blend` then mixes pictures, and `mixed_labels` the labels by the shares that are left of each.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MixPlan:
    """How the items of a batch are mixed.

    Args:
        partner: [n], the number of the item that each one is mixed with.
        share: [n] in 0..1, how much of the result is the item itself.
        weight: [n] in 0..1, how much of each pixel is the item itself, outside the box.
        boxes: [n,4], top, bottom, left, right: pixels that are the partner's alone. Empty ones
            have no area; None has none at all.
    """

    partner: IntArray
    share: FloatArray
    weight: FloatArray
    boxes: IntArray | None = None


Planner = Callable[[np.random.Generator, int, tuple[int, int]], MixPlan]
"""From draws, the number of items and their (height, width) to a plan."""


def generator(seed: int, epoch: int, step: int, rank: int, op: str) -> np.random.Generator:
    """Return the draws of one operation for one batch: a function of these numbers alone."""
    key = (seed & 0xFFFFFFFFFFFFFFFF, epoch & 0xFFFFFFFFFFFFFFFF, step, rank)
    return np.random.default_rng([*key, zlib.crc32(op.encode())])


def plan_mixup(rng: np.random.Generator, n: int, *, alpha: float, p: float = 1.0) -> MixPlan:
    """Draw a blend for each of `n` items (Zhang et al., arXiv:1710.09412).

    The larger part is the item's own: a share below 1/2 is a pair the other way round.

    Args:
        rng: the draws.
        n: the number of items.
        alpha: shares are drawn from Beta(alpha, alpha).
        p: the chance that an item is mixed at all.
    """
    partner = rng.permutation(n)
    share = rng.beta(alpha, alpha, n)
    share = np.where(rng.random(n) < p, np.maximum(share, 1 - share), 1.0)
    return MixPlan(partner, share, share)


def plan_cutmix(
    rng: np.random.Generator, n: int, hw: tuple[int, int], *, alpha: float, p: float = 1.0
) -> MixPlan:
    """Draw for each of `n` items a box to be taken from another (Yun et al., arXiv:1905.04899).

    The box has the aspect of the picture and its middle anywhere; what reaches beyond the edge is
    cut off, and the share is that of the pixels that are left.

    Args:
        rng: the draws.
        n: the number of items.
        hw: their height and width in pixels.
        alpha: shares are drawn from Beta(alpha, alpha).
        p: the chance that an item is mixed at all.
    """
    partner = rng.permutation(n)
    side = np.sqrt(1 - rng.beta(alpha, alpha, n))
    side = np.where(rng.random(n) < p, side, 0.0)
    spans: list[IntArray] = []
    for length in hw:
        half, middle = side * length / 2, rng.random(n) * length
        spans += [
            np.clip(np.rint(end), 0, length).astype(np.int64)
            for end in (middle - half, middle + half)
        ]
    boxes = np.stack(spans, axis=1)
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    return MixPlan(partner, 1 - area / (hw[0] * hw[1]), np.ones(n), boxes)


def plan_either(first: MixPlan, second: MixPlan, chosen: npt.NDArray[np.bool_]) -> MixPlan:
    """Return a plan that follows `first` where `chosen` [n] holds, elsewhere `second`."""

    def pick(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.where(chosen if a.ndim == 1 else chosen[:, None], a, b)

    none = np.zeros((len(chosen), 4), dtype=np.int64)
    boxes = (none if plan.boxes is None else plan.boxes for plan in (first, second))
    return MixPlan(
        pick(first.partner, second.partner).astype(np.int64),
        pick(first.share, second.share).astype(np.float64),
        pick(first.weight, second.weight).astype(np.float64),
        pick(*boxes).astype(np.int64),
    )


def blend(x: Tensor, plan: MixPlan) -> Tensor:
    """Return pictures (or any floats) [n,...] mixed as planned; `x` itself stays as it is.

    Boxes want pictures [n,c,h,w].
    """
    other = x.index_select(0, _to(plan.partner, x))
    mixed = x
    if (plan.weight != 1).any():
        weight = _to(plan.weight, x).to(x.dtype)
        mixed = torch.lerp(other, x, weight.reshape(-1, *[1] * (x.ndim - 1)))
    if plan.boxes is not None:
        mixed = torch.where(_inside(plan.boxes, x), other, mixed)
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return mixed.contiguous(memory_format=torch.channels_last)
    return mixed


def blend_targets(y: Tensor, plan: MixPlan) -> Tensor:
    """Return values [n,...] mixed by the shares; whole numbers become floats."""
    wide = y if y.is_floating_point() else y.float()
    share = _to(plan.share, wide).to(wide.dtype).reshape(-1, *[1] * (y.ndim - 1))
    return torch.lerp(wide.index_select(0, _to(plan.partner, y)), wide, share)


def larger_share(y: Tensor, plan: MixPlan) -> Tensor:
    """Return for each item the target of the one that has the larger share in it."""
    own = np.arange(len(plan.partner))
    return y.index_select(0, _to(np.where(plan.share >= 0.5, own, plan.partner), y))


def one_hot(y: Tensor, classes: int) -> Tensor:
    """Return class numbers [n] as probabilities, float32 [n,classes]; nothing is read.

    Raises:
        RuntimeError: on the CPU, for a number that is no class; an accelerator says so later, as
            for an ordinary loss.
    """
    return torch.zeros(len(y), classes, device=y.device).scatter_(1, y.long()[:, None], 1.0)


def _inside(boxes: IntArray, like: Tensor) -> Tensor:
    """Return the pixels inside the box of each picture: bool [n,1,h,w]."""
    top, bottom, left, right = _to(boxes, like)[:, :, None].unbind(1)
    rows, columns = (torch.arange(side, device=like.device) for side in like.shape[-2:])
    down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return (down[:, :, None] & across[:, None, :])[:, None]


def _to(values: FloatArray | IntArray, like: Tensor) -> Tensor:
    numbers = values.astype(np.float32) if values.dtype == np.float64 else values
    return torch.from_numpy(numbers).to(like.device, non_blocking=True)
