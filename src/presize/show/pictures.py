"""Draws pictures, one or a grid of them."""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from presize.core.lazy import plt
from presize.core.pixels import as_pixels, gray_range
from presize.show.grids import Grid, get_grid, titles_fitted
from presize.show.titles import drawable, fit_titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        title: written above as it prints; on given axes it is made to fit their width.
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
        axes.set_title(drawable(title), parse_math=False)
        if ax is not None or ctx is not None:
            fit_titles([axes])
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
) -> Grid:
    """Draw pictures on a grid, and return its axes.

    Args:
        ims: the pictures, or a batch of them; see `as_pixels`.
        nrows: rows of the grid.
        ncols: columns; if None, as many as are needed.
        titles: one for each picture; long ones are wrapped, and lose their middle.
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
    written = [None] * len(pictures) if titles is None else titles
    for picture, ax, title in zip(pictures, grid, written, strict=True):
        show_image(picture, ax, cmap=cmap)
        ax.set_title("" if title is None else str(title))
    return titles_fitted(grid)
