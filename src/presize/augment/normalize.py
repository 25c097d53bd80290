"""Normalisation: pictures with mean 0 and deviation 1 in each channel."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from presize.core.errors import DataError
from presize.core.types import JSON
from presize.render.carry_out import check_channels, check_floats
from presize.render.plan import PixelPlan
from presize.render.transform import PixelTransform
from presize.tensors import TensorImage

Stats = tuple[tuple[float, ...], tuple[float, ...]]

imagenet_stats: Stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
cifar_stats: Stats = ((0.491, 0.482, 0.447), (0.247, 0.243, 0.261))
mnist_stats: Stats = ((0.131,), (0.308,))

Numbers = Tensor | Sequence[float]


class Normalize(PixelTransform):
    """Subtract the mean of each channel and divide by its deviation; decoding undoes it.

    Args:
        mean: one number per channel. None: both are learned from the first batch of the training
            set, at set-up.
        std: one number per channel, above 0.
        axes: the axes of a batch [n,c,h,w] that statistics are learned over.

    Raises:
        ValueError: only one of `mean` and `std`, or counts that differ, or a `std` of 0.
    """

    order = 99
    shown_attributes = ("mean", "std", "axes")

    def __init__(
        self,
        mean: Numbers | None = None,
        std: Numbers | None = None,
        axes: Sequence[int] = (0, 2, 3),
    ) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ValueError(
                "Normalize takes both mean and std, or neither to learn them from a batch, but got "
                f"mean={mean!r} and std={std!r}."
            )
        self.axes = tuple(axes)
        self.mean: Tensor | None = None if mean is None else _per_channel(mean)
        self.std: Tensor | None = None if std is None else _per_channel(std)
        if self.mean is not None and self.std is not None:
            if self.mean.shape != self.std.shape:
                raise ValueError(
                    f"Normalize: mean has {self.mean.numel()} numbers and std {self.std.numel()}; "
                    "each needs one per channel."
                )
            if not bool((self.std > 0).all()):
                raise ValueError(
                    f"Normalize: std must be above 0, got {self.std.flatten().tolist()}."
                )
        self._placed: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    @classmethod
    def from_stats(
        cls, mean: Numbers, std: Numbers, dim: int = 4, cuda: bool | None = None
    ) -> Self:
        """Return one for known statistics, such as `Normalize.from_stats(*imagenet_stats)`.

        `dim` and `cuda` are not needed any more: statistics fit items and batches alike, and follow
        the pictures to their device.
        """
        return cls(mean, std)

    def setups(self, items: Sequence[Any]) -> None:
        """Learn mean and std from the pictures of the first batch, unless they were given."""
        if self.mean is not None:
            return
        batch = next(iter(items), None)
        elements = batch if isinstance(batch, tuple | list) else (batch,)
        x = next((e for e in elements if isinstance(e, TensorImage)), None)
        if x is None:
            raise DataError(
                "Normalize() without mean and std learns them from the pictures of a batch, but "
                f"got {[type(e).__name__ for e in elements]}. Give them, as in "
                "Normalize.from_stats(*imagenet_stats)."
            )
        plain = x.as_subclass(Tensor).detach().float().cpu()
        plain = plain if plain.ndim == 4 else plain[None]
        self.mean = plain.mean(self.axes, keepdim=True)
        # A channel of one value only would be divided by 0.
        self.std = plain.std(self.axes, keepdim=True) + 1e-7
        self._placed = {}  # its own: copies of one transform may learn from different data

    def encodes(self, x: TensorImage) -> Tensor:
        """Return (x - mean) / std."""
        mean, std = self._stats(x)
        return (x - mean).div_(std)

    def decodes(self, x: TensorImage) -> Tensor:
        """Return x * std + mean."""
        mean, std = self._stats(x)
        return torch.addcmul(mean, x.as_subclass(Tensor), std)

    def extend(self, plan: PixelPlan, *, training: bool) -> PixelPlan | None:
        """Return the plan with this after it; None where statistics differ from pixel to pixel."""
        mean, std = self._known()
        if mean.numel() != mean.shape[1]:
            return None
        flat = (v.flatten().double().numpy() for v in (mean, std))
        return plan.standardised(*flat)

    def _known(self) -> tuple[Tensor, Tensor]:
        """Return mean and std, or say that they are not known yet."""
        if self.mean is None or self.std is None:
            raise DataError(
                "Normalize() has no mean and std yet: it learns them when a data block or loader "
                "is made. Give them, as in Normalize.from_stats(*imagenet_stats), to use it alone."
            )
        return self.mean, self.std

    def _stats(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and std, shaped and placed for `x`."""
        mean, std = self._known()
        check_floats(x)
        check_channels(mean.shape[1], x)
        place = (x.device, x.dtype)
        if place not in self._placed:
            self._placed[place] = mean.to(*place), std.to(*place)
        mean, std = self._placed[place]
        return (mean, std) if x.ndim == 4 else (mean[0], std[0])

    def spec(self) -> dict[str, JSON]:
        """Return the arguments that make it again, with the statistics learned."""
        mean, std = (None if v is None else v.flatten().tolist() for v in (self.mean, self.std))
        return {"mean": mean, "std": std, "axes": list(self.axes)}

    def __repr__(self) -> str:
        if self.mean is None or self.std is None:
            return f"{self.name} -- learned from a batch"
        mean, std = (
            [round(number, 4) for number in v.flatten().tolist()] for v in (self.mean, self.std)
        )
        return f"{self.name} -- {{'mean': {mean}, 'std': {std}}}"


def _per_channel(values: Numbers) -> Tensor:
    """Return statistics as float32 [1,c,1,1]; a shape of four axes is kept."""
    numbers = torch.as_tensor(values, dtype=torch.float32).detach().cpu()
    return numbers if numbers.ndim == 4 else numbers.reshape(1, -1, 1, 1)
