"""Changes of light and colour: matrices in logit space, and a turn of the hue.

Brightness, contrast and saturation act on the logit of a value, log(x / (1-x)). There the range is
endless, so nothing is cut off: white stays white however bright a picture gets, and dark and light
parts lose the same amount of detail. In that space each of the three is an affine map of (r, g, b),
so any chain of them is ONE matrix [n,4,4] (rows r, g, b, 1), one logit and one sigmoid.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from presize.core.parameters import Draw, parameter
from presize.core.randomness import Draws, FloatArray

Matrices = npt.NDArray[np.float64]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
EDGE = 1e-7  # 0 and 1 have no finite logit
# Where channels are mixed, 0..1 is first narrowed by half a level of 8 bits at each end, and
# widened again afterwards. Else a channel that is just clipped (logit 16) next to one that is
# nearly so (250 of 255: logit 3.9) would count as a strong colour: with saturation 1.25 the white
# (255, 255, 250) became yellow, (255, 255, 196); it becomes (255, 255, 246).
RIM = 1 / 512


def _affine(linear: npt.NDArray[np.float64], shift: FloatArray) -> Matrices:
    """Build [n,4,4] from linear parts [n,3,3] and one shift of all channels [n]."""
    out = np.tile(np.eye(4), (len(shift), 1, 1))
    out[:, :3, :3], out[:, :3, 3] = linear, shift[:, None]
    return out


def _per_picture(value: npt.ArrayLike) -> FloatArray:
    return np.atleast_1d(np.asarray(value, dtype=np.float64))


def brightness(level: npt.ArrayLike) -> Matrices:
    """Return the matrices that take mid-gray to `level` [n]: 0.5 changes nothing, 1 is white."""
    level = np.clip(_per_picture(level), EDGE, 1 - EDGE)
    return _affine(np.tile(np.eye(3), (len(level), 1, 1)), np.log(level / (1 - level)))


def contrast(factor: npt.ArrayLike) -> Matrices:
    """Return the matrices that multiply the distance from mid-gray by `factor` [n]."""
    factor = _per_picture(factor)
    return _affine(factor[:, None, None] * np.eye(3), np.zeros(len(factor)))


def saturation(factor: npt.ArrayLike) -> Matrices:
    """Return the matrices that multiply the distance from the pixel's gray by `factor` [n]."""
    s = _per_picture(factor)[:, None, None]
    return _affine(s * np.eye(3) + (1 - s) * _LUMA, np.zeros(len(s)))


def compose(*matrices: Matrices) -> Matrices:
    """Return the matrices that apply `matrices` one after the other, the first one first."""
    return functools.reduce(lambda before, after: after @ before, matrices)


def light(x: Tensor, matrices: Matrices) -> Tensor:
    """Apply colour matrices in logit space to pictures [n,c,h,w] of floats in 0..1.

    Pictures that have not three channels have no saturation: they take the matrices' sum over r,
    g and b, which is brightness and contrast alone. If no matrix changes anything, `x` itself comes
    back.
    """
    _check_floats(x)
    if np.allclose(matrices, np.eye(4), rtol=0, atol=1e-12):
        return x
    wide = x if x.dtype == torch.float64 else x.float()
    gain, shift = _plain(matrices)
    mixed_rows = _mixed_rows(matrices)
    if x.shape[1] != 3 or not mixed_rows.any():
        logit = torch.logit(wide, eps=EDGE).mul_(_rows(gain, wide)).add_(_rows(shift, wide))
        return logit.sigmoid_().to(x.dtype)
    rim = np.where(mixed_rows, RIM, 0.0)
    logit = torch.logit(wide * _rows(1 - 2 * rim, wide) + _rows(rim, wide), eps=EDGE)
    m = _to(matrices, logit)
    mixed = torch.baddbmm(m[:, :3, 3:], m[:, :3, :3], logit.flatten(2)).view_as(logit).sigmoid_()
    return mixed.sub_(_rows(rim, wide)).div_(_rows(1 - 2 * rim, wide)).clamp_(0, 1).to(x.dtype)


def mixing(matrices: Matrices, channels: int) -> npt.NDArray[np.bool_]:
    """Say of each picture whether a channel's new value depends on the other channels: [n]."""
    return _mixed_rows(matrices) & (channels == 3)


