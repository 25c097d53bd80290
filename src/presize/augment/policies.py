"""RandAugment and TrivialAugment as movements and changes of light: one step of the one product.

Which operations a picture gets, and how strong, is drawn; what they come to is one map and one
matrix of light, so a policy costs no reading of pixels of its own. Operations that are neither map
nor matrix are not among them: AutoContrast, Equalize, Posterize, Solarize and Sharpness of the
published policies need the picture's own values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from presize.augment.fused import AffineCoordTfm
from presize.core import colour, homography
from presize.core.errors import did_you_mean
from presize.core.homography import HW, Maps, compose, half_sides, identity
from presize.core.randomness import Draws, FloatArray
from presize.core.sampling import Mode, PadMode
from presize.core.types import Size
from presize.render.plan import PixelPlan, Reading

LEVELS = 30  # magnitudes are told on a scale of 0..30, as in both papers
_AGAINST_ZERO = 1 / 256  # a matrix of contrast 0 would be one gray, and brightness 0 all black

Chosen = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one of the operations does at a strength.

    Args:
        reach: the strength at magnitude 30 in RandAugment.
        wide: the same in TrivialAugment.
        maps: from strengths [n], with a sign, to maps [n,3,3] for pictures of this size; or None.
        light: from strengths [n] to matrices [n,4,4] in logit space; or None.
    """

    reach: float
    wide: float
    maps: Callable[[FloatArray, HW], Maps] | None = None
    light: Callable[[FloatArray], colour.Matrices] | None = None


def _matrix(n: int, row: int, column: int, value: FloatArray) -> Maps:
    maps = identity(n)
    maps[:, row, column] = value
    return maps


def _shear_x(v: FloatArray, hw: HW) -> Maps:
    return _matrix(len(v), 0, 1, v)


def _shear_y(v: FloatArray, hw: HW) -> Maps:
    return _matrix(len(v), 1, 0, v)


def _translate_x(v: FloatArray, hw: HW) -> Maps:
    return _matrix(len(v), 0, 2, -2 * half_sides(hw)[1] * v)  # a share of the width


def _translate_y(v: FloatArray, hw: HW) -> Maps:
    return _matrix(len(v), 1, 2, -2 * half_sides(hw)[0] * v)


def _rotate(v: FloatArray, hw: HW) -> Maps:
    return homography.rotate(v)


def _zoom(v: FloatArray, hw: HW) -> Maps:
    return homography.zoom(np.exp(v), 0.5, 0.5, hw)


def _warp_x(v: FloatArray, hw: HW) -> Maps:
    return homography.warp(v, np.zeros(len(v)), hw)


def _warp_y(v: FloatArray, hw: HW) -> Maps:
    return homography.warp(np.zeros(len(v)), v, hw)


def _factor(v: FloatArray) -> FloatArray:
    return np.maximum(1 + v, _AGAINST_ZERO)


def _brightness(v: FloatArray) -> colour.Matrices:
    return colour.brightness(np.clip(0.5 * (1 + v), _AGAINST_ZERO, 1 - _AGAINST_ZERO))


def _contrast(v: FloatArray) -> colour.Matrices:
    return colour.contrast(_factor(v))


def _saturation(v: FloatArray) -> colour.Matrices:
    return colour.saturation(_factor(v))


# Strengths of arXiv:1909.13719 and of the "wide" space of arXiv:2103.10158. Movements are shares
# of a side: 150 of the 331 pixels of the first paper, 32 of 224 in the second. Light: mid-gray goes
# to 0.5 * (1 -+ v), contrast and saturation are multiplied by 1 -+ v, as there; but in logit space,
# so that no detail is cut off. Neither paper has zoom or warp. Zoom is as strong as in
# `aug_transforms` a third of the way up. Warp is at most as strong as there: with more, two warps
# and a translation bring the horizon, which is infinitely far away, into the picture.
OPERATIONS: dict[str, Operation] = {
    "identity": Operation(0.0, 0.0),
    "shear_x": Operation(0.3, 0.99, maps=_shear_x),
    "shear_y": Operation(0.3, 0.99, maps=_shear_y),
    "translate_x": Operation(150 / 331, 32 / 224, maps=_translate_x),
    "translate_y": Operation(150 / 331, 32 / 224, maps=_translate_y),
    "rotate": Operation(30.0, 135.0, maps=_rotate),
    "brightness": Operation(0.9, 0.99, light=_brightness),
    "contrast": Operation(0.9, 0.99, light=_contrast),
    "saturation": Operation(0.9, 0.99, light=_saturation),
    "zoom": Operation(0.3, 0.7, maps=_zoom),
    "warp_x": Operation(0.2, 0.8, maps=_warp_x),
    "warp_y": Operation(0.2, 0.8, maps=_warp_y),
}
USUAL: tuple[str, ...] = tuple(OPERATIONS)[:9]


