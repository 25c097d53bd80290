"""Tensors that know what they are: pictures, masks, labels, points; made to be shown.

Their operations return plain tensors (`__torch_function__` is off), so a model never meets them,
nothing is dispatched on them, and `torch.compile` sees ordinary tensors. Transforms give a value
its type back.
"""

import copy
from functools import partial
from typing import Any, ClassVar, Self, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor

from presize.core import colour
from presize.core.colour import brightness_levels, light_factors
from presize.core.foundation import tensor
from presize.core.homography import Maps, compose, identity, resize
from presize.core.parameters import Draw
from presize.core.random_maps import dihedral_maps, flip_maps, rotate_maps, warp_maps, zoom_maps
from presize.core.randomness import Draws, draws
from presize.core.sampling import Mode, PadMode, sample
from presize.core.types import Size, hw
from presize.show import show_image
from presize.show.titles import drawable


class Light(TypedDict, total=False):
    """How a change of light is drawn."""

    p: float
    draw: Draw | None
    batch: bool


class Drawing(Light, total=False):
    """How a movement is drawn, and how pixels are read."""

    mode: Mode
    pad_mode: PadMode


class TensorBase(Tensor):
    """A tensor with a meaning; made from a tensor, an array, a PIL image or nested lists."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __new__(cls, x: Any, **options: Any) -> Self:
        """Make one of `x`; `options` such as `dtype` and `device` go to the conversion."""
        plain = x if isinstance(x, Tensor) else tensor(x)
        if options:
            plain = plain.to(**options)
        return plain.as_subclass(cls)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the numbers and keep the kind."""
        return copy.deepcopy(self.as_subclass(Tensor), memo).as_subclass(type(self))

    def __str__(self) -> str:
        """Tell kind and shape: `TensorImage of size 3x224x224`; the numbers of short ones."""
        if self.ndim < 2:
            return repr(self)
        return f"{type(self).__name__} of size {'x'.join(map(str, self.shape))}"

    def __format__(self, spec: str) -> str:
        """Format one number as a number, anything larger as its text."""
        return format(self.item(), spec) if self.ndim == 0 else format(str(self), spec)


