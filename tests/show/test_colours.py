"""Colours that can be read, on light and on dark."""

import pytest

from presize.core.lazy import plt
from presize.show.colours import contrast, luminance, palette


def test_contrast_is_that_of_the_standard():
    assert contrast("white", "black") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)  # the known near miss
    assert luminance("red") == pytest.approx(0.2126)


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot", "Solarize_Light2"])
def test_text_of_every_colour_is_legible(style):
    with plt.style.context(style):
        ax = plt.figure().add_subplot()
        colours = palette(ax)
        ground = ax.figure.get_facecolor()
        assert colours.dark == (style == "dark_background")
    if style in ("default", "dark_background"):
        for colour in (colours.ink, colours.right, colours.wrong, colours.faint):
            assert contrast(colour, ground) >= 4.5
    assert contrast(colours.right, colours.wrong) > 1.1  # not by hue alone


def test_a_figure_without_a_ground_of_its_own_goes_by_its_labels():
    with plt.rc_context({"figure.facecolor": "none", "axes.labelcolor": "white"}):
        assert palette(plt.figure().add_subplot()).dark
