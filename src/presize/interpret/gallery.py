"""Pictures with what a model said of them written above, and what it looked at laid over them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from presize.show.colours import palette
from presize.show.grids import Grid, get_grid, titles_fitted
from presize.show.pictures import show_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CAPTION = 9  # points
_HEAT = 0.6  # the most that a heat map hides of its picture, as in `heat_map_overlay.blend`


def plot_predictions(
    pictures: Sequence[Any | Callable[["Axes"], object]],
    captions: Sequence[Sequence[str]],
    *,
    right: Sequence[bool | None] | None = None,
    heat_maps: Sequence[Any] | Tensor | None = None,
    heading: str | None = None,
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
) -> Grid:
    """Draw pictures with their captions on a grid; return the axes.

    Args:
        pictures: what `show_image` takes, or functions that draw on the axes that they are given.
        captions: the lines above each; long ones are wrapped, or lose their middle.
        right: whether the model is right about each; captions are green or red then. None for one
            of which it cannot be said.
        heat_maps: for each picture [h, w] in 0..1, laid over it; None for a picture without.
        heading: written above all.
        nrows: rows of the grid.
        ncols: columns of the grid.
        figsize: (width, height) in inches.

    Raises:
        ValueError: there is no picture, or not a caption for each.
    """
    n = len(pictures)
    for name, given in (("captions", captions), ("right", right), ("heat_maps", heat_maps)):
        if given is not None and len(given) != n:
            raise ValueError(f"{n} pictures need as many {name}; got {len(given)}.")
    if not n:
        raise ValueError("plot_predictions got no picture to draw.")
    grid = get_grid(n, nrows, ncols, figsize, suptitle=heading)
    for i, ax in enumerate(grid):
        if callable(pictures[i]):
            pictures[i](ax)
        else:
            show_image(pictures[i], ax)
        if heat_maps is not None and heat_maps[i] is not None:
            draw_heat(ax, heat_maps[i])
        colours, verdict = palette(ax), None if right is None else right[i]
        colour = colours.ink
        if verdict is not None:
            colour = colours.right if verdict else colours.wrong
        text = "\n".join(captions[i])
        ax.set_title(text, fontsize=_CAPTION, color=colour, parse_math=False)
    return titles_fitted(grid)


def draw_heat(ax: "Axes", heat: Any) -> None:
    """Lay a heat map, [h, w] in 0..1, over the picture that the axes hold.

    What is warm hides more of the picture; "inferno" grows evenly lighter, also in gray.
    """
    values = np.asarray(heat.detach().cpu() if hasattr(heat, "detach") else heat, dtype=np.float32)
    image = ax.images[0]
    ax.imshow(
        values,
        cmap="inferno",
        vmin=0,
        vmax=1,
        alpha=_HEAT * values.clip(0, 1) ** 0.5,
        extent=image.get_extent(),
        interpolation="bilinear",
    )
