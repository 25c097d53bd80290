"""Axes on a grid: for pictures, with room for their titles, and for the panels of a plot."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from presize.core.lazy import plt
from presize.show.titles import fit_titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_TEXT = 0.4  # of a figure's height; titles that need more have one line for each of theirs


class Grid(list[Any]):
    """The axes of a figure in use, row by row, and the figure: `grid.figure`, `grid.savefig(...)`.

    A notebook draws a figure when its cell ends, and would draw one that a cell returns once more;
    this it draws once.
    """

    def __init__(self, axes: "Iterable[Axes]") -> None:
        super().__init__(axes)

    @property
    def figure(self) -> "Figure":
        """The figure that the axes are on."""
        figure: Figure = self[0].get_figure(root=True)
        return figure

    @property
    def axes(self) -> "list[Axes]":
        """The axes, as a figure calls them."""
        return list(self)

    def savefig(self, *args: Any, **options: Any) -> None:
        """Write the figure to a file; the arguments are those of matplotlib's own."""
        self.figure.savefig(*args, **options)

    def __repr__(self) -> str:
        return f"<Grid of {len(self)} axes>"

    def _ipython_display_(self) -> None:
        """Show nothing: the notebook shows the figure itself."""


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
) -> Grid:
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
    _leave_room(figure, nrows, 2 * plt.rcParams["font.size"] * 1.2)
    axes = axes.reshape(-1)
    for left_over in axes[n:]:
        left_over.set_axis_off()
    return Grid(axes[:n])


def titles_fitted(grid: Grid, max_lines: int = 2) -> Grid:
    """Make the titles of a grid's pictures fit, and leave as much room above as they need.

    Args:
        grid: the axes, with their titles on them.
        max_lines: what one line of a title may become; a longer one loses its middle.
    """
    titles = [(ax.get_title(), ax.title.get_fontsize()) for ax in grid]
    if not any(title for title, _ in titles):
        return grid
    nrows, height = grid[0].get_gridspec().nrows, grid.figure.get_size_inches()[1] * 72
    text = _text_height(grid, max_lines)
    if max_lines > 1 and text * nrows > height * _TEXT:
        for ax, (title, size) in zip(grid, titles, strict=True):
            ax.set_title(title, fontsize=size)
        text = _text_height(grid, 1)
    _leave_room(grid.figure, nrows, text)
    return grid


def _text_height(grid: Grid, max_lines: int) -> float:
    """Make the titles fit; return how high the highest is, in points."""
    lines = fit_titles(grid, max_lines)
    return lines * 1.25 * max(float(ax.title.get_fontsize()) for ax in grid if ax.get_title())


def _leave_room(figure: "Figure", nrows: int, text: float) -> None:
    """Let pictures fill their figure, but for `text` points over each, and a heading over all."""
    gap, height = text / 72 + 0.13, figure.get_size_inches()[1]  # inches; 6 points pad a title
    heading = 0.35 * (figure.get_suptitle() != "")
    top = min(0.7, (gap + heading) / height)
    each = max((height * (0.98 - top) - gap * (nrows - 1)) / nrows, 0.1)
    figure.subplots_adjust(
        left=0.02,
        right=0.98,
        bottom=0.02,
        top=1 - top,
        wspace=0.06,
        hspace=gap / each,
    )


def panels(
    names: Sequence[str],
    each: tuple[float, float] = (5.0, 3.5),
    figsize: tuple[float, float] | None = None,
    ax: "Axes | Sequence[Axes] | None" = None,
) -> Grid:
    """Return axes for the panels of a plot, two in a row: those given, or those of a new figure.

    Args:
        names: of the panels.
        each: (width, height) of one in inches.
        figsize: (width, height) of a new figure in inches; by `each` if None.
        ax: axes for one panel, or several for as many panels.

    Raises ValueError if `ax` holds another number of axes.
    """
    if ax is not None:
        many: Any = [ax] if hasattr(ax, "plot") else np.ravel(np.asarray(ax, dtype=object))
        given = Grid(many)
        if len(given) != len(names):
            raise ValueError(
                f"{len(names)} panels are to be drawn ({', '.join(names)}), but `ax` has room for "
                f"{len(given)}. Give as many axes, as `subplots(1, {len(names)})[1]`, or name "
                f"fewer panels."
            )
        return given
    rows, columns = (len(names) + 1) // 2, min(len(names), 2)
    size = figsize or (columns * each[0], rows * each[1])
    _, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for left_over in grid.flat[len(names) :]:
        left_over.set_axis_off()
    return Grid(grid.flat[: len(names)])
