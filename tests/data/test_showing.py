import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from presize.data.category import Category
from presize.data.showing import (
    has_picture,
    how_many,
    samples_of,
    show_each,
    show_outcomes,
    show_values,
)
from presize.show.colours import palette
from presize.tensors import TensorCategory, TensorImage, TensorMask, TitledStr


def picture():
    return TensorImage(torch.rand(3, 8, 8))


def test_batches_of_all_forms_are_taken_apart():
    x, y = TensorImage(torch.zeros(4, 3, 2, 2)), TensorCategory([0, 1, 2, 3])
    made = samples_of((x, y), 2)
    assert len(made) == 2 and type(made[1]) is tuple
    assert type(made[1][0]) is TensorImage and type(made[1][1]) is TensorCategory
    assert int(made[1][1]) == 1
    assert len(samples_of((x, y), 99)) == 4
    assert samples_of((torch.arange(2), ("a", "b")), 9)[1][1] == "b"
    assert samples_of(["a", "b", "c"], 2) == ["a", "b"]
    assert samples_of([torch.arange(2), torch.arange(2)], 9)[1] == [1, 1]
    assert samples_of({"a": torch.arange(3)}, 1) == [{"a": torch.tensor(0)}]
    assert samples_of((torch.zeros(3, 2), (torch.ones(3), torch.ones(3))), 1)[0][1][0] == 1
    assert samples_of((), 3) == []


def test_what_is_a_picture():
    assert has_picture((picture(), 1)) and has_picture(Image.new("L", (2, 2)))
    assert not has_picture((torch.zeros(3), TitledStr("a")))


def test_how_many_are_shown():
    assert how_many(None, None, None) == how_many(None, 2, None) == 9
    assert how_many(None, 4, 4) == 16 and how_many(3, 4, 4) == 3


def test_pictures_go_on_a_grid_with_titles_and_the_rest_is_printed(capsys):
    show_each([(picture(), TitledStr(c)) for c in "abc"], show_values, nrows=1, ncols=3)
    assert [ax.get_title() for ax in plt.gcf().axes] == ["a", "b", "c"]
    assert all(len(ax.images) == 1 for ax in plt.gcf().axes)
    long = "a_label_that_is_longer_than_its_picture_is_wide"
    grid = show_each([(picture(), TitledStr(f"63% {long}\n37% {long}"))] * 2, show_values, 1, 2)
    assert grid[0].get_title().count("\n") == 3 and grid.figure is plt.gcf()
    plt.close("all")
    show_each([(1, "x"), (2, "y")], show_values)
    assert capsys.readouterr().out == "1\nx\n2\ny\n"
    assert not plt.get_fignums()


def test_results_are_green_where_right_and_red_where_wrong():
    pictures = [(picture(),) for _ in range(2)]
    wanted, got = [(Category("cat"),)] * 2, [(Category("cat"),), (Category("dog"),)]
    right, wrong = show_outcomes(pictures, wanted, got, show_values)
    colours = palette(right)
    assert right.get_title() == "cat\ncat" and right.title.get_color() == colours.right
    assert wrong.get_title() == "cat\ndog" and wrong.title.get_color() == colours.wrong


def test_results_without_targets_and_without_pictures(capsys):
    with plt.style.context("dark_background"):
        show_outcomes([(picture(),)], [()], [(Category("dog"),)], show_values)
    assert plt.gcf().axes[0].title.get_color() == "white"
    plt.close("all")
    show_outcomes([(picture(),)], [()], [(Category("dog"),)], show_values)
    assert plt.gcf().axes[0].get_title() == "dog"
    assert plt.gcf().axes[0].title.get_color() == "black"
    show_outcomes([(1,)], [(2,)], [(3,)], show_values)
    assert capsys.readouterr().out == "1\n2\n3\n"


def test_masks_are_drawn_side_by_side():
    masks = [(TensorMask(np.eye(8, dtype=np.uint8)),)] * 2
    show_outcomes([(picture(),)] * 2, masks, masks, show_values)
    titles = [ax.get_title() for ax in plt.gcf().axes]
    assert titles[:2] == ["Target", "Prediction"] and titles.count("Target") == 2
    assert all(len(ax.images) == 2 for ax in plt.gcf().axes if ax.get_title())
