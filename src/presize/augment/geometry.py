"""Movements of a batch of pictures: flips, turns, zooms, warps and crops, drawn per picture.

Each works alone on a TensorImage, an item [c,h,w] or a batch [n,c,h,w], or on a tuple with masks,
points and boxes, which move along; and each fuses with its neighbours (`presize.augment.fused`).

Shared by all of them:
    p: the chance for each picture.
    draw: the number to use in place of a random one: one for all pictures, a list with one for
        each, or a function; see `presize.core.parameters`.
    size: the size of the result, also in validation; another aspect stretches the picture.
    mode, pad_mode: how pixels are read, and what lies outside; see `AffineCoordTfm`.
    batch: treat all pictures of a batch alike.
"""

import numpy as np

from presize.augment.fused import AffineCoordTfm as AffineCoordTfm
from presize.core.homography import HW, Maps, crop_box
from presize.core.parameters import Draw, check_chance
from presize.core.random_maps import (
    centred_box,
    dihedral_maps,
    flip_maps,
    random_boxes,
    rotate_maps,
    warp_maps,
    zoom_maps,
)
from presize.core.sampling import Mode, PadMode
from presize.core.types import Size
from presize.core.types import hw as height_width

_SHARED = ("p", "size", "mode", "pad_mode", "batch")


class Flip(AffineCoordTfm):
    """Mirror left and right. `draw` is 0 or 1."""

    arguments = (*_SHARED, "draw")
    shown_attributes = ("p", "size")

    def __init__(
        self,
        p: float = 0.5,
        draw: Draw | None = None,
        *,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
        batch: bool = False,
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode)
        check_chance(p)
        self.p, self.draw, self.batch = p, draw, batch

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3]."""
        return flip_maps(self.rng(n), hw, p=self.p, draw=self.draw, batch=self.batch)


class Dihedral(AffineCoordTfm):
    """Apply one of the eight symmetries of the square. `draw` is 0..7; see `core.homography`."""

    arguments = (*_SHARED, "draw")
    shown_attributes = ("p", "size")

    def __init__(
        self,
        p: float = 0.5,
        draw: Draw | None = None,
        *,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
        batch: bool = False,
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode)
        check_chance(p)
        self.p, self.draw, self.batch = p, draw, batch

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3]."""
        return dihedral_maps(self.rng(n), hw, p=self.p, draw=self.draw, batch=self.batch)


class Rotate(AffineCoordTfm):
    """Turn the picture clockwise, by degrees drawn from -max_deg..max_deg."""

    arguments = ("max_deg", *_SHARED, "draw")
    shown_attributes = ("max_deg", "p", "size")

    def __init__(
        self,
        max_deg: float = 10.0,
        p: float = 0.5,
        draw: Draw | None = None,
        *,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
        batch: bool = False,
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode)
        check_chance(p)
        if max_deg < 0:
            raise ValueError(f"Rotate: max_deg must be >= 0, got {max_deg!r}.")
        self.max_deg, self.p, self.draw, self.batch = float(max_deg), p, draw, batch

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3]."""
        return rotate_maps(
            self.rng(n), hw, max_deg=self.max_deg, p=self.p, draw=self.draw, batch=self.batch
        )


class Zoom(AffineCoordTfm):
    """Zoom in by a factor drawn from min_zoom..max_zoom, about a point anywhere in the picture.

    Args:
        min_zoom: the least factor, above 0; below 1 zooms out.
        max_zoom: the greatest factor.
        p: the chance for each picture.
        draw: the factor.
        draw_x: the point that stays in place, 0..1 from the left.
        draw_y: the same, from the top.
        size: the size of the result.
        mode: how pixels are read.
        pad_mode: what lies outside.
        batch: treat all pictures alike.
    """

    arguments = ("min_zoom", "max_zoom", *_SHARED, "draw", "draw_x", "draw_y")
    shown_attributes = ("min_zoom", "max_zoom", "p", "size")

    def __init__(
        self,
        min_zoom: float = 1.0,
        max_zoom: float = 1.1,
        p: float = 0.5,
        draw: Draw | None = None,
        *,
        draw_x: Draw | None = None,
        draw_y: Draw | None = None,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
        batch: bool = False,
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode)
        check_chance(p)
        if not 0 < min_zoom <= max_zoom:
            raise ValueError(
                "Zoom: factors must be 0 < min_zoom <= max_zoom, got "
                f"min_zoom={min_zoom!r} and max_zoom={max_zoom!r}."
            )
        self.min_zoom, self.max_zoom = float(min_zoom), float(max_zoom)
        self.p, self.draw, self.batch = p, draw, batch
        self.draw_x, self.draw_y = draw_x, draw_y

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3]."""
        return zoom_maps(
            self.rng(n),
            hw,
            min_zoom=self.min_zoom,
            max_zoom=self.max_zoom,
            p=self.p,
            draw=self.draw,
            draw_x=self.draw_x,
            draw_y=self.draw_y,
            batch=self.batch,
        )


