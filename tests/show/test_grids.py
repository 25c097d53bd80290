"""Grids of axes: how many, how large, and what a notebook makes of them."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from presize.core.lazy import plt
from presize.show import Grid, get_grid, show_images, subplots
from presize.show.grids import panels, titles_fitted


@pytest.mark.parametrize(
    ("rows", "columns", "shape"),
    [(1, 1, (1,)), (1, 2, (2,)), (3, 1, (3,)), (2, 3, (2, 3))],
)
def test_subplots_always_gives_an_array_of_axes(rows, columns, shape):
    figure, axes = subplots(rows, columns, imsize=2)
    assert isinstance(axes, np.ndarray)
    assert axes.shape == shape
    assert tuple(figure.get_size_inches()) == (columns * 2, rows * 2)


def test_subplots_options():
    figure, axes = subplots(1, 2, figsize=(5, 2), suptitle="all", sharex=True, sharey=True)
    assert figure.get_suptitle() == "all"
    assert tuple(figure.get_size_inches()) == (5, 2)
    axes[0].set_xlim(0, 7)
    assert axes[1].get_xlim() == (0, 7)


@pytest.mark.parametrize("n", range(1, 13))
def test_a_grid_has_as_many_axes_as_asked_and_hides_the_rest(n):
    grid = get_grid(n)
    assert isinstance(grid, Grid) and len(grid) == n
    figure = grid[0].figure
    assert sum(o.axison for o in figure.axes) == n
    rows = grid[0].get_gridspec().nrows
    assert rows == math.isqrt(n)


def test_a_grid_of_given_rows_and_columns():
    assert get_grid(9, nrows=1)[0].get_gridspec().ncols == 9
    assert get_grid(9, ncols=2)[0].get_gridspec().nrows == 5
    assert len(get_grid(9, nrows=1, ncols=3)) == 3
    double = get_grid(2, ncols=1, double=True, suptitle="before and after")
    assert len(double) == 4 and double[0].get_gridspec().ncols == 2
    assert double[0].figure.get_suptitle() == "before and after"
    with pytest.raises(ValueError, match="got n=0"):
        get_grid(0)


LABELS = [
    "american_pit_bull_terrier",
    "a",
    "A label of many, many words that goes on",
    "b/c",
]


@pytest.mark.parametrize(
    ("figsize", "lines"),
    [(None, 1), (None, 3), ((12, 3), 2), ((6, 8), 3), ((3, 3), 1), ((3, 3), 3)],
)
def test_titles_neither_overlap_nor_leave_the_figure(figsize, lines):
    titles = ["\n".join([label] * lines) for label in LABELS * 2]
    grid = show_images([torch.eye(8)] * 8, 2, titles=titles, figsize=figsize, suptitle="heading")
    figure = grid.figure
    figure.canvas.draw()
    places = [ax.title.get_window_extent() for ax in grid]
    pictures = [ax.get_window_extent() for ax in grid]
    heading = figure._suptitle.get_window_extent()
    for i, place in enumerate(places):
        others = [o for j, o in enumerate(places) if j != i]
        assert not any(place.overlaps(o) for o in [*others, *pictures, heading])
        assert place.x0 >= 0 and place.x1 <= figure.bbox.width and place.y1 <= figure.bbox.height


def test_a_grid_without_titles_stays_as_it_is():
    grid = get_grid(2)
    before = [ax.get_position().bounds for ax in grid]
    assert [ax.get_position().bounds for ax in titles_fitted(grid)] == before


def test_a_grid_knows_its_figure_and_is_saved_like_one():
    grid = get_grid(2, imsize=1)
    assert grid.figure is plt.gcf() and grid.axes == list(grid)
    out = io.BytesIO()
    grid.savefig(out, dpi=50)
    assert Image.open(out).size == (100, 50)
    assert repr(grid) == "<Grid of 2 axes>"


def test_a_notebook_draws_a_returned_grid_only_once():
    from IPython.core.formatters import DisplayFormatter

    assert DisplayFormatter().format(get_grid(2)) == ({}, {})  # the figure itself is shown


def test_panels_are_new_or_those_given():
    grid = panels(["a", "b", "c"])
    assert len(grid) == 3 and [ax.axison for ax in grid.figure.axes] == [True, True, True, False]
    _, axes = subplots(2, 2)
    assert panels(["a"], ax=axes[0, 0]) == [axes[0, 0]]
    assert panels(list("abcd"), ax=axes) == list(axes.flat)
    with pytest.raises(ValueError, match=r"3 panels .*\(a, b, c\), but `ax` has room for 1"):
        panels(["a", "b", "c"], ax=axes[0, 0])