class _Policy(AffineCoordTfm):
    """The base of both: draws operations, and adds what they come to to the plan."""

    # After all movements and before all light, so that one plan holds them all.
    order = 35

    def __init__(
        self,
        ops: Sequence[str] | None,
        *,
        size: Size | None,
        mode: Mode,
        pad_mode: PadMode,
    ) -> None:
        super().__init__(size=size, mode=mode, pad_mode=pad_mode)
        self.ops = _checked(self.name, ops)

    def choose(self, rng: Draws) -> list[tuple[Chosen, FloatArray]]:
        """Draw, in their order, a number of `ops` [n] and its strength [n], 0..1 with a sign."""
        raise NotImplementedError(f"{self.name} has no `choose`")

    def strength(self, operation: Operation) -> float:
        """Return what the operation does at strength 1."""
        raise NotImplementedError(f"{self.name} has no `strength`")

    def extend(self, plan: PixelPlan, *, training: bool) -> PixelPlan | None:
        """Return the plan with the movement and the light drawn; outside training, the size."""
        n, hw = plan.n, plan.size
        maps, light = identity(n), None
        if training:
            maps, light = self.drawn(n, hw)
        if self.size is not None and self.size != hw:
            maps = compose(maps, homography.resize(n, hw, self.size))
        moved: PixelPlan | None = plan
        if training or self.size is not None:
            way = Reading(self.mode, self.pad_mode, self.mode_mask)
            moved = plan.moved(maps, self.size or hw, way)
        return moved if moved is None or light is None else moved.lit(light)

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw the maps [n,3,3]."""
        return self.drawn(n, hw)[0]

    def drawn(self, n: int, hw: HW) -> tuple[Maps, colour.Matrices | None]:
        """Draw the maps [n,3,3] and the matrices of light [n,4,4] for `n` pictures of this size.

        The matrices are None where no operation of this policy changes light.
        """
        maps, light = identity(n), np.tile(np.eye(4), (n, 1, 1))
        for number, strength in self.choose(self.rng(n)):
            for k, name in enumerate(self.ops):
                rows = np.flatnonzero(number == k)
                operation = OPERATIONS[name]
                if not len(rows):
                    continue
                value = strength[rows] * self.strength(operation)
                if operation.maps is not None:
                    maps[rows] = compose(maps[rows], operation.maps(value, hw))
                if operation.light is not None:
                    light[rows] = colour.compose(light[rows], operation.light(value))
        lights = any(OPERATIONS[name].light is not None for name in self.ops)
        return maps, light if lights else None


class RandAugment(_Policy):
    """Give each picture `n` operations drawn at random, all of one strength (arXiv:1909.13719).

    Movement and light are part of the one reading of pixels; five of the published operations are
    not among them, see `presize.augment.policies`. With others: aug_transforms(max_rotate=0,
    max_warp=0, max_zoom=1, max_lighting=0, size=224, xtra_tfms=RandAugment()).

    Args:
        n: operations for each picture, drawn with replacement.
        magnitude: their strength, 0..30.
        ops: the names of operations to draw from; by default "identity", "shear_x", "shear_y",
            "translate_x", "translate_y", "rotate", "brightness", "contrast" and "saturation".
            There are "zoom", "warp_x" and "warp_y", too.
        size: the size of the result, in training and validation; None keeps that of the picture.
        mode: how pixels are read: "bilinear", "nearest" or "bicubic".
        pad_mode: what lies outside the picture: "reflection", "border" or "zeros".

    Raises:
        ValueError: a number outside its range, or an unknown operation.
    """

    arguments = ("n", "magnitude", "ops", "size", "mode", "pad_mode")
    shown_attributes = ("n", "magnitude", "size")

    def __init__(
        self,
        n: int = 2,
        magnitude: float = 9.0,
        *,
        ops: Sequence[str] | None = None,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
    ) -> None:
        super().__init__(ops, size=size, mode=mode, pad_mode=pad_mode)
        if type(n) is not int or not 0 <= n <= 100:
            raise ValueError(f"RandAugment: n is a number of operations, 0..100, got {n!r}.")
        if not 0 <= magnitude <= LEVELS:
            raise ValueError(f"RandAugment: magnitude must be in 0..{LEVELS}, got {magnitude!r}.")
        self.n, self.magnitude = n, float(magnitude)

    def choose(self, rng: Draws) -> list[tuple[Chosen, FloatArray]]:
        """Draw `n` operations, with a sign for each."""
        strength = self.magnitude / LEVELS
        return [
            (rng.integers(len(self.ops)), np.where(rng.bernoulli(0.5), -strength, strength))
            for _ in range(self.n)
        ]

    def strength(self, operation: Operation) -> float:
        """Return what the operation does at magnitude 30."""
        return operation.reach


class TrivialAugment(_Policy):
    """Give each picture one operation of a strength drawn at random (arXiv:2103.10158, "wide").

    Nothing is to be tuned. Movement and light are part of the one reading of pixels; five of the
    published operations are not among them, see `presize.augment.policies`.

    Args:
        ops: the names of operations to draw from; see `RandAugment`.
        size: the size of the result, in training and validation; None keeps that of the picture.
        mode: how pixels are read: "bilinear", "nearest" or "bicubic".
        pad_mode: what lies outside the picture: "reflection", "border" or "zeros".

    Raises:
        ValueError: an unknown operation or mode.
    """

    arguments = ("ops", "size", "mode", "pad_mode")
    shown_attributes = ("size",)

    def __init__(
        self,
        ops: Sequence[str] | None = None,
        *,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
    ) -> None:
        super().__init__(ops, size=size, mode=mode, pad_mode=pad_mode)

    def choose(self, rng: Draws) -> list[tuple[Chosen, FloatArray]]:
        """Draw one operation, one of 31 strengths and a sign."""
        number = rng.integers(len(self.ops))
        strength = rng.integers(LEVELS + 1) / LEVELS
        return [(number, np.where(rng.bernoulli(0.5), -strength, strength))]

    def strength(self, operation: Operation) -> float:
        """Return what the operation does at the highest strength."""
        return operation.wide


def _checked(owner: str, ops: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of known operations, at least one."""
    names = USUAL if ops is None else (ops,) if isinstance(ops, str) else tuple(ops)
    for name in names:
        if name not in OPERATIONS:
            raise ValueError(
                f"{owner} has no operation {name!r}.{did_you_mean(str(name), OPERATIONS)} "
                f"There are: {', '.join(OPERATIONS)}."
            )
    if not names:
        raise ValueError(f"{owner}: ops is empty. There are: {', '.join(OPERATIONS)}.")
    return names
