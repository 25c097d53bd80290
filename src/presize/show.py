"""Draws pictures, grids of pictures and functions with matplotlib, which is imported on first use.

Everything is drawn from plain arrays: tensors, NumPy arrays and PIL pictures alike.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from presize.core.foundation import to_np
from presize.core.graph import gv as gv
from presize.core.lazy import plt
from presize.core.pixels import as_pixels, gray_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_POINTS = 201  # of a plotted function; odd, so that the middle, such as 0, is one of them


def _figure_size(height: int, width: int) -> tuple[float, float]:
    """Return (width, height) in inches: an inch for 32 pixels, from 1 to 5 on the longer side."""
    longer = min(5.0, max(1.0, max(height, width) / 32))
    scale = longer / max(height, width, 1)
    return max(width * scale, 0.5), max(height * scale, 0.5)


def _default_cmap() -> str:
    """Return the colours for gray values: what the user set in matplotlib, else plain gray."""
    import matplotlib as mpl

    chosen: str = mpl.rcParams["image.cmap"]
    return "gray" if chosen == mpl.rcParamsDefault["image.cmap"] else chosen


def show_image(
    im: Any,
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
    title: object = None,
    ctx: "Axes | None" = None,
    *,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    alpha: float | None = None,
    interpolation: str | None = None,
) -> "Axes":
    """Draw one picture without axes around it, and return the axes that it is on.

    Args:
        im: tensor, array or PIL picture; see `as_pixels`.
        ax: where to draw; a new figure if None.
        figsize: (width, height) of a new figure in inches; by the size of the picture if None.
        title: written above; anything that prints.
        ctx: the same as `ax`.
        cmap: matplotlib's name for the colours of gray values; if None, what
            `matplotlib.rc("image", cmap=...)` has set, else gray.
        vmin: value drawn as the first colour of `cmap`; if None, black as the kind of number
            has it (0), or the smallest value if it cannot be known or a `cmap` is given.
        vmax: value drawn as the last colour, likewise.
        alpha: how opaque, 0 to 1.
        interpolation: matplotlib's name for how pixels are enlarged.
    """
    pixels = as_pixels(im)
    axes = ax if ax is not None else ctx
    if axes is None:
        axes = plt.subplots(figsize=figsize or _figure_size(*pixels.shape[:2]))[1]
    elif figsize is not None:
        warnings.warn("figsize is ignored by show_image where axes are given.", stacklevel=2)
    if pixels.ndim == 2 and cmap is None:
        low, high = gray_range(pixels)
        vmin, vmax = low if vmin is None else vmin, high if vmax is None else vmax
    axes.imshow(
        pixels,
        cmap=cmap or _default_cmap(),
        vmin=vmin,
        vmax=vmax,
        alpha=alpha,
        interpolation=interpolation,
    )
    if title is not None:
        axes.set_title(str(title))
    axes.axis("off")
    return axes


def show_titled_image(
    pair: tuple[Any, object],
    ax: "Axes | None" = None,
    figsize: tuple[float, float] | None = None,
    ctx: "Axes | None" = None,
    *,
    cmap: str | None = None,
) -> "Axes":
    """Draw a (picture, title) pair; the options are those of `show_image`."""
    return show_image(pair[0], ax, figsize, pair[1], ctx, cmap=cmap)


def subplots(
    nrows: int = 1,
    ncols: int = 1,
    figsize: tuple[float, float] | None = None,
    imsize: float = 3,
    suptitle: str | None = None,
    *,
    sharex: bool = False,
    sharey: bool = False,
) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """Return a figure and its axes, which are always an array, also where there is only one.

    One row or one column gives an array [n], more give [nrows,ncols].

    Args:
        nrows: rows of axes.
        ncols: columns of axes.
        figsize: (width, height) of the figure in inches; if None, `imsize` for each of the axes.
        imsize: width and height of one of the axes in inches.
        suptitle: written above all.
        sharex: the same range from left to right in all axes.
        sharey: the same range from bottom to top in all axes.
    """
    if figsize is None:
        figsize = ncols * imsize, nrows * imsize + (0.4 if suptitle else 0)
    figure, axes = plt.subplots(
        nrows, ncols, figsize=figsize, sharex=sharex, sharey=sharey, squeeze=False
    )
    if suptitle is not None:
        figure.suptitle(suptitle)
    return figure, axes if nrows > 1 and ncols > 1 else axes.reshape(-1)


def get_grid(
    n: int,
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
    *,
    double: bool = False,
    suptitle: str | None = None,
    imsize: float = 3,
) -> "list[Axes]":
    """Return `n` axes on a grid; those left over are hidden.

    Args:
        n: number of axes wanted; at most `nrows * ncols` come back where both are given.
        nrows: rows; if None, so that the grid is about square, and wider rather than higher.
        ncols: columns; if None, as many as the rows need.
        figsize: (width, height) of the figure in inches; by `imsize` if None.
        double: two axes side by side for each of the `n`: 2n axes, for before and after.
        suptitle: written above all.
        imsize: width and height of one of the axes in inches.
    """
    if n < 1:
        raise ValueError(f"get_grid makes room for at least one picture; got n={n}.")
    if nrows is None:
        nrows = math.ceil(n / ncols) if ncols else math.isqrt(n)
    ncols = ncols or math.ceil(n / nrows)
    n, columns = min(n, nrows * ncols) * (1 + double), ncols * (1 + double)
    figure, axes = subplots(nrows, columns, figsize, imsize, suptitle)
    _leave_room_for_titles(figure, nrows, above=suptitle is not None)
    axes = axes.reshape(-1)
    for left_over in axes[n:]:
        left_over.set_axis_off()
    return list(axes[:n])


def _leave_room_for_titles(figure: "Figure", nrows: int, *, above: bool) -> None:
    """Let pictures fill their figure, but for two lines of text over each, and one over all."""
    gap, height = 0.45, figure.get_size_inches()[1]  # inches
    top = min(0.25, (gap + 0.35 * above) / height)
    each = (height * (0.98 - top) - gap * (nrows - 1)) / nrows
    figure.subplots_adjust(
        left=0.02,
        right=0.98,
        bottom=0.02,
        top=1 - top,
        wspace=0.06,
        hspace=min(0.5, gap / max(each, 0.1)),
    )


def show_images(
    ims: Iterable[Any],
    nrows: int = 1,
    ncols: int | None = None,
    titles: Sequence[object] | None = None,
    *,
    suptitle: str | None = None,
    figsize: tuple[float, float] | None = None,
    imsize: float = 3,
    cmap: str | None = None,
) -> None:
    """Draw pictures on a grid.

    Args:
        ims: the pictures, or a batch of them; see `as_pixels`.
        nrows: rows of the grid.
        ncols: columns; if None, as many as are needed.
        titles: one for each picture.
        suptitle: written above all.
        figsize: (width, height) of the figure in inches; by `imsize` if None.
        imsize: width and height of one picture in inches.
        cmap: colours of gray values; see `show_image`.

    Raises ValueError if there is no picture, more than the grid holds, or another number of
    titles.
    """
    pictures = list(ims)
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures need as many titles; got {len(titles)}.")
    if ncols is not None and len(pictures) > nrows * ncols:
        raise ValueError(
            f"{len(pictures)} pictures do not fit on {nrows} x {ncols}: leave ncols out, or show "
            f"only the first, `ims[:{nrows * ncols}]`."
        )
    if not pictures:
        raise ValueError("show_images got no picture to show.")
    grid = get_grid(len(pictures), nrows, ncols, figsize, suptitle=suptitle, imsize=imsize)
    for i, (picture, ax) in enumerate(zip(pictures, grid, strict=True)):
        show_image(picture, ax, title=None if titles is None else titles[i], cmap=cmap)


def plot_function(
    f: Callable[[Tensor], Any],
    tx: str | None = None,
    ty: str | None = None,
    title: str | None = None,
    min: float = -2,
    max: float = 2,
    figsize: tuple[float, float] = (6, 4),
    *,
    ax: "Axes | None" = None,
) -> None:
    """Draw `f` from `min` to `max`; what is drawn next with `plt` goes onto the same axes.

    Args:
        f: takes a tensor of 201 numbers and returns as many.
        tx: written under the x axis.
        ty: written beside the y axis.
        title: written above.
        min: left end.
        max: right end.
        figsize: (width, height) of a new figure in inches.
        ax: where to draw; a new figure if None.

    Raises ValueError if `f` returns another number of values.
    """
    x = torch.linspace(min, max, _POINTS)
    y = np.asarray(to_np(f(x)))
    if y.shape != (_POINTS,):
        raise ValueError(
            f"plot_function gives `f` a tensor of {_POINTS} numbers and needs as many back; "
            f"`f` returned the shape {list(y.shape)}. Write it with functions of tensors that "
            f"work element by element, as `x**2` or `torch.sin(x)`."
        )
    axes = plt.subplots(figsize=figsize)[1] if ax is None else ax
    axes.plot(x.numpy(), y)
    axes.set(xlabel=tx or "", ylabel=ty or "", title=title or "")
