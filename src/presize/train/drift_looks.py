"""How pictures look, in a dozen numbers each: light, colour, detail, noise, which way is up."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_COARSE = 64  # pixels: light and colour are measured on a picture made this small, up to twice it
_WINDOW = 128  # pixels: detail and noise are measured in the middle of a picture, unscaled
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_DARK, _LIGHT = 0.08, 0.92
_MOST_POWER = 300  # that a float can hold; a file may say anything
_LEAST = 2e-3  # differences below half a level of 8 bits are rounding


@dataclass(frozen=True, slots=True)
class Look:
    """One number that says how a picture looks, and how to speak of it.

    Args:
        name: of the number.
        less: what pictures are that have less of it: "darker".
        more: what those are that have more.
        told: what is measured, for a sentence: "mean brightness".
        step: the smallest difference that can be seen.
        shown: turns it into the figure that is printed.
        colour: it needs three channels.
    """

    name: str
    less: str
    more: str
    told: str
    step: float
    shown: Callable[[float], float] = float
    colour: bool = False


def _times(value: float) -> float:
    return math.exp2(min(value, _MOST_POWER))


def _of_noise(value: float) -> float:
    return max(0.0, math.pow(10, min(value, _MOST_POWER)) - _LEAST)


LOOKS = (
    Look("brightness", "darker", "brighter", "mean brightness", 0.02),
    Look("contrast", "flatter", "richer in contrast", "contrast", 0.01),
    Look("dark share", "fewer black parts", "more black parts", "share of black", 0.02),
    Look("light share", "fewer white parts", "more white parts", "share of white", 0.02),
    Look("above", "lighter below", "lighter above", "upper less lower half", 0.02),
    Look("middle", "darker in the middle", "lighter in the middle", "middle less all", 0.02),
    Look("sharpness", "blurred", "sharper", "fine to coarse detail", 0.05, _times),
    Look("noise", "smoother", "noisier", "noise", 0.05, _of_noise),
    Look("edges", "more level edges", "more upright edges", "upright to level", 0.05, _times),
    Look("saturation", "paler", "more colourful", "saturation", 0.015, colour=True),
    Look("red", "greener", "redder", "red less green", 0.01, colour=True),
    Look("blue", "yellower", "bluer", "blue less yellow", 0.01, colour=True),
)  # fmt: skip


def looks_for(channels: int) -> tuple[Look, ...]:
    """Return what is measured of pictures with so many channels."""
    return tuple(look for look in LOOKS if channels == 3 or not look.colour)


def measure_looks(inputs: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return how pictures look, on their device, which is not waited for: float32 [n, k].

    Args:
        inputs: pictures as a model sees them, float [n, channels, h, w].
        mean: what was subtracted from each channel, float32 [channels].
        std: what it was divided by after that, float32 [channels].
    """
    x = inputs.detach().float()
    mean, std = mean[:, None, None], std[:, None, None]
    height, width = x.shape[2:]
    by = max(1, min(height, width) // _COARSE)
    small = (F.avg_pool2d(x, by) if by > 1 else x) * std + mean
    found = _light(_grey(small))
    top, left = max(0, (height - _WINDOW) // 2), max(0, (width - _WINDOW) // 2)
    window = x[:, :, top : top + _WINDOW, left : left + _WINDOW]
    found += _detail(_grey(window * std + mean))
    if x.shape[1] == 3:
        found += _colours(small)
    return torch.stack(found, 1)


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1)
    red, green, blue = x.unbind(1)
    return red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]


def _light(y: Tensor) -> list[Tensor]:
    height, width = y.shape[1:]
    half = max(1, height // 2)
    rim_h, rim_w = height // 4, width // 4
    mean = y.mean((1, 2))
    return [
        mean,
        (y - mean[:, None, None]).square().mean((1, 2)).sqrt(),
        (y < _DARK).float().mean((1, 2)),
        (y > _LIGHT).float().mean((1, 2)),
        y[:, :half].mean((1, 2)) - y[:, -half:].mean((1, 2)),
        y[:, rim_h : height - rim_h, rim_w : width - rim_w].mean((1, 2)) - mean,
    ]


def _detail(y: Tensor) -> list[Tensor]:
    """Return sharpness, noise and direction of edges; 0 for what a tiny picture does not have.

    Sharpness compares differences between neighbours with those at half the size, so that contrast
    and subject hardly matter. Noise is what the second differences along both axes leave over
    (Immerkær, "Fast noise variance estimation", 1996), on a scale of tens.
    """
    if min(y.shape[1:]) < 4:
        return [y.new_zeros(len(y))] * 3
    across, down = _steps(y)
    half = F.avg_pool2d(y[:, None], 2)[:, 0]
    coarse_across, coarse_down = _steps(half)
    second = y[:, :, 2:] - 2 * y[:, :, 1:-1] + y[:, :, :-2]
    second = second[:, 2:] - 2 * second[:, 1:-1] + second[:, :-2]
    noise = second.abs().mean((1, 2)) * (math.sqrt(math.pi / 2) / 6)
    return [
        torch.log2((across + down + _LEAST) / (coarse_across + coarse_down + _LEAST)),
        torch.log10(noise + _LEAST),
        torch.log2((coarse_across + _LEAST) / (coarse_down + _LEAST)),
    ]


def _steps(y: Tensor) -> tuple[Tensor, Tensor]:
    across = (y[:, :, 1:] - y[:, :, :-1]).abs().mean((1, 2))
    return across, (y[:, 1:] - y[:, :-1]).abs().mean((1, 2))


def _colours(x: Tensor) -> list[Tensor]:
    means = x.mean((2, 3))
    return [
        (x.amax(1) - x.amin(1)).mean((1, 2)),
        means[:, 0] - means[:, 1],
        means[:, 2] - (means[:, 0] + means[:, 1]) / 2,
    ]
