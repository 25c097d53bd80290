"""Augmentation as a plan: movements multiply to one map, light to one matrix, pixels are read once.

Every step that follows is an `Augmentation`. A movement gives maps, a change of light gives
matrices; none touches a pixel by itself (`presize.render` does). `FusedAugment` holds a chain.
"""

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from presize.core import colour
from presize.core.device import keep_type
from presize.core.errors import ModelFileError
from presize.core.homography import HW, Maps, compose, from_sides, identity, resize
from presize.core.parameters import Draw
from presize.core.randomness import Draws, draws
from presize.core.sampling import Mode, PadMode, check_mode
from presize.core.types import JSON, Size
from presize.core.types import hw as height_width
from presize.render.plan import PixelPlan, Reading
from presize.render.transform import PixelTransform, in_one
from presize.tensors import TensorImage


class Augmentation(PixelTransform):
    """A step of augmentation, for a batch or one item, alone or in a tuple with its targets.

    All pictures, masks, points and boxes of a tuple see the same draws.
    """

    arguments: ClassVar[tuple[str, ...]] = ()

    def parts(self) -> list["Augmentation"]:
        """Return the single steps, in their order."""
        return [self]

    def steps(self) -> Sequence[PixelTransform]:
        """Return the single steps, in their order."""
        return self.parts()

    def __call__(self, x: Any, split_idx: int | None = None) -> Any:
        """Augment a value or tuple; for `split_idx` 1 (validation) only bring it to its size."""
        return in_one([self], x, split_idx)

    def join(self, following: "Augmentation") -> "FusedAugment | None":
        """Return one augmentation that does this and then `following`, if they read pixels alike.

        None also where one of them is limited to a split.
        """
        for one in (self, following):
            if isinstance(one, FusedAugment) and one.split_idx is not None:
                return None
        parts = [*self.parts(), *following.parts()]
        return FusedAugment(parts) if _agree(parts) else None

    def rng(self, n: int) -> Draws:
        """Return the draws of this step for `n` pictures."""
        return draws(self.draw_name or self.name, n)

    def spec(self) -> dict[str, JSON]:
        """Return the arguments of the constructor, as JSON.

        A `draw` that is a function cannot be stored: it is left out with a warning.
        """
        found = {name: getattr(self, name) for name in self.arguments}
        for name in [name for name, value in found.items() if callable(value)]:
            warnings.warn(
                f"{self.name}({name}=...) is a function and cannot be stored; the stored transform "
                "draws its numbers at random.",
                stacklevel=2,
            )
            del found[name]
        return {name: _json(value) for name, value in found.items()}


class AffineCoordTfm(Augmentation):
    """A movement of the picture: the base of all geometric augmentations.

    A subclass overrides `maps`. Alone it can be given `aff_fs`.

    Args:
        aff_fs: a function, or several, from a batch (of the right shape, without pixels) to maps
            [n,2,3] or [n,3,3], output to input, of coordinates -1..1 along both sides.
        size: the size of the result, in training and validation; None keeps that of the picture.
        mode: how pictures are read: "bilinear", "nearest" or "bicubic".
        pad_mode: what lies outside the picture: "reflection", "border" or "zeros".
        mode_mask: how masks are read.

    Raises:
        ValueError: an unknown mode, or a size that is none.
    """

    order = 30
    arguments: ClassVar[tuple[str, ...]] = ("size", "mode", "pad_mode", "mode_mask")
    shown_attributes: ClassVar[tuple[str, ...]] = ("size",)

    def __init__(
        self,
        aff_fs: Callable[[Tensor], Any] | Sequence[Callable[[Tensor], Any]] = (),
        *,
        size: Size | None = None,
        mode: Mode = "bilinear",
        pad_mode: PadMode = "reflection",
        mode_mask: Mode = "nearest",
    ) -> None:
        super().__init__()
        check_mode(mode, pad_mode)
        check_mode(mode_mask, pad_mode)
        self.aff_fs = [aff_fs] if callable(aff_fs) else list(aff_fs)
        self.size = None if size is None else height_width(size)
        self.mode: Mode = mode
        self.pad_mode: PadMode = pad_mode
        self.mode_mask: Mode = mode_mask

    def maps(self, n: int, hw: HW) -> Maps:
        """Draw a map [3,3] for each of `n` pictures of `hw` pixels, in their frame: [n,3,3]."""
        stand_in = torch.zeros(()).expand(n, 1, *hw)
        product = identity(n)
        for function in self.aff_fs:
            step = identity(n)
            step[:, :2] = torch.as_tensor(function(stand_in)).double().cpu().numpy()[:, :2]
            product = compose(product, step)
        return from_sides(product, hw)

    def extend(self, plan: PixelPlan, *, training: bool) -> PixelPlan | None:
        """Return the plan with this movement; None after light, or if pixels are read otherwise."""
        maps, size = self.plan(plan.n, plan.size, training=training)
        return plan.moved(maps, size, Reading(self.mode, self.pad_mode, self.mode_mask))

    def plan(self, n: int, hw: HW, *, training: bool) -> tuple[Maps, HW]:
        """Return maps from the frame of the result to that of the picture, and the result's size.

        Outside training the picture is only brought to its size.
        """
        maps = self.maps(n, hw) if training else identity(n)
        if self.size is None or self.size == hw:
            return maps, hw
        return compose(maps, resize(n, hw, self.size)), self.size

    def spec(self) -> dict[str, JSON]:
        """Return the arguments of the constructor, as JSON."""
        if self.aff_fs:
            raise ModelFileError(
                f"{self.name} is made of functions (aff_fs=), which a model file cannot hold. "
                "Write a subclass that overrides `maps`, and pass it in when the file is loaded."
            )
        return super().spec()


