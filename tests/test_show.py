import math

import matplotlib as mpl
import numpy as np
import pytest
import torch

from presize.core.lazy import plt
from presize.show import (
    get_grid,
    gv,
    plot_function,
    show_image,
    show_images,
    show_titled_image,
    subplots,
)

DIGIT = torch.eye(28)


def drawn(ax):
    """Return the one picture on the axes."""
    (picture,) = ax.get_images()
    return picture


def test_show_image_draws_without_axes_and_returns_them():
    ax = show_image(DIGIT, title=3)
    assert not ax.axison
    assert ax.get_title() == "3"
    assert (drawn(ax).get_array() == DIGIT.numpy()).all()
    assert drawn(ax).get_cmap().name == "gray"
    assert drawn(ax).get_clim() == (0, 1)


def test_a_picture_of_one_gray_is_shown_in_that_gray():
    assert drawn(show_image(np.full((4, 4), 90, np.uint8))).get_clim() == (0, 255)
    assert drawn(show_image(np.full((4, 4), 90, np.uint8), cmap="tab20")).get_clim() == (90, 90)


def test_the_users_colour_map_is_honoured():
    with mpl.rc_context({"image.cmap": "Greys"}):
        assert drawn(show_image(DIGIT)).get_cmap().name == "Greys"
        assert drawn(show_image(DIGIT, cmap="bone")).get_cmap().name == "bone"


def test_show_image_draws_on_the_axes_that_it_is_given():
    _, axes = subplots(1, 3)
    assert show_image(DIGIT, axes[0]) is axes[0]
    assert show_image(DIGIT, ctx=axes[1]) is axes[1]
    assert show_image(DIGIT, ax=axes[2], ctx=axes[1]) is axes[2]
    with pytest.warns(UserWarning, match="figsize is ignored by show_image"):
        show_image(DIGIT, axes[0], figsize=(2, 2))


def test_options_reach_the_picture():
    picture = drawn(show_image(DIGIT, vmin=-1, vmax=2, alpha=0.5, interpolation="nearest"))
    assert picture.get_clim() == (-1, 2)
    assert picture.get_alpha() == 0.5
    assert picture.get_interpolation() == "nearest"


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((28, 28), (1, 1)),
        ((64, 128), (4, 2)),
        ((3, 640, 320), (2.5, 5)),
        ((3, 1000, 10), (0.5, 5)),
    ],
)
def test_a_figure_is_as_large_as_the_picture_needs(shape, size):
    figure = show_image(torch.zeros(shape)).figure
    assert tuple(figure.get_size_inches()) == pytest.approx(size)
    assert tuple(show_image(DIGIT, figsize=(3, 2)).figure.get_size_inches()) == (3, 2)


def test_show_titled_image():
    ax = show_titled_image((DIGIT, "three"))
    assert ax.get_title() == "three"


def test_show_images():
    show_images([DIGIT, DIGIT, torch.ones(3, 8, 8)], nrows=2, titles=[1, "b", None], suptitle="s")
    figure = plt.gcf()
    assert [o.get_title() for o in figure.axes] == ["1", "b", "", ""]
    assert [len(o.get_images()) for o in figure.axes] == [1, 1, 1, 0]
    assert figure.get_suptitle() == "s"


def test_show_images_says_what_does_not_fit():
    with pytest.raises(ValueError, match="2 pictures need as many titles; got 1"):
        show_images([DIGIT, DIGIT], titles=["a"])
    with pytest.raises(ValueError, match=r"3 pictures do not fit on 1 x 2.*`ims\[:2\]`"):
        show_images([DIGIT] * 3, ncols=2)
    with pytest.raises(ValueError, match="no picture to show"):
        show_images([])


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
    assert len(grid) == n
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


def test_plot_function_draws_what_follows_onto_the_same_axes():
    plot_function(torch.sigmoid, "x", "y", title="Sigmoid", min=-4, max=4)
    ax = plt.gca()
    (line,) = ax.lines
    assert line.get_xdata()[[0, -1]].tolist() == [-4, 4]
    assert line.get_ydata() == pytest.approx(1 / (1 + np.exp(-line.get_xdata())), rel=1e-5)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("x", "y", "Sigmoid")
    plt.scatter(-1.5, 0.5, color="red")
    assert len(ax.collections) == 1


def test_plot_function_bears_infinite_values_and_given_axes():
    _, axes = subplots()
    plot_function(torch.log, min=0, max=4, ax=axes[0])
    assert len(axes[0].lines) == 1


def test_plot_function_says_what_it_needs():
    with pytest.raises(
        ValueError, match=r"201 numbers and needs as many back.*returned the shape \[\]"
    ):
        plot_function(lambda x: (x**2).sum())


def test_gv_comes_with_show():
    assert "a -> b" in gv("a -> b").source
