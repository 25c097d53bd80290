"""Carries out a planned augmentation: here, and only here, pixels of a batch are read."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from presize.core import colour
from presize.core.device import keep_type
from presize.core.homography import HW, Maps, compose, identity, move_boxes, move_points
from presize.core.sampling import Mode, PadMode, sample
from presize.tensors import TensorBBox, TensorImage, TensorImageBase, TensorMask, TensorPoint


class Move(Protocol):
    """A movement: what it plans, and how it wants pixels read."""

    mode: Mode
    pad_mode: PadMode
    mode_mask: Mode

    def plan(self, n: int, hw: HW, *, training: bool) -> tuple[Maps, HW]:
        """Return maps from the frame of the result to that of the picture, and the new size."""


class Recolour(Protocol):
    """A change of colour: matrices in logit space, or a function of the pictures."""

    def matrices(self, n: int, hw: HW) -> colour.Matrices | None:
        """Return a matrix [4,4] for each of `n` pictures, or None if `recolour` does the work."""

    def recolour(self, x: Tensor) -> Tensor:
        """Return the changed pictures [n,c,h,w]."""


def carry_out(moves: Sequence[Move], colours: Sequence[Recolour], x: Any, *, training: bool) -> Any:
    """Augment a value or a tuple: pictures, masks, points and boxes alike move as one.

    Args:
        moves: movements, first one first; all read pixels in the same way.
        colours: changes of colour, after them; for pictures only.
        x: a TensorImage, TensorMask, TensorPoint or TensorBBox, an item or a batch, or a tuple with
            such; everything else in it stays as it is.
        training: False only brings pictures to their size.
    """
    elements = x if type(x) is tuple else (x,)
    extent = _extent(elements)
    if extent is None:
        return x
    run = _Run(moves, colours, extent[0], training=training)
    done = tuple(run.element(element, extent[1]) for element in elements)
    return done if type(x) is tuple else done[0]


def _extent(elements: tuple[Any, ...]) -> tuple[int, HW] | None:
    """Return how many pictures there are and their size; None if nothing here can be augmented.

    Points without a picture count as those of a square one.
    """
    for e in elements:
        if isinstance(e, TensorImageBase):
            one = 2 if isinstance(e, TensorMask) else 3
            return (len(e) if e.ndim > one else 1), (e.shape[-2], e.shape[-1])
    for e in elements:
        if isinstance(e, TensorPoint):
            return (len(e) if e.ndim > 2 else 1), (1, 1)
    return None


class _Run:
    """One call: the maps of a chain for `n` pictures, worked out once for each picture size."""

    def __init__(
        self, moves: Sequence[Move], colours: Sequence[Recolour], n: int, *, training: bool
    ) -> None:
        self.moves, self.colours = moves, colours
        self.n, self.training = n, training
        self.plans: dict[HW, tuple[Maps, HW]] = {}

    def plan(self, hw: HW) -> tuple[Maps, HW]:
        """Return the product of all maps for pictures of `hw` pixels, and the final size."""
        if hw not in self.plans:
            maps, size = identity(self.n), hw
            for move in self.moves:
                step, size = move.plan(self.n, size, training=self.training)
                maps = compose(maps, step)
            self.plans[hw] = maps, size
        return self.plans[hw]

    def element(self, x: Any, hw: HW) -> Any:
        """Return one element of a tuple as it becomes; `hw` is the size of the tuple's picture."""
        if isinstance(x, TensorImageBase):
            before = x.as_subclass(Tensor)
            after = self.moved(before, mask=isinstance(x, TensorMask))
            after = self.recoloured(after) if isinstance(x, TensorImage) else after
            return x if after is before else keep_type(after, x)
        if isinstance(x, TensorPoint) and self.moves:
            maps, size = self.plan(hw)
            points, move = x.as_subclass(Tensor), _mover(x)
            stack = points.reshape(self.n, -1, points.shape[-1])
            return keep_type(move(stack, maps, hw, size).reshape(points.shape), x)
        return x

    def moved(self, x: Tensor, *, mask: bool = False) -> Tensor:
        """Move pictures or masks; all axes before the last two are kept."""
        if not self.moves:
            return x
        hw = (x.shape[-2], x.shape[-1])
        maps, size = self.plan(hw)
        way = self.moves[0]
        stack = x.reshape(self.n, -1, *hw)
        mode = way.mode_mask if mask else way.mode
        moved = sample(stack, maps, size, mode=mode, pad_mode=way.pad_mode)
        return x if moved is stack else moved.reshape(*x.shape[:-2], *size)

    def recoloured(self, x: Tensor) -> Tensor:
        """Change the colours of pictures [c,h,w] or [n,c,h,w]."""
        if not self.colours:
            return x
        before = x if x.ndim == 4 else x[None]
        hw = (x.shape[-2], x.shape[-1])
        stack, chain = before, list[colour.Matrices]()
        for step in self.colours:
            matrices = step.matrices(self.n, hw)
            if matrices is not None:
                chain.append(matrices)
            else:
                stack, chain = step.recolour(_lit(stack, chain)), []
        stack = _lit(stack, chain)
        if stack is before:
            return x
        return stack if x.ndim == 4 else stack[0]


def _mover(x: TensorPoint) -> Any:
    return move_boxes if isinstance(x, TensorBBox) else move_points


def _lit(x: Tensor, chain: list[colour.Matrices]) -> Tensor:
    return colour.light(x, colour.compose(*chain)) if chain else x
