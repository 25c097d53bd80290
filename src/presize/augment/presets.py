"""The usual augmentation in one call."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from presize.augment.colour import Brightness, Contrast
from presize.augment.fused import AffineCoordTfm, Augmentation
from presize.augment.geometry import Dihedral, Flip, RandomResizedCropGPU, Rotate, Warp, Zoom
from presize.augment.normalize import Normalize as Normalize
from presize.augment.normalize import cifar_stats as cifar_stats
from presize.augment.normalize import imagenet_stats as imagenet_stats
from presize.augment.normalize import mnist_stats as mnist_stats
from presize.core.parameters import check_chance
from presize.core.pipeline import Pipeline
from presize.core.sampling import Mode, PadMode
from presize.core.transform import Transform
from presize.core.types import Size

AnyTransform = Transform | type[Transform] | Callable[..., Any]


def setup_aug_tfms(tfms: Sequence[AnyTransform]) -> list[Transform]:
    """Return the transforms sorted by their order, neighbours joined where they can be.

    All movements become one that reads pixels once, all changes of light become one; other
    transforms stay as and where they are.
    """
    joined: list[Transform] = []
    for t in Pipeline(list(tfms)):
        # Movements and colours stay two transforms, each at its own order: a user's transform may
        # yet come between them. Where none does, `Pipeline.fused` does the two as one.
        last = joined[-1] if joined else None
        one = None
        if isinstance(last, Augmentation) and isinstance(t, Augmentation) and last.order == t.order:
            one = last.join(t)
        joined[-1:] = [one] if one is not None else [*joined[-1:], t]
    return joined


def aug_transforms(
    mult: float = 1.0,
    do_flip: bool = True,
    flip_vert: bool = False,
    max_rotate: float = 10.0,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: AnyTransform | Sequence[AnyTransform] | None = None,
    size: Size | None = None,
    mode: Mode = "bilinear",
    pad_mode: PadMode = "reflection",
    align_corners: bool | None = None,
    batch: bool = False,
    min_scale: float = 1.0,
) -> list[Transform]:
    """Return the usual augmentation: flip, warp, rotate, zoom, brightness and contrast.

    All movements are one map and pixels are read once; with `min_scale` a random crop is one of
    them.

    Args:
        mult: multiplies `max_rotate`, `max_lighting` and `max_warp`.
        do_flip: mirror left and right half of the time.
        flip_vert: use all eight symmetries of the square, as for pictures taken from above.
        max_rotate: the greatest turn, in degrees.
        min_zoom: the least zoom; below 1 zooms out.
        max_zoom: the greatest zoom.
        max_lighting: the greatest change of brightness and contrast, 0..1.
        max_warp: the greatest tilt, as a share of half a side.
        p_affine: the chance of warp, of rotation and of zoom, each.
        p_lighting: the chance of a change of brightness, and of contrast.
        xtra_tfms: one more transform, or several, of any kind.
        size: the size of the result, in training and validation; None keeps that of the picture.
        mode: how pixels are read: "bilinear", "nearest" or "bicubic".
        pad_mode: what lies outside: "reflection", "border" or "zeros".
        align_corners: has no effect, with a warning if True: -1 and 1 are the picture's edges.
        batch: treat all pictures of a batch alike.
        min_scale: the least area of a random crop, as a share of the picture; 1 does not crop.

    Raises:
        ValueError: a number outside its range, or an unknown mode.
    """
    _check(max_rotate=max_rotate, max_lighting=max_lighting, max_warp=max_warp, mult=mult)
    check_chance(p_affine, "p_affine")
    check_chance(p_lighting, "p_lighting")
    if align_corners:
        warnings.warn(
            "aug_transforms(align_corners=True) has no effect: coordinates -1 and 1 are always the "
            "outer edges of a picture.",
            stacklevel=2,
        )
    stay = AffineCoordTfm(size=size if min_scale == 1 else None, mode=mode, pad_mode=pad_mode)
    moves = _moves(stay, batch, p_affine, max_warp * mult, max_rotate * mult, (min_zoom, max_zoom))
    if do_flip:
        flip = Dihedral if flip_vert else Flip
        moves.insert(0, flip(size=stay.size, mode=mode, pad_mode=pad_mode, batch=batch))
    if min_scale != 1:
        moves.append(_crop(size, min_scale, stay))
    elif not moves and size is not None:
        moves.append(stay)
    lights: list[AnyTransform] = []
    if max_lighting * mult:
        light, p = max_lighting * mult, p_lighting
        lights += [Brightness(light, p, batch=batch), Contrast(light, p, batch=batch)]
    return setup_aug_tfms([*moves, *lights, *_listed(xtra_tfms)])


def _moves(
    like: AffineCoordTfm,
    batch: bool,
    p: float,
    magnitude: float,
    degrees: float,
    zooms: tuple[float, float],
) -> list[AnyTransform]:
    """Return those of warp, rotation and zoom that do something; pixels are read as `like` does."""
    size, mode, pad_mode = like.size, like.mode, like.pad_mode
    moves: list[AnyTransform] = []
    if magnitude:
        moves.append(Warp(magnitude, p, size=size, mode=mode, pad_mode=pad_mode, batch=batch))
    if degrees:
        moves.append(Rotate(degrees, p, size=size, mode=mode, pad_mode=pad_mode, batch=batch))
    if zooms != (1, 1):
        moves.append(Zoom(*zooms, p, size=size, mode=mode, pad_mode=pad_mode, batch=batch))
    return moves


def _crop(size: Size | None, min_scale: float, like: AffineCoordTfm) -> RandomResizedCropGPU:
    if size is None:
        raise ValueError(
            f"aug_transforms(min_scale={min_scale!r}) cuts boxes and needs to know their final "
            "size: add size=, such as size=224."
        )
    return RandomResizedCropGPU(
        size, min_scale=min_scale, ratio=(1, 1), mode=like.mode, pad_mode=like.pad_mode
    )


def _listed(
    tfms: AnyTransform | Sequence[AnyTransform] | None,
) -> list[AnyTransform]:
    if tfms is None:
        return []
    return list(tfms) if isinstance(tfms, Sequence) else [tfms]


def _check(*, max_rotate: float, max_lighting: float, max_warp: float, mult: float) -> None:
    """Raise ValueError for amounts outside their ranges, in the words of `aug_transforms`."""
    amounts = {"max_rotate": max_rotate, "max_lighting": max_lighting, "max_warp": max_warp}
    for name, value in {**amounts, "mult": mult}.items():
        if value < 0:
            raise ValueError(f"aug_transforms: {name} must be >= 0, got {value!r}.")
    for name in ("max_lighting", "max_warp"):
        if amounts[name] * mult >= 1:
            times = "" if mult == 1 else f" * mult ({mult!r})"
            raise ValueError(
                f"aug_transforms: {name}{times} must be below 1, got {amounts[name] * mult!r}."
            )