class TensorImageBase(TensorBase):
    """Pictures, [C,H,W] or a batch [N,C,H,W]."""

    read_mode: ClassVar[Mode] = "bilinear"
    item_ndim: ClassVar[int] = 3

    @property
    def _n_pictures(self) -> int:
        return len(self) if self.ndim > self.item_ndim else 1

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Draw one picture on the axes `ctx` (new ones if None) and return the axes."""
        return show_image(self.as_subclass(Tensor), ctx=ctx, **options)

    def affine_coord(
        self,
        mat: Maps | None = None,
        sz: Size | None = None,
        *,
        mode: Mode | None = None,
        pad_mode: PadMode = "reflection",
    ) -> Self:
        """Sample the picture(s) once, through maps from output to input.

        Args:
            mat: [n,3,3] or [3,3] maps, see `presize.core.homography`; None only resizes.
            sz: the size of the result; None keeps it.
            mode: "bilinear", "nearest" or "bicubic"; None takes "nearest" for masks, else
                "bilinear".
            pad_mode: what lies outside: "reflection", "border" or "zeros".
        """
        whole = self.as_subclass(Tensor)
        batch = whole.reshape(self._n_pictures, -1, *whole.shape[-2:])
        before = (batch.shape[-2], batch.shape[-1])
        after = before if sz is None else hw(sz)
        maps = identity(len(batch)) if mat is None else np.asarray(mat).reshape(-1, 3, 3)
        if after != before:
            maps = compose(maps, resize(len(maps), before, after))
        moved = sample(batch, maps, after, mode=mode or self.read_mode, pad_mode=pad_mode)
        return moved.reshape(*whole.shape[:-2], *after).as_subclass(type(self))

    def flip_batch(self, size: Size | None = None, **options: Unpack[Drawing]) -> Self:
        """Mirror left and right with probability `p` (0.5)."""
        return self._drawn(flip_maps, "flip", size, options)

    def dihedral_batch(self, size: Size | None = None, **options: Unpack[Drawing]) -> Self:
        """Apply one of the eight symmetries of the square with probability `p` (0.5)."""
        return self._drawn(dihedral_maps, "dihedral", size, options)

    def rotate(
        self, size: Size | None = None, *, max_deg: float = 10.0, **options: Unpack[Drawing]
    ) -> Self:
        """Turn by `draw` degrees, or by a draw from -max_deg..max_deg, with probability `p`."""
        return self._drawn(partial(rotate_maps, max_deg=max_deg), "rotate", size, options)

    def zoom(
        self,
        size: Size | None = None,
        *,
        min_zoom: float = 1.0,
        max_zoom: float = 1.1,
        draw_x: Draw | None = None,
        draw_y: Draw | None = None,
        **options: Unpack[Drawing],
    ) -> Self:
        """Zoom in by `draw`, or by a draw from min_zoom..max_zoom, with probability `p`."""
        scale = partial(zoom_maps, min_zoom=min_zoom, max_zoom=max_zoom)
        return self._drawn(partial(scale, draw_x=draw_x, draw_y=draw_y), "zoom", size, options)

    def warp(
        self,
        size: Size | None = None,
        *,
        magnitude: float = 0.2,
        draw_x: Draw | None = None,
        draw_y: Draw | None = None,
        **options: Unpack[Drawing],
    ) -> Self:
        """Tilt the plane of the picture by up to `magnitude`, with probability `p`."""
        tilt = partial(warp_maps, magnitude=magnitude, draw_x=draw_x, draw_y=draw_y)
        return self._drawn(tilt, "warp", size, options)

    def _drawn(self, make: Any, name: str, size: Size | None, options: Drawing) -> Self:
        where: dict[str, Any] = {k: options[k] for k in ("mode", "pad_mode") if k in options}
        how = {k: v for k, v in options.items() if k not in where}
        maps = make(draws(name, self._n_pictures), (self.shape[-2], self.shape[-1]), **how)
        return self.affine_coord(maps, size, **where)


class TensorImage(TensorImageBase):
    """Colour pictures: uint8 in 0..255, or float in 0..1 (normalised: about -2..3)."""

    def brightness(self, *, max_lighting: float = 0.2, **options: Unpack[Light]) -> Self:
        """Change the brightness: `draw` is the level mid-gray gets, 0.5 changes nothing."""
        levels = brightness_levels(self._rng("brightness"), max_lighting=max_lighting, **options)
        return self._lit(colour.brightness(levels))

    def contrast(self, *, max_lighting: float = 0.2, **options: Unpack[Light]) -> Self:
        """Multiply the contrast by `draw`; 1 changes nothing."""
        factors = light_factors(self._rng("contrast"), max_lighting=max_lighting, **options)
        return self._lit(colour.contrast(factors))

    def saturation(self, *, max_lighting: float = 0.2, **options: Unpack[Light]) -> Self:
        """Multiply the distance of the colours from gray by `draw`; 1 changes nothing."""
        factors = light_factors(self._rng("saturation"), max_lighting=max_lighting, **options)
        return self._lit(colour.saturation(factors))

    def hue(self, *, max_hue: float = 0.1, **options: Unpack[Light]) -> Self:
        """Turn the colours by `draw` of the whole circle; 0 changes nothing."""
        rng = self._rng("hue")
        turns = light_factors(rng, max_lighting=max_hue, neutral=0.0, **options)
        whole = self.as_subclass(Tensor)
        turned = colour.turn_hue(whole if whole.ndim == 4 else whole[None], turns)
        return (turned if whole.ndim == 4 else turned[0]).as_subclass(type(self))

    def _rng(self, name: str) -> Draws:
        return draws(name, self._n_pictures)

    def _lit(self, matrices: Maps) -> Self:
        whole = self.as_subclass(Tensor)
        lit = colour.light(whole if whole.ndim == 4 else whole[None], matrices)
        return (lit if whole.ndim == 4 else lit[0]).as_subclass(type(self))


class TensorImageBW(TensorImage):
    """Grayscale pictures, [1,H,W] or [N,1,H,W]."""

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Draw one picture in shades of gray."""
        return super().show(ctx=ctx, **({"cmap": "Greys_r"} | options))


