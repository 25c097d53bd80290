"""Moves the pixels of one picture on the CPU: from its bytes straight to the final size.

OpenCV reads the places that a map names. Where the map shrinks the picture, whole blocks of pixels
are averaged first, so that nothing flickers or goes lost between the places that are read.
"""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from presize.core.homography import HW
from presize.core.sampling import REACH, Mode, PadMode
from presize.render.levels import Levels, MixedLevels

Bytes = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

# Where one reading does not do, blocks are averaged that leave about this much for the reading.
# PSNR to the exact area mean on two photos (benchmarks/antialias.py), one reading against that
# rule: 31.0 -> 34.9 dB at 2.7, 26.4 -> 35.0 at 5.3; leaving 1.2 comes out the same.
BLOCK_LEAVES = 1.5


@functools.cache
def _cv2() -> Any:
    import cv2

    return cv2


def warp(
    pixels: Bytes,
    matrix: Matrix,
    size: HW,
    *,
    mode: Mode = "bilinear",
    pad_mode: PadMode = "reflection",
) -> Bytes:
    """Return the picture of `size` whose pixels are found where `matrix` says: uint8 [H,W,c].

    Args:
        pixels: uint8 [h,w,c].
        matrix: [3,3], from pixel numbers (x, y, 1) of the result to those of `pixels`; (0, 0) is
            the centre of the first pixel.
        size: (height, width) of the result.
        mode: how a place between pixels is read.
        pad_mode: what lies outside the picture.
    """
    if pixels.shape[:2] == size and np.allclose(matrix, np.eye(3), rtol=0, atol=1e-9):
        return pixels
    cv2 = _cv2()
    if mode != "nearest":
        pixels, matrix = _shrunk(pixels, matrix, size)
    border = {
        "reflection": cv2.BORDER_REFLECT,
        "border": cv2.BORDER_REPLICATE,
        "zeros": cv2.BORDER_CONSTANT,
    }
    way = {
        "bilinear": cv2.INTER_LINEAR,
        "nearest": cv2.INTER_NEAREST,
        "bicubic": cv2.INTER_CUBIC,
    }
    made: Bytes = cv2.warpPerspective(
        pixels,
        matrix,
        (size[1], size[0]),
        flags=way[mode] | cv2.WARP_INVERSE_MAP,
        borderMode=border[pad_mode],
    )
    return made.reshape(*size, -1)


def steps(matrix: Matrix, size: HW) -> tuple[float, float]:
    """Return how many pixels of the source, down and across, one step in the result covers.

    The least over its four corners and its middle, where a picture that is tilted has the most
    detail.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    last_x, last_y = size[1] - 1, size[0] - 1
    down = across = math.inf
    for x, y in ((0, 0), (last_x, 0), (0, last_y), (last_x, last_y), (last_x / 2, last_y / 2)):
        z = g * x + h * y + i
        u, v = (a * x + b * y + c) / z, (d * x + e * y + f) / z
        across = min(across, math.hypot(a - u * g, b - u * h) / abs(z))
        down = min(down, math.hypot(d - v * g, e - v * h) / abs(z))
    return down, across


def _shrunk(pixels: Bytes, matrix: Matrix, size: HW) -> tuple[Bytes, Matrix]:
    """Average blocks of pixels where the map shrinks much; return the rest and the map into it."""
    blocks = [1 if s <= REACH else max(1, round(s / BLOCK_LEAVES)) for s in steps(matrix, size)]
    if blocks == [1, 1]:
        return pixels, matrix
    spans = [
        _span(low, high, n, block)
        for (low, high), n, block in zip(_reach(matrix, size), pixels.shape, blocks, strict=False)
    ]
    (top, height, rows), (left, width, columns) = spans
    cut = pixels[top : top + height, left : left + width]
    cv2 = _cv2()
    small = cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA)
    down, across = rows / height, columns / width
    to_small = np.array(
        [
            [across, 0, (0.5 - left) * across - 0.5],
            [0, down, (0.5 - top) * down - 0.5],
            [0, 0, 1],
        ]
    )
    return small.reshape(rows, columns, -1), to_small @ matrix


def _reach(matrix: Matrix, size: HW) -> list[tuple[float, float]]:
    """Return the rows and the columns of the source between which all places lie."""
    right, bottom = size[1] - 1, size[0] - 1
    corners = matrix @ np.array([[0, right, 0, right], [0, 0, bottom, bottom], [1, 1, 1, 1.0]])
    x, y = corners[0] / corners[2], corners[1] / corners[2]
    return [(float(y.min()), float(y.max())), (float(x.min()), float(x.max()))]


def _span(low: float, high: float, n: int, block: int) -> tuple[int, int, int]:
    """Return start and length of the pixels that are needed, in whole blocks, and their number.

    Where places lie outside the picture, and it is mirrored there, all of it is needed.
    """
    start = math.floor(low) - 2 * block
    count = math.ceil((math.ceil(high) + 2 * block - start) / block)
    if start >= 0 and start + count * block <= n:
        return start, count * block, count
    return 0, n, max(1, round(n / block))


def write(pixels: Bytes, levels: Levels | None, out: npt.NDArray[Any]) -> None:
    """Write a picture, channel by channel, into its slot of a batch.

    Args:
        pixels: uint8 [h,w,c].
        levels: what each level becomes; None writes the levels.
        out: [c,h,w], float32 where levels become something, else uint8; C-contiguous.
    """
    if isinstance(levels, MixedLevels):
        levels.write(pixels, out)
        return
    cv2 = _cv2()
    channels = cv2.split(pixels)
    for c, channel in enumerate(channels):
        if levels is None:
            out[c] = channel
        else:
            # 0.05 ms for 3 x 224 x 224; NumPy's take needs 0.11.
            cv2.LUT(channel, levels[c], dst=out[c])


def averaged(pixels: Bytes, times: int) -> Bytes:
    """Return a picture with blocks of `times` x `times` pixels averaged: uint8 [h,w,c].

    At the lower and right edge the last pixels count for those that a block lacks.
    """
    cv2 = _cv2()
    lacking = [-side % times for side in pixels.shape[:2]]
    if any(lacking):
        pixels = cv2.copyMakeBorder(pixels, 0, lacking[0], 0, lacking[1], cv2.BORDER_REPLICATE)
    height, width = (side // times for side in pixels.shape[:2])
    small: Bytes = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width, -1)
