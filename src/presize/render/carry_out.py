"""Carries out a plan for a batch: on its device by one reading, on the CPU picture by picture.

Pictures, masks, points and boxes of a tuple all take the same map.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presize.core import colour
from presize.core.device import keep_type
from presize.core.errors import DataError
from presize.core.homography import (
    HW,
    Maps,
    from_sides,
    move_boxes,
    move_points,
    to_pixels,
    to_sides,
)
from presize.core.sampling import sample
from presize.render.plan import PixelPlan, Reading
from presize.render.warp import warp, write
from presize.tensors import TensorBBox, TensorImage, TensorImageBase, TensorMask, TensorPoint


def extent(x: Any) -> tuple[int, HW] | None:
    """Return how many pictures a value or tuple holds and their size; None if none can be planned.

    Points without a picture count as those of a square one.
    """
    elements = x if type(x) is tuple else (x,)
    for e in elements:
        if isinstance(e, TensorImageBase):
            one = 2 if isinstance(e, TensorMask) else 3
            return (len(e) if e.ndim > one else 1), (e.shape[-2], e.shape[-1])
    for e in elements:
        if isinstance(e, TensorPoint):
            return (len(e) if e.ndim > 2 else 1), (1, 1)
    return None


def carry_out(plan: PixelPlan, x: Any) -> Any:
    """Return a value, or a tuple of such, as the plan says.

    Args:
        plan: made for pictures as many and as large as these.
        x: a TensorImage, TensorMask, TensorPoint or TensorBBox, an item or a batch; everything else
            stays as it is.
    """
    if type(x) is tuple:
        return tuple(carry_out(plan, element) for element in x)
    if isinstance(x, TensorMask):
        mask = x.as_subclass(Tensor)
        numbers = _mask(plan, mask)
        return x if numbers is mask else keep_type(numbers, x)
    if isinstance(x, TensorImageBase):
        before = x.as_subclass(Tensor)
        batch = before.reshape(plan.n, -1, *before.shape[-2:])
        after = _pictures(plan, batch) if isinstance(x, TensorImage) else _moved(plan, batch)
        return x if after is batch else keep_type(_as_given(after, before), x)
    if isinstance(x, TensorPoint) and plan.reading is not None:
        points = x.as_subclass(Tensor)
        move = move_boxes if isinstance(x, TensorBBox) else move_points
        stack = points.reshape(plan.n, -1, points.shape[-1])
        return keep_type(move(stack, plan.maps, plan.source, plan.size).reshape(points.shape), x)
    return x


def _as_given(after: Tensor, before: Tensor) -> Tensor:
    return after.reshape(*before.shape[:-2], *after.shape[-2:])


def _moved(plan: PixelPlan, x: Tensor, *, mask: bool = False) -> Tensor:
    """Move pictures or masks [n,c,h,w]."""
    if plan.reading is None:
        return x
    way = plan.reading
    hw = (x.shape[-2], x.shape[-1])
    mode = way.mode_mask if mask else way.mode
    maps, size = (plan.maps, plan.size) if hw == plan.source else _for_size(plan, hw)
    return sample(x, maps, size, mode=mode, pad_mode=way.pad_mode)


def _for_size(plan: PixelPlan, hw: HW) -> tuple[Maps, HW]:
    """Return maps and size for pictures of `hw` pixels that show the same, as a small mask may."""
    size = hw if plan.size == plan.source else plan.size
    return from_sides(to_sides(plan.maps, plan.source, plan.size), hw, size), size


def _mask(plan: PixelPlan, x: Tensor) -> Tensor:
    batch = x.reshape(plan.n, -1, *x.shape[-2:])
    moved = _moved(plan, batch, mask=True)
    moved = x if moved is batch else _as_given(moved, x)
    if plan.mask_divisor is None:
        return moved
    return moved.long() if plan.mask_divisor == 1 else moved.long() // plan.mask_divisor


def _pictures(plan: PixelPlan, x: Tensor) -> Tensor:
    """Return pictures [n,c,h,w] as planned."""
    if plan.mean is not None:
        check_channels(len(plan.mean), x)
    if x.device.type == "cpu" and x.dtype == torch.uint8 and plan.reading is not None:
        tables = plan.tables(x.shape[1])
        if tables is not None:
            return _one_by_one(plan, plan.reading, x, tables)
    scale = None if x.is_floating_point() else plan.scale
    x = _moved(plan, x if scale is None else x.float())
    if plan.light is None and plan.mean is None:
        return x if scale is None else x * scale
    if plan.light is not None:
        x = colour.light(x if scale is None else x * scale, plan.light)
        scale = None
    return x if plan.mean is None else _standard(plan, x, scale or 1.0)


def _standard(plan: PixelPlan, x: Tensor, scale: float) -> Tensor:
    """Return (x * scale - mean) / std, as one multiplication and one addition a pixel."""
    assert plan.mean is not None and plan.std is not None
    check_floats(x)
    factor, shift = (
        torch.from_numpy(v[:, None, None]).to(x.dtype).to(x.device, non_blocking=True)
        for v in (scale / plan.std, -plan.mean / plan.std)
    )
    return torch.addcmul(shift, x, factor)


def check_floats(x: Tensor) -> None:
    """Raise TypeError if pictures that are to be standardised are integers."""
    if not x.is_floating_point():
        raise TypeError(
            f"Normalize takes floats in 0..1, but got {str(x.dtype).removeprefix('torch.')}. "
            "Put IntToFloatTensor() before."
        )


def check_channels(channels: int, x: Tensor) -> None:
    """Raise DataError if statistics of so many channels do not fit pictures [..,c,h,w]."""
    if channels not in (1, x.shape[-3]):
        raise DataError(
            f"Normalize has statistics of {channels} channels, but these pictures have "
            f"{x.shape[-3]} (shape {list(x.shape)}). Give statistics with one number per "
            "channel, or load the pictures in the right mode."
        )


def _one_by_one(plan: PixelPlan, way: Reading, x: Tensor, tables: Any) -> Tensor:
    """Carry out a plan on bytes on the CPU, several pictures at a time."""
    matrices = to_pixels(plan.maps, plan.source, plan.size)
    out = torch.empty((*x.shape[:2], *plan.size))
    into, pixels = out.numpy(), x.numpy()

    def do(i: int) -> None:
        # Channels together, as OpenCV reads them.
        whole = np.ascontiguousarray(pixels[i].transpose(1, 2, 0))
        moved = warp(whole, matrices[i], plan.size, mode=way.mode, pad_mode=way.pad_mode)
        write(moved, tables[i], into[i])

    threads = min(torch.get_num_threads(), plan.n)
    if threads == 1:
        for i in range(plan.n):
            do(i)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(do, range(plan.n)))
    return out
