import numpy as np
import pytest
import torch
from PIL import Image

from presize.interpret.gallery import plot_predictions
from presize.show.colours import palette

PICTURES = [Image.new("RGB", (12, 8), colour) for colour in ("red", "green", "blue")]
CAPTIONS = [["cat / dog", "1.25 / 0.90", f"{i}.jpg"] for i in range(3)]


def test_captions_stand_above_their_pictures_in_the_colour_of_the_verdict():
    grid = plot_predictions(PICTURES, CAPTIONS, right=[True, False, None], heading="Prediction")
    assert [ax.get_title() for ax in grid] == ["\n".join(lines) for lines in CAPTIONS]
    colours = palette(grid[0])
    expected = [colours.right, colours.wrong, colours.ink]
    assert [ax.title.get_color() for ax in grid] == expected
    assert grid.figure.get_suptitle() == "Prediction"
    assert all(len(ax.images) == 1 for ax in grid)


def test_heat_lies_over_the_whole_picture_and_more_so_where_it_is_warm():
    heat = torch.tensor([[0.0, 0.25], [1.0, 0.0]])
    grid = plot_predictions(PICTURES[:2], CAPTIONS[:2], heat_maps=[heat, None])
    picture, over = grid[0].images
    assert over.get_extent() == picture.get_extent()
    alpha = over.get_alpha()
    assert alpha[0, 0] == 0 and 0 < alpha[0, 1] < alpha[1, 0] < 0.7
    assert len(grid[1].images) == 1
    grid.figure.canvas.draw()


def test_pictures_may_draw_themselves():
    seen = []
    grid = plot_predictions([seen.append], [["a"]])
    assert seen == [grid[0]]


def test_there_is_a_caption_for_each_picture():
    with pytest.raises(ValueError, match="2 pictures need as many captions; got 3"):
        plot_predictions(PICTURES[:2], CAPTIONS)
    with pytest.raises(ValueError, match="3 pictures need as many heat_maps; got 1"):
        plot_predictions(PICTURES, CAPTIONS, heat_maps=np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="no picture to draw"):
        plot_predictions([], [])


def test_verdicts_may_be_a_tensor():
    grid = plot_predictions([np.eye(3)] * 2, [["a"], ["b"]], right=torch.tensor([True, False]))
    colours = palette(grid[0])
    assert [ax.title.get_color() for ax in grid] == [colours.right, colours.wrong]
