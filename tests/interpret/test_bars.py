import numpy as np
import pytest

from presize.interpret.bars import plot_per_class


def test_the_lowest_classes_are_drawn_first():
    axes = plot_per_class(list("abcd"), [0.5, 0.1, 1.0, 0.3], [7, 1200, 3, 1], k=3)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b (1,200)", "d (1)", "a (7)"]
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.3, 0.5]
    assert [text.get_text() for text in axes.texts] == ["0.10", "0.30", "0.50"]
    assert axes.get_title() == "F1 of the lowest 3 of 4 classes"


def test_a_class_without_pictures_says_so_and_comes_last():
    axes = plot_per_class(["$a$", "b"], [np.nan, 1.0], name="Recall")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "$a$"]
    assert axes.texts[-1].get_text() == "no pictures"
    assert axes.get_title() == "Recall of each class"
    axes.figure.canvas.draw()
    assert plot_per_class(["a"], [0.0], ax=axes, title="mine") is axes
    assert axes.get_title() == "mine"


def test_there_is_a_value_for_each_class():
    with pytest.raises(ValueError, match="got 2 names, 1 values and 3 counts"):
        plot_per_class(["a", "b"], [1.0], [1, 2, 3])
    with pytest.raises(ValueError, match="got 0 names"):
        plot_per_class([], [])


def test_names_of_odd_bytes_are_drawn():
    ax = plot_per_class(["caf\udce9"], [0.5])
    ax.figure.canvas.draw()
    assert ax.get_yticklabels()[0].get_text() == r"caf\udce9"