def light_levels(levels: FloatArray, matrices: Matrices) -> FloatArray:
    """Return what levels [n,k] or [1,k] in 0..1 become under `matrices` [n,4,4] that do not mix."""
    if np.allclose(matrices, np.eye(4), rtol=0, atol=1e-12):
        return levels
    gain, shift = _plain(matrices)
    inside = np.clip(levels, EDGE, 1 - EDGE)
    logit = np.log(inside / (1 - inside)) * gain[:, None] + shift[:, None]
    return np.asarray(1 / (1 + np.exp(-logit)))


def _plain(matrices: Matrices) -> tuple[FloatArray, FloatArray]:
    """Return gain and shift [n] of matrices that treat all channels alike."""
    return matrices[:, 0, :3].sum(-1), matrices[:, 0, 3]


def _mixed_rows(matrices: Matrices) -> npt.NDArray[np.bool_]:
    """Say of each matrix whether it mixes channels: [n]."""
    gain, _ = _plain(matrices)
    off = np.abs(matrices[:, :3, :3] - gain[:, None, None] * np.eye(3)).max((1, 2))
    return np.asarray(off > 1e-12)


def turn_hue(x: Tensor, turns: npt.ArrayLike) -> Tensor:
    """Turn the hue of pictures [n,3,h,w] (floats in 0..1) by `turns` [n] of the colour circle.

    Value and saturation (of HSV) stay. 1/3 takes red to green. Pictures without three channels have
    no hue and come back as they are.
    """
    _check_floats(x)
    shift = _per_picture(turns)
    if x.shape[1] != 3 or np.all(shift % 1 == 0):
        return x
    r, g, b = x.unbind(1)
    top, low = x.amax(1), x.amin(1)
    chroma = top - low
    unit = torch.where(chroma > 0, chroma, 1.0)
    sector = torch.where(
        top == r,
        (g - b) / unit,
        torch.where(top == g, 2 + (b - r) / unit, 4 + (r - g) / unit),
    )
    sector = sector + _to(6 * shift, x)[:, None, None]
    # Each channel is the top value, less the chroma by how far its own hue is away; the offsets
    # 5, 3, 1 are those of r, g, b (Wikipedia, "HSL and HSV", alternative HSV to RGB).
    offsets = _to(np.array([5.0, 3.0, 1.0]), x)[:, None, None]
    away = (sector[:, None] + offsets) % 6
    return top[:, None] - chroma[:, None] * torch.minimum(away, 4 - away).clamp(0, 1)


def _rows(values: FloatArray, like: Tensor) -> Tensor:
    """Return one number per picture [n] in a shape that meets [n,c,h,w]."""
    return _to(values, like)[:, None, None, None]


def _to(values: npt.NDArray[Any], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.dtype).to(like.device, non_blocking=True)


def _check_floats(x: Tensor) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise TypeError(
            "Colour changes take a batch [n,c,h,w] of floats in 0..1, but got "
            f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}. Put IntToFloatTensor() before."
        )


def brightness_levels(
    rng: Draws,
    *,
    max_lighting: float = 0.2,
    p: float = 0.75,
    draw: Draw | None = None,
    batch: bool = False,
    hw: tuple[int, int] = (1, 1),
) -> FloatArray:
    """Draw levels [n] evenly from 0.5 * (1 -+ max_lighting)."""
    low, high = 0.5 * (1 - max_lighting), 0.5 * (1 + max_lighting)
    return parameter(
        rng, lambda r: r.uniform(low, high), draw=draw, p=p, neutral=0.5, batch=batch, hw=hw
    )


def light_factors(
    rng: Draws,
    *,
    max_lighting: float = 0.2,
    p: float = 0.75,
    draw: Draw | None = None,
    neutral: float = 1.0,
    batch: bool = False,
    hw: tuple[int, int] = (1, 1),
) -> FloatArray:
    """Draw factors [n] from (1-max_lighting) .. 1/(1-max_lighting), evenly in the logarithm."""
    reach = -np.log(1 - max_lighting)
    return parameter(
        rng,
        lambda r: np.exp(r.uniform(-reach, reach)),
        draw=draw,
        p=p,
        neutral=neutral,
        batch=batch,
        hw=hw,
    )
