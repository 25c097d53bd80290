"""Reading pixels at the places that maps name: the one resampling of a batch."""

from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from presize.core.errors import did_you_mean
from presize.core.homography import HW, Maps, is_identity, shrinkage, to_sides

Mode = Literal["bilinear", "nearest", "bicubic"]
PadMode = Literal["reflection", "border", "zeros"]

# Bilinear reading spans two input pixels, so it stays honest while the picture shrinks by up to
# about 2; beyond, several reads are averaged for each output pixel. PSNR to the exact area mean on
# two photos (benchmarks/antialias.py), one read against that rule: 32.3 dB at 1.1, 33.0 at 1.5,
# 32.1 at 2.1, 31.0 -> 38.6 at 2.7, 26.4 -> 41.2 at 5.3. The first step lies just above 460 / 224.
REACH = 2.1
_MOST_READS = 16


def check_mode(mode: str, pad_mode: str) -> None:
    """Raise ValueError for a name that `sample` does not know."""
    for what, value, known in (
        ("mode", mode, get_args(Mode)),
        ("pad_mode", pad_mode, get_args(PadMode)),
    ):
        if value not in known:
            raise ValueError(
                f"{what} must be one of {', '.join(map(repr, known))}, got {value!r}."
                f"{did_you_mean(value, known)}"
            )


def coordinates(maps: Maps, hw: HW, size: HW, *, like: Tensor) -> Tensor:
    """Return where each output pixel's centre lies in the input: float [n,h,w,2], (x, y) in -1..1.

    `like` gives the device; float64 is kept, all else is float32.
    """
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    m = torch.from_numpy(to_sides(maps, hw, size)).to(dtype).to(like.device, non_blocking=True)
    y, x = (
        (torch.arange(k, device=like.device, dtype=dtype) * 2 + 1) / k - 1
        for k in (size[0], size[1])
    )
    # Row r of the matrix is a sum of a part along x and a part along y: one broadcast addition.
    along_x = (m[:, :, :1] * x)[:, :, None, :]
    along_y = (m[:, :, 1:2] * y + m[:, :, 2:])[:, :, :, None]
    flat = bool((maps[:, 2, :2] == 0).all() and (maps[:, 2, 2] == 1).all())
    grid = torch.empty((len(m), *size, 2), device=like.device, dtype=dtype)
    # On a CPU picture by picture, so that the steps stay in its cache: 8 ms for 64 x 224 x 224 on
    # two cores, all at once 76 ms.
    count = 1 if like.device.type == "cpu" else max(len(m), 1)
    for to, row, column in zip(*(v.split(count) for v in (grid, along_x, along_y)), strict=True):
        if flat:
            torch.add(row[:, 0], column[:, 0], out=to[..., 0])
            torch.add(row[:, 1], column[:, 1], out=to[..., 1])
        else:
            nearness = (row[:, 2] + column[:, 2]).reciprocal_()
            torch.mul(row[:, 0] + column[:, 0], nearness, out=to[..., 0])
            torch.mul(row[:, 1] + column[:, 1], nearness, out=to[..., 1])
    return grid


