"""What validation does to a picture before the model sees it, as a module that can be exported.

    uint8 [n,h,w,3], decoded -> cut, resized, padded -> levels to floats, normalised -> [n,c,H,W]

It is made from the transforms of a loader, and computes what the loader does on a CPU: the same
boxes, the same averages of blocks, the same cubic or linear reading, rounded to whole levels at
the same places. A JPEG that is 2 times larger than needed, or more, is decoded smaller by the
loader, and averaged here: that is close, but not the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from presize.core.errors import ExportError
from presize.core.homography import HW
from presize.core.sampling import Mode, PadMode
from presize.core.transform import Transform
from presize.data.crops import CropPad, CropTransform
from presize.data.cuts import mode_of, to_frame
from presize.data.plan import PadName
from presize.data.samples import active
from presize.data.tensorise import ToTensor
from presize.deploy.exporting.axis import AxisReading, Stretch
from presize.deploy.exporting.boxes import (
    Box,
    box_of,
    check_crop,
    filled,
    inside,
    pads,
    reduction_of,
)
from presize.render.plan import PixelPlan
from presize.render.transform import active_steps, planned

_WAY_OUT = "Export with preprocessing=False and prepare the pictures outside."


class Reading(nn.Module):
    """One reading of pixels: a cut of each picture becomes a picture of one size.

    Args:
        edges: where rows and columns of the result lie in the cut, in its pixels.
        size: (height, width) of the cut.
        mode: how a place between pixels is read.
        pad_mode: what lies outside.
        windowed: what lies outside the cut is its mirror image, not what the picture has there.
    """

    def __init__(
        self,
        edges: tuple[Tensor, Tensor],
        size: HW,
        mode: Mode,
        pad_mode: PadMode,
        *,
        windowed: bool = False,
    ) -> None:
        super().__init__()
        self.rows = AxisReading(edges[0], mode, pad_mode)
        self.columns = AxisReading(edges[1], mode, pad_mode)
        self.size, self.windowed = size, windowed

    def forward(self, x: Tensor, box: Box, sides: tuple[Tensor, Tensor], times: Tensor) -> Tensor:
        """Return float32 [n,c,H,W] of whole levels from int32 [n,c,h,w]."""
        across = self._stretch(box.columns, sides[1], self.size[1], times)
        down = self._stretch(box.rows, sides[0], self.size[0], times)
        x, columns, wide = self.columns(x, across, 3)
        x, rows, tall = self.rows(x, down, 2)
        # A mean of four levels that is a tie goes up in OpenCV, all others to the even level.
        x = torch.where((wide == 2) & (tall == 2), torch.floor(x + 0.5), torch.round(x))
        x = rows.read(columns.read(x, 3), 2)
        return torch.clamp(torch.round(x), 0, 255)

    def _stretch(
        self, span: tuple[Tensor, Tensor], length: Tensor, size: int, times: Tensor
    ) -> Stretch:
        start, stop = span
        stored = torch.ceil(length / times)
        window = torch.zeros_like(stored), stored
        if self.windowed:
            first = torch.minimum(torch.clamp(torch.round(start / times), min=0.0), stored - 1)
            end = torch.minimum(torch.round(stop / times), stored)
            window = first, torch.maximum(end, first + 1)
        return Stretch(length, start, (stop - start) / size, times, window)


class Preprocessing(nn.Module):
    """What validation does to decoded pictures, for batches of them of one size.

    `Preprocessing.of(loader)` makes one.

    Args:
        crops: the item transforms.
        plan: what the batch transforms do, of one picture.
        channels: of what the model sees: 3, or 1 for gray.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, crops: Sequence[CropTransform], plan: PixelPlan, channels: int) -> None:
        super().__init__()
        self.crops, self.channels, self.size = list(crops), channels, plan.size
        self.fixed = None if self.crops else plan.source
        self.padded = bool(self.crops) and pads(self.crops[0])
        self.first, self.second, self.direct = self._readings(plan)
        assert plan.scale is not None
        self.scale = plan.scale
        mean = np.zeros(channels) if plan.mean is None else np.broadcast_to(plan.mean, channels)
        std = np.ones(channels) if plan.std is None else np.broadcast_to(plan.std, channels)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64).float())
        self.register_buffer("std", torch.tensor(std, dtype=torch.float64).float())

    @classmethod
    def of(cls, loader: Any, channels: int, fixed: HW | None = None) -> "Preprocessing":
        """Return what a loader does to pictures in validation.

        Args:
            loader: of a data block, with transforms of presize.
            channels: of what the model sees: 3, or 1 for gray.
            fixed: (height, width) of all pictures, if no item transform brings them to one.

        Raises:
            ExportError: it does something that the graph cannot.
        """
        crops = _crops(loader)
        if not crops and fixed is None:
            raise ExportError(
                "No item transform brings pictures to one size, and none is known. Give samples=, "
                f"a list of pictures as they will come. {_WAY_OUT}"
            )
        size: HW = crops[-1].size if crops else fixed  # type: ignore[attr-defined, assignment]
        stage = active(loader.after_batch)
        steps: list[Transform] = [] if stage is None else active_steps(stage.fs, 1)
        plan, rest = planned(steps, 1, size, 1)
        _check_plan(plan, rest)
        return cls(crops, plan, channels)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return what the model sees, float32 [n,c,H,W], of uint8 [n,h,w,3], RGB."""
        # Channels first: what varies along a side is then multiplied in long rows.
        x = pictures.permute(0, 3, 1, 2).int()
        if self.channels == 1:
            # ITU-R 601 in whole numbers, as Pillow makes gray.
            red, green, blue = x.unbind(1)
            x = ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16)[:, None]
        x = self._resampled(x).float() * self.scale
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def _resampled(self, x: Tensor) -> Tensor:
        height, width = _side(x, 2), _side(x, 3)
        if self.crops:
            box = box_of(self.crops[0], height, width)
            times = reduction_of(self.crops[0], height, width)
            for before, crop in zip(self.crops, self.crops[1:], strict=False):
                size: HW = before.size  # type: ignore[attr-defined]  # `check_crop` saw to it
                box = inside(box, size, box_of(crop, *(_number(x, n) for n in size)))
            return self._cut(x, box, (height, width), times)
        return x if self.second is None else self._again(self.second, x)

    def _cut(self, x: Tensor, box: Box, sides: tuple[Tensor, Tensor], times: Tensor) -> Tensor:
        assert self.first is not None
        cut: Tensor = self.first(x, box, sides, times)
        if self.padded and self.crops[0].pad_mode == "zeros":
            cut = cut * _mask(box, sides, self.first.size)
        if self.second is not None:
            cut = self._again(self.second, cut)
        if self.direct is None:
            return cut
        return torch.where(_exceeds(box, sides), cut, self.direct(x, box, sides, times))

    def _again(self, reading: Reading, x: Tensor) -> Tensor:
        """Return what the batch transforms make of pictures that were cut already."""
        down, across = (_number(x, n) for n in reading.size)
        whole = Box((torch.zeros_like(down), down), (torch.zeros_like(across), across))
        made: Tensor = reading(x.int(), whole, (down, across), _number(x, 1))
        return made

    def _readings(self, plan: PixelPlan) -> tuple[Reading | None, Reading | None, Reading | None]:
        """Return the reading of the item transforms, one of the batch transforms after it.

        The third is for pictures that need no padding, though others do: both in one.
        """
        maps = plan.maps[0] @ to_frame(plan.size)
        edges = _edges(maps, plan.source, plan.size)
        still = plan.reading is None or _is_still(edges, plan.source)
        second = None
        if plan.reading is not None and not still:
            way = plan.reading
            second = Reading(edges, plan.source, way.mode, way.pad_mode)
        if not self.crops:
            return None, second, None
        mode = mode_of(self.crops[-1])
        if not self.padded:
            # Cut and batch are one reading; what lies outside the cut is its mirror image.
            if second is not None and plan.reading is not None:
                mode = plan.reading.mode
            return Reading(edges, plan.source, mode, "reflection", windowed=True), None, None
        named: PadName = self.crops[0].pad_mode
        plain = _centres(plan.source[0]), _centres(plan.source[1])
        outside: PadMode = "border" if named == "zeros" else named
        first, direct = Reading(plain, plan.source, mode, outside), None
        # CropPad copies pixels where it does not pad: once or twice is the same.
        if plan.reading is not None and not isinstance(self.crops[0], CropPad):
            direct = Reading(edges, plan.source, plan.reading.mode, "reflection", windowed=True)
        return first, second, direct


def _crops(loader: Any) -> list[CropTransform]:
    """Return the item transforms that cut, and refuse all others."""
    stage = active(loader.after_item)
    steps = [] if stage is None else [f for f in stage.fs if not f.skips(1)]
    found: list[CropTransform] = []
    for step in steps:
        if isinstance(step, CropTransform):
            check_crop(step)
            found.append(step)
        elif type(step) is not ToTensor:
            raise _cannot(step)
    if len(found) > 1 and any(pads(crop) or mode_of(crop) != mode_of(found[0]) for crop in found):
        raise ExportError(
            "preprocessing=True can put several item transforms into the file only if none of them "
            f"pads and all have the same filter; these are {', '.join(map(repr, found))}. "
            f"{_WAY_OUT}"
        )
    return found


def _check_plan(plan: PixelPlan, rest: Sequence[Transform]) -> None:
    if rest:
        raise _cannot(rest[0])
    if plan.scale is None:
        raise ExportError(
            "preprocessing=True wants pictures to become floats (IntToFloatTensor), but the model "
            f"sees whole numbers. {_WAY_OUT}"
        )
    across, down = plan.maps[0, 0], plan.maps[0, 1]
    straight = not plan.maps[0, 2, :2].any() and not across[1] and not down[0]
    if plan.light is not None or not straight or across[0] <= 0 or down[1] <= 0:
        raise ExportError(
            "preprocessing=True can only cut and resize pictures, but the transforms of the batch "
            f"also turn or light them in validation. {_WAY_OUT}"
        )


def _cannot(step: Transform) -> ExportError:
    return ExportError(
        f"preprocessing=True puts the transforms of validation into the file, but `{step.name}` "
        f"cannot be put there. {_WAY_OUT}"
    )


def _edges(maps: npt.NDArray[np.float64], size: HW, out: HW) -> tuple[Tensor, Tensor]:
    """Return where rows and columns of the result lie in a cut, in its pixels from its edge.

    Args:
        maps: [3,3], from pixel numbers of the result to the frame of the cut.
        size: (height, width) of the cut.
        out: (height, width) of the result.
    """
    half = min(size) / 2
    rows = half * (maps[1, 1] * np.arange(out[0]) + maps[1, 2]) + size[0] / 2
    columns = half * (maps[0, 0] * np.arange(out[1]) + maps[0, 2]) + size[1] / 2
    return torch.from_numpy(rows), torch.from_numpy(columns)


def _centres(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64) + 0.5


def _is_still(edges: tuple[Tensor, Tensor], size: HW) -> bool:
    """Say whether a reading takes every pixel as it is."""
    return all(
        len(at) == n and torch.allclose(at, _centres(n), rtol=0, atol=1e-9)
        for at, n in zip(edges, size, strict=True)
    )


def _side(x: Tensor, dim: int) -> Tensor:
    """Return a side of a picture as a number that the graph works with."""
    return _number(x, x.shape[dim])


def _number(x: Tensor, value: int) -> Tensor:
    return torch.full((), value, dtype=torch.float64, device=x.device)


def _exceeds(box: Box, sides: tuple[Tensor, Tensor]) -> Tensor:
    """Say whether a box goes beyond its picture."""
    (top, bottom), (left, right) = box.rows, box.columns
    edge = 1e-6  # pixels; boxes are worked out in floats
    below, beside = bottom > sides[0] + edge, right > sides[1] + edge
    return (torch.minimum(left, top) < -edge) | below | beside


def _mask(box: Box, sides: tuple[Tensor, Tensor], size: HW) -> Tensor:
    """Return 1 where the picture fills the cut and 0 beside it: float32 [H,W]."""
    rows, columns = (
        ((numbers >= first) & (numbers < end)).float()
        for numbers, (first, end) in (
            (_centres(size[0]), filled(box.rows, sides[0], size[0])),
            (_centres(size[1]), filled(box.columns, sides[1], size[1])),
        )
    )
    return rows[:, None] * columns
