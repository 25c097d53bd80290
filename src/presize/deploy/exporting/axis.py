"""One axis of a resampling as tensors: what `presize.render.warp` does, for a picture of any size.

In validation pictures are only cut and resized, so height and width are independent, and the maps
are scales and shifts. The length of the picture is a tensor here, and all that follows from it is
arithmetic on tensors: an exported graph then fits pictures of every size. For each axis

    place = (start + step * edge) / times - 1/2

is where a pixel of the result, with the constant `edge`, is found in the picture at hand. Where
the result is smaller than that by more than `REACH`, whole blocks are averaged first, and then
read, as on the CPU. Averages are differences of running sums, so that their cost does not depend
on the size of the blocks.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from presize.core.sampling import REACH, Mode, PadMode
from presize.render.warp import BLOCK_LEAVES


@dataclass(frozen=True, slots=True)
class Stretch:
    """A cut along one axis of a picture, in numbers that are known with the picture.

    Args:
        length: pixels of the picture.
        start, step: the cut begins at `start`, and one of its pixels takes `step` of the picture.
        times: 1, 2, 4 or 8 pixels are averaged to one before anything is read.
        window: the first pixel of the cut and the one behind its last, after that averaging; what
            lies outside is not looked at.
    """

    length: Tensor
    start: Tensor
    step: Tensor
    times: Tensor
    window: tuple[Tensor, Tensor]


class AxisReading(torch.nn.Module):
    """How the pixels of one axis of the result are read; made for a stretch of each picture.

    Args:
        edges: where the pixels of the result lie in the cut, in its pixels; rising evenly.
        mode: how a place between pixels is read.
        pad_mode: what lies outside.
    """

    edges: Tensor

    def __init__(self, edges: Tensor, mode: Mode, pad_mode: PadMode) -> None:
        super().__init__()
        self.register_buffer("edges", edges.double())
        self.mode, self.pad_mode = mode, pad_mode
        # One step of the result covers up to 2.25 of what was averaged: see `REACH` and `warp`.
        self.room = math.ceil(2.26 * len(edges)) + 12
        self.pace = float(edges[1] - edges[0]) if len(edges) > 1 else 1.0

    def forward(self, x: Tensor, stretch: Stretch, dim: int) -> tuple[Tensor, "Taps", Tensor]:
        """Return the picture with this axis averaged, how to read the result from that, and blocks.

        Args:
            x: whole numbers int32, or averages float32, [n,c,h,w].
            stretch: the cut along this axis.
            dim: the axis, 2 or 3.

        Returns:
            Averages float32, what to read among them, and of how many pixels each is the average.
        """
        low, high = stretch.window
        n = high - low
        place = (stretch.start + stretch.step * self.edges) / stretch.times - 0.5 - low
        first, span, count = self._blocks(place, stretch.step * self.pace / stretch.times, n)
        numbers = torch.arange(self.room + 1, dtype=torch.float64, device=x.device)
        borders = low + first + torch.minimum(numbers, count) * (span / count)
        averages = _averages(x, borders, stretch, dim) * (count / span).float()
        inside = (place - first + 0.5) * (count / span) - 0.5
        return averages, Taps.of(inside, count, self.mode, self.pad_mode), span / count

    def _blocks(self, place: Tensor, step: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the first pixel that is needed, how many, and how many blocks they become."""
        block = torch.clamp(torch.round(step / BLOCK_LEAVES), min=1.0)
        block = torch.where(step <= REACH, torch.ones_like(block), block)
        if self.mode == "nearest":
            block = torch.ones_like(block)
        start = torch.floor(place[0]) - 2 * block
        count = torch.ceil((torch.ceil(place[-1]) + 2 * block - start) / block)
        fits = (start >= 0) & (start + count * block <= n)
        whole = torch.clamp(torch.round(n / block), min=1.0)
        return (
            torch.where(fits, start, torch.zeros_like(start)),
            torch.where(fits, count * block, n),
            torch.where(fits, count, whole),
        )


@dataclass(frozen=True, slots=True)
class Taps:
    """Which pixels make those of a result, and how much of each: [k, out] both."""

    indices: Tensor
    weights: Tensor

    @classmethod
    def of(cls, place: Tensor, n: Tensor, mode: Mode, pad_mode: PadMode) -> "Taps":
        """Return what reads at places [out] among `n` pixels, as OpenCV does."""
        if mode == "nearest":
            place = torch.floor(place + 0.5)
        base = torch.floor(place)
        t = place - base
        if mode == "bicubic":
            shares = _cubic(t)
        else:
            shares = [torch.ones_like(t)] if mode == "nearest" else [1 - t, t]
        first = base - 1 if mode == "bicubic" else base
        indices = torch.stack([first + k for k in range(len(shares))])
        weights = torch.stack(shares)
        if pad_mode == "zeros":
            weights = torch.where((indices >= 0) & (indices < n), weights, 0.0)
        if pad_mode == "reflection":
            there_and_back = indices - torch.floor(indices / (2 * n)) * (2 * n)
            indices = torch.minimum(there_and_back, 2 * n - 1 - there_and_back)
        last = n - 1
        indices = torch.minimum(torch.clamp(indices, min=0.0), last)
        return cls(indices.long(), weights.float())

    def read(self, x: Tensor, dim: int) -> Tensor:
        """Return the result along `dim` (2 or 3) of averages float32 [n,c,h,w]."""
        total = None
        for indices, weights in zip(self.indices, self.weights, strict=True):
            one = torch.index_select(x, dim, indices) * _along(weights, dim)
            total = one if total is None else total + one
        assert total is not None
        return total


def _cubic(t: Tensor) -> list[Tensor]:
    """Return the shares of four neighbours, Keys' kernel with -3/4."""
    a = -0.75
    before = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    left = ((a + 2) * t - (a + 3)) * t * t + 1
    u = 1 - t
    right = ((a + 2) * u - (a + 3)) * u * u + 1
    return [before, left, right, 1 - before - left - right]


def _averages(x: Tensor, borders: Tensor, stretch: Stretch, dim: int) -> Tensor:
    """Return the sums of pixels between borders: float32, one less than there are borders.

    Borders lie among pixels of which each is the mean of `times`; the last counts for those that
    its block lacks.
    """
    n, times = stretch.length, stretch.times
    # Whole numbers are summed exactly; of averages, float64 keeps all digits that float32 has.
    kind = torch.float64 if x.is_floating_point() else torch.int32
    sums = torch.cumsum(x, dim, dtype=kind)
    last = torch.index_select(x, dim, (n - 1).long().reshape(1)).to(kind)

    def up_to(pixels: Tensor) -> Tensor:
        inside = torch.minimum(pixels, n)
        at = torch.index_select(sums, dim, torch.clamp(inside - 1, min=0.0).long())
        beyond = pixels - inside
        return at * _along((inside > 0).to(kind), dim) + last * _along(beyond.to(kind), dim)

    blocks = torch.floor(borders)
    begun = up_to(blocks * times)
    share = _along((borders - blocks).float(), dim)
    in_block = (up_to((blocks + 1) * times) - begun).float() * share
    return (_steps(begun, dim).float() + _steps(in_block, dim)) / times.float()


def _steps(running: Tensor, dim: int) -> Tensor:
    """Return by how much values along `dim` grow from one to the next."""
    count = running.shape[dim] - 1
    return running.narrow(dim, 1, count) - running.narrow(dim, 0, count)


def _along(values: Tensor, dim: int) -> Tensor:
    return values[:, None] if dim == 2 else values