class ColourTfm(Augmentation):
    """A change of colour: the base of all colour augmentations. Only pictures change, in training.

    Args:
        p: the chance for each picture.
        draw: the number to use in place of a random one; see `presize.core.parameters`.
        batch: treat all pictures of a batch alike.
    """

    order = 40
    split_idx: int | None = 0

    def __init__(self, p: float, draw: Draw | None, batch: bool) -> None:
        super().__init__()
        self.p, self.draw, self.batch = p, draw, batch

    def matrices(self, n: int, hw: HW) -> colour.Matrices | None:
        """Draw a matrix in logit space for each of `n` pictures, [n,4,4]; None has none."""
        return None

    def extend(self, plan: PixelPlan, *, training: bool) -> PixelPlan | None:
        """Return the plan with this change of light; None if it has no matrices."""
        matrices = self.matrices(plan.n, plan.size)
        return None if matrices is None else plan.lit(matrices)

    def apply(self, x: Any) -> Any:
        """Change the colours of all pictures in a value or tuple."""
        if type(x) is tuple:
            return tuple(map(self.apply, x))
        if not isinstance(x, TensorImage):
            return x
        plain = x.as_subclass(Tensor)
        return keep_type(self.recolour(plain) if x.ndim == 4 else self.recolour(plain[None])[0], x)

    def recolour(self, x: Tensor) -> Tensor:
        """Return the changed pictures [n,c,h,w]; called where there are no matrices."""
        return x


class FusedAugment(Augmentation):
    """A chain of augmentations done as one: one map, one reading of pixels, one colour matrix.

    Args:
        transforms: the steps, movements before colours. They keep their own draws, so the result is
            that of the chain, without the blur of reading pixels again and again.

    Raises:
        ValueError: the steps disagree about how pixels are read, or colour comes before movement.
    """

    def __init__(self, transforms: Sequence[Augmentation]) -> None:
        super().__init__()
        self.transforms = [part for t in transforms for part in t.parts()]
        if not self.transforms or not _agree(self.transforms):
            raise ValueError(
                "FusedAugment takes one or more augmentations, movements before colours, which all "
                "have the same mode, pad_mode and mode_mask, but got "
                f"[{', '.join(map(repr, self.transforms))}]."
            )
        self.order = self.transforms[0].order
        _name_draws(self.transforms)

    def parts(self) -> list[Augmentation]:
        """Return the single steps, in their order."""
        return self.transforms

    def spec(self) -> dict[str, JSON]:
        """Return the steps: {"transforms": [{"name": ..., "arguments": {...}}, ...]}."""
        return {"transforms": [{"name": t.name, "arguments": t.spec()} for t in self.transforms]}

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.transforms))


def _agree(parts: Sequence[Augmentation]) -> bool:
    """Say whether one reading of pixels, then one pass of colour, can do all `parts`."""
    moves = [isinstance(part, AffineCoordTfm) for part in parts]
    ways = {(p.mode, p.pad_mode, p.mode_mask) for p in parts if isinstance(p, AffineCoordTfm)}
    return moves == sorted(moves, reverse=True) and len(ways) <= 1


def _name_draws(parts: Sequence[Augmentation]) -> None:
    """Give each step without a name for its draws one that no other step has."""
    taken = {part.draw_name for part in parts}
    for part in parts:
        if not part.draw_name:
            free = (f"{part.name}.{i}" for i in itertools.count())
            part.draw_name = next(name for name in free if name not in taken)
            taken.add(part.draw_name)


def _json(value: Any) -> JSON:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray | np.generic):
        return _json(value.tolist())
    return [_json(v) for v in value] if isinstance(value, list | tuple) else value