def _reads(maps: Maps, hw: HW, size: HW) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return how many reads, down and across, each picture needs for one output pixel: [n,2]."""
    steps = np.stack(shrinkage(maps, hw, size), axis=1)
    return np.clip(np.ceil(steps / REACH), 1, _MOST_READS).astype(np.int64)


def _read(x: Tensor, grid: Tensor, mode: Mode, pad_mode: PadMode) -> Tensor:
    return F.grid_sample(x, grid, mode=mode, padding_mode=pad_mode, align_corners=False)


def _supersample(
    x: Tensor, maps: Maps, size: HW, reads: HW, mode: Mode, pad_mode: PadMode
) -> Tensor:
    """Read `reads` (down, across) places for each output pixel, and average them."""
    hw = (x.shape[-2], x.shape[-1])
    fine = (size[0] * reads[0], size[1] * reads[1])
    # The frame of `size` and the frame of `fine` may differ in unit; both are -1..1 along sides.
    grid = coordinates(_refined(maps, size, fine), hw, fine, like=x)
    out = _read(x, grid, mode, pad_mode)
    return out if reads == (1, 1) else F.avg_pool2d(out, reads)


def _refined(maps: Maps, size: HW, fine: HW) -> Maps:
    """Let maps of the frame of `size` start from the frame of `fine`, which covers the same."""
    if size == fine:
        return maps
    scale = [(size[i] / min(size)) / (fine[i] / min(fine)) for i in (1, 0)]
    return maps @ np.diag([*scale, 1.0])


def sample(
    x: Tensor,
    maps: Maps,
    size: HW | None = None,
    *,
    mode: Mode = "bilinear",
    pad_mode: PadMode = "reflection",
    antialias: bool = True,
) -> Tensor:
    """Return the pictures that `maps` make of `x`: [n,c,h,w] in, [n,c,*size] out, same dtype.

    One `grid_sample` for all pictures that shrink about equally. What a picture becomes depends on
    its own map alone, never on its neighbours in the batch; nothing is read from the device.

    Args:
        x: pictures [n,c,h,w], any float or integer dtype; integers are rounded.
        maps: [n,3,3], from the frame of `size` to the frame of `x`; [1,3,3] serves all.
        size: (height, width) of the result; default: as `x`.
        mode: "nearest" picks a pixel and never blends: for masks.
        pad_mode: what lies outside the picture: its mirror image, its edge, or 0.
        antialias: average several reads where the picture shrinks by more than 2.

    Raises:
        ValueError: shapes that do not fit, an unknown `mode` or `pad_mode`.
    """
    check_mode(mode, pad_mode)
    if x.ndim != 4 or maps.shape[1:] != (3, 3) or maps.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            "sample takes pictures [n,c,h,w] and one 3x3 map for each (or one for all), but got "
            f"pictures {list(x.shape)} and maps {list(maps.shape)}."
        )
    hw = (x.shape[-2], x.shape[-1])
    size = size or hw
    if size == hw and is_identity(maps):
        return x
    if maps.shape[0] != x.shape[0]:
        maps = np.repeat(maps, x.shape[0], axis=0)
    wide = _as_float(x)
    reads = _reads(maps, hw, size)
    if mode == "nearest" or not antialias:
        reads[:] = 1
    kinds = np.unique(reads, axis=0)
    if len(kinds) == 1:
        out = _supersample(wide, maps, size, _pair(kinds[0]), mode, pad_mode)
    else:
        out = wide.new_empty((*x.shape[:2], *size))
        for kind in kinds:
            rows = np.flatnonzero((reads == kind).all(axis=1))
            index = torch.from_numpy(rows).to(x.device, non_blocking=True)
            part = _supersample(wide[index], maps[rows], size, _pair(kind), mode, pad_mode)
            out.index_copy_(0, index, part)
    return _as_before(out, x.dtype)


def _pair(kind: np.ndarray[tuple[int], np.dtype[np.int64]]) -> HW:
    return int(kind[0]), int(kind[1])


def _as_float(x: Tensor) -> Tensor:
    """Widen to a dtype that grid_sample blends well in: 16-bit coordinates lose whole pixels."""
    if x.dtype in (torch.float32, torch.float64):
        return x
    # Class numbers above 2**24 would need more than float32.
    return x.double() if x.dtype == torch.int64 and x.device.type != "mps" else x.float()


def _as_before(x: Tensor, dtype: torch.dtype) -> Tensor:
    if x.dtype == dtype:
        return x
    if dtype.is_floating_point:
        return x.to(dtype)
    if dtype == torch.bool:
        return x > 0.5
    limits = torch.iinfo(dtype)
    return x.round().clamp(limits.min, limits.max).to(dtype)
