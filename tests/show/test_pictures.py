"""Pictures on axes: their colours, their sizes, their titles."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from presize.show import get_grid, show_image, show_images, show_titled_image, subplots

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
    pictures = [DIGIT, DIGIT, torch.ones(3, 8, 8)]
    grid = show_images(pictures, nrows=2, titles=[1, "b", None], suptitle="s")
    figure = grid.figure
    assert len(grid) == 3
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


def test_a_title_on_one_of_many_axes_keeps_to_its_place():
    ax = get_grid(4, nrows=1, figsize=(8, 2))[1]
    show_image(DIGIT, ax, title="a_title_that_is_much_too_long_for_so_small_a_picture" * 2)
    assert ax.get_title().count("\n") == 1 and "…" in ax.get_title()


def test_a_dollar_sign_is_no_formula():
    ax = show_image(DIGIT, title=r"$5 or $\frac{")
    ax.figure.canvas.draw()
    assert ax.get_title() == r"$5 or $\frac{"


def test_a_name_of_odd_bytes_is_a_title():
    axes = show_image(np.zeros((4, 4)), title="caf\udce9")
    axes.figure.canvas.draw()
    assert axes.get_title() == r"caf\udce9"


def test_titles_may_be_an_array():
    assert [ax.get_title() for ax in show_images([np.eye(2)] * 2, titles=np.array(["a", "b"]))] == [
        "a", "b"
    ]  # fmt: skip
