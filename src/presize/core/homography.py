"""Maps of the plane as 3x3 matrices: what happens to a picture, before any pixel moves.

Every map goes from the output to the input: for a point of the new picture it says where in the
old one its colour is found. So `compose(a, b)` is "first do a to the picture, then b", and its
matrix is a @ b.

Points are (x, y, 1), x to the right and y down, in the frame of a picture: 0 in its middle, the
edges of the *shorter* side at -1 and 1, the same unit along both sides. In a 300 x 400 picture x
goes from -4/3 to 4/3, so a rotation is a rotation and needs no correction for the aspect.
-1 and 1 are the outer edges of the outer pixels (half-pixel centres; `align_corners=False`).

Maps are tiny and are made on the CPU: NumPy float64 [n,3,3], one per picture.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Maps = npt.NDArray[np.float64]
HW = tuple[int, int]


def half_sides(hw: HW) -> tuple[float, float]:
    """Return half the height and half the width of a picture in its own frame."""
    shorter = min(hw)
    return hw[0] / shorter, hw[1] / shorter


def _stack(rows: list[list[Any]]) -> Maps:
    """Build [n,3,3] from nine numbers or [n] arrays."""
    flat = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for row in rows for v in row))
    return np.stack([np.atleast_1d(v) for v in flat], axis=-1).reshape(-1, 3, 3)


def identity(n: int) -> Maps:
    """Return `n` maps that change nothing."""
    return np.tile(np.eye(3), (n, 1, 1))


def compose(*maps: Maps) -> Maps:
    """Return the maps that do `maps` to a picture one after the other, the first one first."""
    product = maps[0]
    for following in maps[1:]:
        product = product @ following
    return product


def where(mask: npt.NDArray[np.bool_], maps: Maps, otherwise: Maps | None = None) -> Maps:
    """Take a row of `maps` where `mask` [n] holds, elsewhere of `otherwise` (default: identity)."""
    return np.where(mask[:, None, None], maps, np.eye(3) if otherwise is None else otherwise)


def is_identity(maps: Maps) -> bool:
    """Say whether none of the maps moves a point by more than float64 rounding."""
    return bool(np.allclose(maps, maps[:, 2:, 2:] * np.eye(3), rtol=0, atol=1e-12))


def flip(mask: npt.ArrayLike) -> Maps:
    """Mirror left and right where `mask` [n] holds."""
    return _stack([[np.where(mask, -1.0, 1.0), 0, 0], [0, 1, 0], [0, 0, 1]])


# Row k: the first two rows of the matrix of symmetry k of the square.
_DIHEDRAL = np.array(
    [
        [1, 0, 0, 1],
        [-1, 0, 0, 1],
        [1, 0, 0, -1],
        [0, -1, 1, 0],
        [-1, 0, 0, -1],
        [0, 1, -1, 0],
        [0, 1, 1, 0],
        [0, -1, -1, 0],
    ],
    dtype=np.float64,
)


def dihedral(k: npt.ArrayLike) -> Maps:
    """Apply symmetry `k` [n] of the square: k-1 is Pillow's number for it, 0 changes nothing.

    1 mirrors left and right, 2 top and bottom, 3, 4 and 5 turn left by 90, 180 and 270 degrees,
    6 and 7 mirror at the two diagonals.
    """
    m = _DIHEDRAL[np.atleast_1d(np.asarray(k)).astype(np.int64) % 8]
    return _stack([[m[:, 0], m[:, 1], 0], [m[:, 2], m[:, 3], 0], [0, 0, 1]])


def rotate(degrees: npt.ArrayLike) -> Maps:
    """Turn the picture clockwise about its middle by `degrees` [n]."""
    angle = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    c, s = np.cos(angle), np.sin(angle)
    return _stack([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def zoom(
    scale: npt.ArrayLike, col_pct: npt.ArrayLike, row_pct: npt.ArrayLike, hw: HW = (1, 1)
) -> Maps:
    """Zoom in by `scale` [n] (above 1: larger things) about a point that stays where it is.

    `col_pct` and `row_pct` [n] place that point, 0..1 from the left and from the top of a picture
    of `hw` pixels.
    """
    step = 1 / np.asarray(scale, dtype=np.float64)
    half_height, half_width = half_sides(hw)
    x = (1 - step) * (2 * np.asarray(col_pct) - 1) * half_width
    y = (1 - step) * (2 * np.asarray(row_pct) - 1) * half_height
    return _stack([[step, 0, x], [0, step, y], [0, 0, 1]])


def warp(magnitude_x: npt.ArrayLike, magnitude_y: npt.ArrayLike, hw: HW = (1, 1)) -> Maps:
    """Tilt the picture, as if the camera had stood elsewhere; its sides stay straight.

    In units of half a side, with v = `magnitude_x` and u = `magnitude_y` [n] the corners move to

        (-1-u, -1-v)    (1+u, -1+v)
        (-1+u,  1+v)    (1-u,  1-v)

    so a positive u widens the top and narrows the bottom, and a positive v makes the left side
    taller and the right side shorter. At |u| + |v| = 1 the four corners are no quadrangle any more.

    The four corners fix eight of nine numbers of the matrix, commonly by solving an 8x8 system.
    Here it has a closed form. A map that takes the displaced corners to (+-1, +-1) is sought as
    [[k,c,a],[c,k,b],[a,b,k]]; putting the corners in gives k = 1-u2-v2, c = 2uv,
    a = -v(1+u2-v2), b = -u(1-u2+v2), where u2 = u*u and v2 = v*v.
    """
    v, u = np.asarray(magnitude_x, dtype=np.float64), np.asarray(magnitude_y, dtype=np.float64)
    k, c = 1 - u * u - v * v, 2 * u * v
    a, b = -v * (1 + u * u - v * v), -u * (1 - u * u + v * v)
    return from_sides(_stack([[k, c, a], [c, k, b], [a, b, k]]), hw)


def crop_box(
    top: npt.ArrayLike,
    left: npt.ArrayLike,
    height: npt.ArrayLike,
    width: npt.ArrayLike,
    *,
    hw: HW,
    size: HW,
) -> Maps:
    """Cut boxes out of pictures of `hw` pixels and stretch each to `size`.

    The box is given in pixels of the input [n], whole or not; it may reach outside the picture.
    The map goes from the frame of `size` to the frame of `hw`.
    """
    unit = 2 / min(hw)  # one pixel of the input, in its frame
    half_height, half_width = half_sides(size)
    tops, lefts, heights, widths = (
        np.asarray(v, dtype=np.float64) for v in (top, left, height, width)
    )
    x = (lefts + widths / 2 - hw[1] / 2) * unit
    y = (tops + heights / 2 - hw[0] / 2) * unit
    step_x, step_y = widths * unit / (2 * half_width), heights * unit / (2 * half_height)
    return _stack([[step_x, 0, x], [0, step_y, y], [0, 0, 1]])


def resize(n: int, hw: HW, size: HW) -> Maps:
    """Stretch `n` whole pictures of `hw` pixels to `size`, whatever their aspect."""
    return np.tile(crop_box(0, 0, hw[0], hw[1], hw=hw, size=size), (n, 1, 1))


def _to_sides(hw: HW) -> Maps:
    """Return the matrix from the frame of a picture to coordinates that run -1..1 on both sides."""
    half_height, half_width = half_sides(hw)
    return np.diag([1 / half_width, 1 / half_height, 1.0])


def from_sides(maps: Maps, hw: HW, size: HW | None = None) -> Maps:
    """Turn maps of coordinates that run -1..1 on both sides into maps of frames.

    `hw` is the picture that they read, `size` the one that they make (default: the same).
    """
    return np.linalg.inv(_to_sides(hw)) @ maps @ _to_sides(size or hw)


def to_sides(maps: Maps, hw: HW, size: HW | None = None) -> Maps:
    """Turn maps of frames into maps of coordinates that run -1..1 on both sides of each picture."""
    return _to_sides(hw) @ maps @ np.linalg.inv(_to_sides(size or hw))


def to_pixels(maps: Maps, hw: HW, size: HW | None = None) -> Maps:
    """Turn maps of frames into maps of pixel numbers: (0, 0) is the centre of the first pixel.

    This is what `cv2.warpPerspective` takes with `WARP_INVERSE_MAP`.
    """

    def number(of: HW) -> Maps:
        scale = min(of) / 2
        return np.array([[scale, 0, (of[1] - 1) / 2], [0, scale, (of[0] - 1) / 2], [0, 0, 1.0]])

    return number(hw) @ maps @ np.linalg.inv(number(size or hw))


def shrinkage(maps: Maps, hw: HW, size: HW) -> tuple[Maps, Maps]:
    """Return how many input pixels one step down and one to the right cover: two arrays [n].

    Taken in the middle of the output. 1 keeps the resolution, 2 halves it.
    """
    m = to_pixels(maps, hw, size)
    middle = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2, 1.0])
    x, y, z = np.moveaxis(m @ middle, -1, 0)
    # d(x/z) = (dx - x/z * dz) / z, where the derivatives of x, y, z are columns of m.
    step = (m[:, :2, :2] - np.stack([x, y], -1)[:, :, None] / z[:, None, None] * m[:, 2:, :2]) / (
        z[:, None, None]
    )
    lengths = np.linalg.norm(step, axis=1)
    return lengths[:, 1], lengths[:, 0]


def move_points(points: Tensor, maps: Maps, hw: HW, size: HW | None = None) -> Tensor:
    """Move points [n,k,2] along with their pictures.

    Points are (x, y), -1..1 from edge to edge of the picture, before and after.
    """
    back = np.linalg.inv(to_sides(maps, hw, size))
    exact = torch.float32 if points.device.type == "mps" else torch.float64
    matrix = torch.from_numpy(back).to(exact).to(points.device, non_blocking=True)
    wide = points.to(exact)
    moved = wide @ matrix[:, :2, :2].mT + matrix[:, None, :2, 2]
    depth = wide @ matrix[:, 2:, :2].mT + matrix[:, None, 2:, 2]
    return (moved / depth).to(points.dtype if points.is_floating_point() else torch.float32)


def move_boxes(boxes: Tensor, maps: Maps, hw: HW, size: HW | None = None) -> Tensor:
    """Move boxes [n,k,4] (left, top, right, bottom): the upright boxes of the moved corners."""
    corners = boxes[..., [0, 1, 2, 1, 0, 3, 2, 3]].reshape(boxes.shape[0], -1, 2)
    moved = move_points(corners, maps, hw, size).reshape(*boxes.shape[:2], 4, 2)
    return torch.cat([moved.amin(2), moved.amax(2)], dim=-1)
