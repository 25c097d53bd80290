"""Random maps: the drawn parameters of flips, turns, zooms, warps and crops, made into matrices.

Each function returns one map per picture, in the frame of a picture of `hw` pixels (see
`presize.core.homography`). `rng` is the operation's own draws; `draw`, `p` and `batch` are those of
`presize.core.parameters.parameter`.
"""

import numpy as np

from presize.core import homography
from presize.core.homography import HW, Maps
from presize.core.parameters import Draw, parameter
from presize.core.randomness import Draws, FloatArray


def _ones(rng: Draws) -> FloatArray:
    return np.ones(rng.n)


def flip_maps(
    rng: Draws, hw: HW, *, p: float = 0.5, draw: Draw | None = None, batch: bool = False
) -> Maps:
    """Mirror left and right where the number drawn (1 by default) is above 0.5."""
    return homography.flip(parameter(rng, _ones, draw=draw, p=p, batch=batch, hw=hw) > 0.5)


def dihedral_maps(
    rng: Draws, hw: HW, *, p: float = 0.5, draw: Draw | None = None, batch: bool = False
) -> Maps:
    """Apply one of the eight symmetries of the square, 0..7, all equally likely."""
    kind = parameter(
        rng, lambda r: r.integers(8).astype(np.float64), draw=draw, p=p, batch=batch, hw=hw
    )
    return homography.dihedral(kind)


def rotate_maps(
    rng: Draws,
    hw: HW,
    *,
    max_deg: float = 10.0,
    p: float = 0.5,
    draw: Draw | None = None,
    batch: bool = False,
) -> Maps:
    """Turn clockwise by degrees drawn from -max_deg..max_deg."""
    degrees = parameter(
        rng, lambda r: r.uniform(-max_deg, max_deg), draw=draw, p=p, batch=batch, hw=hw
    )
    return homography.rotate(degrees)


def zoom_maps(
    rng: Draws,
    hw: HW,
    *,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    p: float = 0.5,
    draw: Draw | None = None,
    draw_x: Draw | None = None,
    draw_y: Draw | None = None,
    batch: bool = False,
) -> Maps:
    """Zoom by a factor drawn from min_zoom..max_zoom about a point drawn over the whole picture."""
    scale = parameter(
        rng,
        lambda r: r.uniform(min_zoom, max_zoom),
        draw=draw,
        p=p,
        neutral=1.0,
        batch=batch,
        hw=hw,
    )
    col = parameter(rng, lambda r: r.uniform(), draw=draw_x, batch=batch, hw=hw)
    row = parameter(rng, lambda r: r.uniform(), draw=draw_y, batch=batch, hw=hw)
    return homography.zoom(scale, col, row, hw)


def warp_maps(
    rng: Draws,
    hw: HW,
    *,
    magnitude: float = 0.2,
    p: float = 0.5,
    draw_x: Draw | None = None,
    draw_y: Draw | None = None,
    batch: bool = False,
) -> Maps:
    """Warp along x and along y, each with its own chance `p` and number -magnitude..magnitude."""
    x, y = (
        parameter(
            rng, lambda r: r.uniform(-magnitude, magnitude), draw=draw, p=p, batch=batch, hw=hw
        )
        for draw in (draw_x, draw_y)
    )
    return homography.warp(x, y, hw)


def random_boxes(
    rng: Draws,
    hw: HW,
    *,
    min_scale: float,
    max_scale: float,
    ratio: tuple[float, float],
    attempts: int = 10,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return boxes inside pictures of `hw` pixels: top, left, height, width, each [n].

    The area is drawn from min_scale..max_scale of the picture's, width over height from `ratio`
    (evenly in its logarithm). A box that does not fit is drawn again; after `attempts` it is the
    largest centred one whose aspect lies in `ratio`.
    """
    down, across = rng.uniform(), rng.uniform()
    top, left, height, width = centred_box(hw, ratio)
    heights, widths = np.full(rng.n, height), np.full(rng.n, width)
    tops, lefts = np.full(rng.n, top), np.full(rng.n, left)
    missing = np.ones(rng.n, dtype=bool)
    for _ in range(attempts):
        area = rng.uniform(min_scale, max_scale) * hw[0] * hw[1]
        aspect = np.exp(rng.uniform(np.log(ratio[0]), np.log(ratio[1])))
        h, w = np.sqrt(area / aspect), np.sqrt(area * aspect)
        fits = missing & (h <= hw[0]) & (w <= hw[1])
        heights, widths = np.where(fits, h, heights), np.where(fits, w, widths)
        tops, lefts = (
            np.where(fits, down * (hw[0] - h), tops),
            np.where(fits, across * (hw[1] - w), lefts),
        )
        missing &= ~fits
    return tops, lefts, heights, widths


def centred_box(
    hw: HW, ratio: tuple[float, float], scale: float = 1.0
) -> tuple[float, float, float, float]:
    """Return the largest centred box whose width over height lies in `ratio`, times `scale`.

    As (top, left, height, width) in pixels; `scale` is of each side.
    """
    h, w = float(hw[0]), float(hw[1])
    if w / h < ratio[0]:
        h = w / ratio[0]
    elif w / h > ratio[1]:
        w = h * ratio[1]
    h, w = h * scale, w * scale
    return (hw[0] - h) / 2, (hw[1] - w) / 2, h, w