class TensorMask(TensorImageBase):
    """One class number per pixel, [H,W] or [N,H,W]; moves with the picture, never blended."""

    read_mode = "nearest"
    item_ndim = 2

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Draw the mask over what the axes hold."""
        plain: dict[str, Any] = {"cmap": "tab20", "alpha": 0.5, "interpolation": "nearest"}
        return show_image(self.as_subclass(Tensor), ctx=ctx, **(plain | options))


class TensorCategory(TensorBase):
    """A class number, or a batch of them: int64."""


class TensorMultiCategory(TensorCategory):
    """The classes of a picture, as 0/1 for each class of the vocabulary."""


class TensorPoint(TensorBase):
    """Points, float [n,2] as (x, y); a batch is [N,n,2].

    In batches they are in -1..1 of the picture; what a loader decodes, and `show` draws, is in
    pixels.
    """

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Mark the points, in pixels, on axes that hold their picture."""
        from presize.core.lazy import plt

        axes = plt.gca() if ctx is None else ctx
        columns, rows = _on_axes(self)
        style: dict[str, Any] = {"s": 10, "marker": ".", "c": "r"} | options
        frame = axes.axis()
        axes.scatter(columns, rows, **style)
        if axes.images:
            axes.axis(frame)  # points outside do not make the picture smaller
        return axes


class TensorBBox(TensorPoint):
    """Boxes, float [n,4] as (left, top, right, bottom), like points; a batch is [N,n,4]."""

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Draw the boxes, in pixels, on axes that hold their picture."""
        from matplotlib.patches import Rectangle

        from presize.core.lazy import plt

        axes = plt.gca() if ctx is None else ctx
        columns, rows = _on_axes(self)
        for x0, x1, y0, y1 in zip(columns[::2], columns[1::2], rows[::2], rows[1::2], strict=True):
            style: dict[str, Any] = {"fill": False, "edgecolor": "white", "lw": 2} | options
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, **style))
        return axes


def _on_axes(points: TensorPoint) -> tuple[list[float], list[float]]:
    """Return x and y of points in pixels; axes count from the middle of the first pixel."""
    places = points.as_subclass(Tensor).detach().cpu().reshape(-1, 2) - 0.5
    return places[:, 0].tolist(), places[:, 1].tolist()


def show_title(text: Any, ctx: Any = None, **options: Any) -> Any:
    """Put `text` above the axes `ctx`; without axes, print it."""
    if ctx is None:
        print(text)
    elif hasattr(ctx, "set_title"):
        ctx.set_title(drawable(text), **({"parse_math": False} | options))  # `$` is a dollar sign
    return ctx


class TitledInt(int):
    """A number that shows itself as a title."""

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Put the number above the axes, or print it."""
        return show_title(int(self), ctx, **options)


class TitledFloat(float):
    """A number that shows itself as a title."""

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Put the number above the axes, or print it."""
        return show_title(f"{float(self):.4g}", ctx, **options)


class TitledStr(str):
    """A text that shows itself as a title."""

    __slots__ = ()

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Put the text above the axes, or print it."""
        return show_title(str(self), ctx, **options)


class TitledTuple(tuple[Any, ...]):
    """Several values that show themselves as one title."""

    __slots__ = ()

    def show(self, ctx: Any = None, **options: Any) -> Any:
        """Put the values above the axes, or print them."""
        texts = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in self)
        return show_title(", ".join(texts), ctx, **options)
