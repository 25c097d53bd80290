"""Finds the layer of any network whose output is the last map of the picture's positions.

A map is [N, C, h, w], [N, h, w, C], or tokens [N, T, D] with the positions row by row, behind a few
that stand for no position, such as a class token. The layer is found by looking at what each layer
of the model gives for one picture, so that no architecture needs to be known by name.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import gcd, isqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from presize.models.features import uncompiled

Grid = tuple[int, int]
# Layers whose output is [N, C, h, w] whatever network they stand in.
_GRID_LAYERS = (
    nn.Conv2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)
_MOST_PREFIX = 16  # class, distillation and register tokens
_FINE = 4  # positions in a row: a map of fewer says little of where something is


@dataclass(frozen=True)
class Layout:
    """Where the positions of a picture stand in a layer's output.

    Args:
        kind: "NCHW", "NHWC" or "tokens".
        grid: (rows, columns) of positions.
        n_prefix: tokens before the first position.
    """

    kind: Literal["NCHW", "NHWC", "tokens"]
    grid: Grid
    n_prefix: int = 0

    def maps(self, output: Tensor) -> Tensor:
        """Return what a layer gave as [N, C, h, w]."""
        if self.kind == "NCHW":
            return output
        if self.kind == "NHWC":
            return output.permute(0, 3, 1, 2)
        rows, columns = self.grid
        positions = output[:, self.n_prefix :].transpose(1, 2)
        return positions.reshape(*positions.shape[:2], rows, columns)


@dataclass(frozen=True)
class MapLayer:
    """A layer that gives maps.

    Args:
        name: its name in the model.
        module: the layer.
        call: which of its calls in one forward pass is meant, from 0.
        layout: of its output.
        n_tokens: the tokens of its output, those before the positions as well; 0 for maps.
    """

    name: str
    module: nn.Module
    call: int
    layout: Layout
    n_tokens: int = 0


@dataclass(frozen=True)
class MapLayers:
    """What was found in a model; see `find_map_layers`.

    Args:
        last: the last layer that gives maps.
        best: the last one with at least 4 x 4 positions that each bear on the answer; None if the
            answer depends on no map.
        read: for tokens, which of those of `last` the answer is made of: bool [T]; else None.
    """

    last: MapLayer
    best: MapLayer | None
    read: Tensor | None


def find_map_layers(model: nn.Module, picture: Tensor) -> MapLayers | None:
    """Pass one picture [1, C, H, W] through `model` and return its map layers; None if it has none.

    The model has to give scores [1, n]; it is used in the mode that it is in.
    """
    seen: list[tuple[MapLayer, Tensor]] = []
    with torch.enable_grad(), _noting(model, picture, seen):
        score = model(picture.detach().clone().requires_grad_()).amax()
        if not seen:
            return None
        seen = [(at, output) for at, output in seen if output.requires_grad] or seen
        outputs = [output for _, output in seen]
        if not score.requires_grad or not outputs[-1].requires_grad:
            return MapLayers(seen[-1][0], None, None)
        slopes: tuple[Any, ...] = torch.autograd.grad(score, outputs, allow_unused=True)
    reached = [(at, slope) for (at, _), slope in zip(seen, slopes, strict=True)]
    used = [(at, slope) for at, slope in reached if slope is not None]
    if not used:
        return MapLayers(seen[-1][0], None, None)
    last, slope = used[-1]
    read = slope[0].abs().sum(1) > 0 if last.n_tokens else None
    # A class token alone may be read of the last layers: their positions change nothing.
    bearing = [at for at, slope in used if at.layout.maps(slope).any()]
    bearing = bearing or [at for at, _ in used]
    fine = [at for at in bearing if min(at.layout.grid) >= _FINE]
    return MapLayers(last, (fine or bearing)[-1], read)


def map_layer_named(model: nn.Module, name: str, picture: Tensor) -> MapLayer | None:
    """Return the last call of one layer of `model`, or None if it gives no maps."""
    seen: list[tuple[MapLayer, Tensor]] = []
    with torch.no_grad(), _noting(model, picture, seen, also=name):
        model(picture)
    return next((at for at, _ in reversed(seen) if at.name == name), None)


def _read_layout(output: Any, picture: Tensor, grids: Sequence[Grid]) -> Layout | None:
    """Return how a layer's output holds the positions of a picture, or None if it does not.

    `grids` are (rows, columns) of the maps before; without any, the picture's shape tells it.
    """
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if len(output) != len(picture) or output.ndim not in (3, 4):
        return None
    known = [*reversed(grids)]
    smaller = list(dict.fromkeys(g for grid in known for g in _halved(grid)))
    if output.ndim == 4:
        for grid in (*known, *smaller):
            if grid == tuple(output.shape[2:]):
                return Layout("NCHW", grid)
            if grid == tuple(output.shape[1:3]):
                return Layout("NHWC", grid)
        return None
    n = output.shape[1]
    for grid in known or _shaped_like(picture, n):
        if 0 <= n - grid[0] * grid[1] <= _MOST_PREFIX:
            return Layout("tokens", grid, n - grid[0] * grid[1])
    for grid in smaller:
        if n == grid[0] * grid[1]:
            return Layout("tokens", grid)
    return None


@contextmanager
def _noting(
    model: nn.Module,
    picture: Tensor,
    seen: list[tuple[MapLayer, Tensor]],
    *,
    also: str | None = None,
) -> Iterator[None]:
    """Note each output that is a map of more than one row and column, in the order of the calls.

    What linear layers make of tokens is a query or a key, so it is left out, unless it is `also`.
    """
    grids: dict[Grid, None] = {}
    calls: dict[int, int] = {}

    def note(name: str, layer: nn.Module, output: Any) -> None:
        call = calls[id(layer)] = calls.get(id(layer), -1) + 1
        if isinstance(layer, _GRID_LAYERS) and isinstance(output, Tensor) and output.ndim == 4:
            grid = (output.shape[2], output.shape[3])
            grids.pop(grid, None)  # the latest stands last
            if min(grid) > 1:
                grids[grid] = None
        if isinstance(layer, nn.Linear) and name != also:
            return
        layout = _read_layout(output, picture, list(grids))
        if layout is not None and min(layout.grid) > 1:
            n_tokens = output.shape[1] if layout.kind == "tokens" else 0
            seen.append((MapLayer(name, layer, call, layout, n_tokens), output))

    with ExitStack() as undo:
        undo.enter_context(uncompiled())
        for name, layer in model.named_modules():

            def hook(layer: nn.Module, _: Any, output: Any, name: str = name) -> None:
                note(name, layer, output)

            undo.callback(layer.register_forward_hook(hook).remove)
        yield


def _halved(grid: Grid) -> list[Grid]:
    """Return the grids that halving makes of one: networks of tokens merge 2 x 2 of them."""
    made = []
    while min(grid) > 2:
        grid = (grid[0] + 1) // 2, (grid[1] + 1) // 2
        made.append(grid)
    return made


def _shaped_like(picture: Tensor, n: int) -> list[Grid]:
    """Return the largest grid of at most `n` positions that has the shape of the picture."""
    height, width = picture.shape[-2:]
    common = gcd(height, width)
    rows, columns = height // common, width // common
    times = isqrt(n // (rows * columns))
    return [(rows * times, columns * times)] if times else []