class Warp(AffineCoordTfm):
    """Tilt the plane of the picture; `core.homography.warp` says where its corners go.

    Args:
        magnitude: the greatest movement of a corner, as a share of half a side, 0..1. Along x and
            along y it is drawn apart, each with chance `p`, from -magnitude..magnitude.
        p: the chance for each picture and direction.
        draw_x: the movement with which left and right differ.
        draw_y: the movement with which top and bottom differ.
        size: the size of the result.
        mode: how pixels are read.
        pad_mode: what lies outside.
        batch: treat all pictures alike.
    """

    arguments = ("magnitude", *_SHARED, "draw_x", "draw_y")
    shown_attributes = ("magnitude", "p", "size")

    def __init__(
        self,
        magnitude: float = 0.2,
        p: float = 0.5,
        draw_x: Draw | None = None,
        draw_y: Draw | None = None,
        *,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
        batch: bool = False,
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode)
        check_chance(p)
        if not 0 <= magnitude < 1:
            raise ValueError(
                f"Warp: magnitude must be in 0..1, below 1 (0.2 is usual), got {magnitude!r}."
            )
        self.magnitude, self.p, self.batch = float(magnitude), p, batch
        self.draw_x, self.draw_y = draw_x, draw_y

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3]."""
        return warp_maps(
            self.rng(n),
            hw,
            magnitude=self.magnitude,
            p=self.p,
            draw_x=self.draw_x,
            draw_y=self.draw_y,
            batch=self.batch,
        )


class RandomResizedCropGPU(AffineCoordTfm):
    """Cut a random box out of each picture and stretch it to `size`, for a whole batch at once.

    In validation: the largest centred box whose aspect lies in `ratio`.

    Args:
        size: the size of the result.
        min_scale: the least area of a box, as a share of the picture's.
        ratio: the range of width over height, drawn evenly in its logarithm.
        mode: how pixels are read.
        valid_scale: the share of each side that the box of validation takes.
        max_scale: the greatest area of a box.
        mode_mask: how masks are read.
        pad_mode: what lies outside, where this is fused with other movements.

    Raises:
        ValueError: scales or ratios that are not rising, or not in 0..1.
    """

    arguments = (
        *("size", "min_scale", "ratio", "mode", "valid_scale", "max_scale"),
        *("mode_mask", "pad_mode"),
    )
    shown_attributes = ("size", "min_scale", "ratio")

    def __init__(
        self,
        size: Size,
        min_scale: float = 0.08,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        *,
        mode: Mode = "bilinear",
        valid_scale: float = 1.0,
        max_scale: float = 1.0,
        mode_mask: Mode = "nearest",
        pad_mode: PadMode = "reflection",
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode, mode_mask=mode_mask)
        if not 0 < min_scale <= max_scale <= 1:
            raise ValueError(
                "RandomResizedCropGPU: areas must be 0 < min_scale <= max_scale <= 1, got "
                f"min_scale={min_scale!r} and max_scale={max_scale!r}."
            )
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(
                "RandomResizedCropGPU: ratio is (least, greatest) of width over height, such as "
                f"(3/4, 4/3), got {ratio!r}."
            )
        if not 0 < valid_scale <= 1:
            raise ValueError(
                f"RandomResizedCropGPU: valid_scale must be in 0..1, got {valid_scale!r}."
            )
        self.target = height_width(size)
        self.min_scale, self.max_scale, self.valid_scale = min_scale, max_scale, valid_scale
        self.ratio = (float(ratio[0]), float(ratio[1]))

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3], from the frame of `size` to that of pictures of `hw` pixels."""
        box = random_boxes(
            self.rng(n),
            hw,
            min_scale=self.min_scale,
            max_scale=self.max_scale,
            ratio=self.ratio,
        )
        return crop_box(*box, hw=hw, size=self.target)

    def plan(self, n: int, hw: HW, *, training: bool) -> tuple[Maps, HW]:
        """Return maps from the frame of the result to that of the picture, and the new size."""
        if training:
            return self.maps(n, hw), self.target
        box = centred_box(hw, self.ratio, self.valid_scale)
        return np.tile(crop_box(*box, hw=hw, size=self.target), (n, 1, 1)), self.target
