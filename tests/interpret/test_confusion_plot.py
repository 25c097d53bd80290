"""The confusion matrix as it is drawn: few classes and many, light and dark."""

from itertools import pairwise

import numpy as np
import pytest

from presize.core.lazy import plt
from presize.interpret.confusion_plot import plot_confusion
from presize.show.colours import contrast


def made(n, per=50, group=4):
    """Counts in which groups of neighbours are mixed up a little."""
    rng = np.random.default_rng(0)
    counts = np.eye(n, dtype=int) * per
    for i in range(n):
        for j in (i // group * group + rng.integers(group, size=4)) % n:
            counts[i, j] += 2
    return counts


def names_of(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def assert_apart(labels):
    boxes = [text.get_window_extent() for text in labels]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_a_class_without_pictures_is_marked():
    ax = plot_confusion(np.array([[3, 1], [0, 0]]), ["a", "$b$"], normalize=True)
    assert names_of(ax) == ["a", "$b$ (no pictures)"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "$b$"]
    assert [text.get_text() for text in ax.texts] == ["0.75", "0.25", "0.00", "0.00"]
    ax.figure.canvas.draw()


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("cmap", [None, "Blues"])
def test_what_is_written_in_a_cell_can_be_read(style, cmap):
    with plt.style.context(style):
        ax = plot_confusion(made(10), [f"c{i}" for i in range(10)], cmap=cmap)
    image = ax.images[0]
    cells = image.to_rgba(image.get_array())
    ground = np.array([0.0] * 3 if style == "dark_background" else [1.0] * 3)
    for text in ax.texts:
        j, i = map(int, text.get_position())
        behind = cells[i, j, :3] * cells[i, j, 3] + ground * (1 - cells[i, j, 3])
        assert contrast(text.get_color(), behind) >= 4.4, text


def test_one_error_is_seen_beside_many_hits():
    counts = np.diag([1000, 1000, 1000])
    counts[0, 1] = 1
    pixels = plot_confusion(counts, "abc").images[0].get_array()
    assert pixels[0, 1, 3] > 0.5 and pixels[0, 2, 3] == 0
    assert pixels[0, 1, 0] > pixels[0, 1, 2] and pixels[0, 0, 0] < pixels[0, 0, 2]  # red, blue


def test_the_most_mixed_up_classes_alone():
    counts = made(300)
    counts[7, 250] = counts[250, 7] = 30
    ax = plot_confusion(counts, [f"class {i}" for i in range(300)], k=6)
    assert len(names_of(ax)) <= 6 and {"class 7", "class 250"} <= set(names_of(ax))
    assert "of 300 classes" in ax.get_title()
    assert "30" in [text.get_text() for text in ax.texts]
    shares = plot_confusion(counts, range(300), k=2, normalize=True)
    assert f"{30 / counts[7].sum():.2f}" in [text.get_text() for text in shares.texts]
    clean = plot_confusion(np.eye(300, dtype=int), range(300), k=4)
    assert names_of(clean) == ["0", "1", "2", "3"]


def test_many_classes_are_put_in_order_and_all_named():
    names = [f"class number {i}" for i in range(100)]
    counts = made(100)
    ax = plot_confusion(counts, names, plot_txt=False)
    assert names_of(ax) != names and sorted(names_of(ax)) == sorted(names)
    ax.figure.canvas.draw()
    assert_apart(ax.get_yticklabels())
    assert names_of(plot_confusion(counts, names, cluster=False, plot_txt=False)) == names
    few = plot_confusion(counts[:41, :41], names[:41])
    assert names_of(few) != names[:41] and len(few.texts) == np.count_nonzero(counts[:41, :41])


def test_a_thousand_classes_are_marks_with_named_groups():
    counts = made(1000)
    ax = plot_confusion(counts, [f"class number {i}" for i in range(1000)])
    assert not ax.images and not ax.texts
    drawn = sum(len(marks.get_offsets()) for marks in ax.collections)
    assert drawn == np.count_nonzero(counts)
    ax.figure.canvas.draw()
    labels = ax.get_yticklabels()
    assert 20 < len(labels) < 100 and labels[0].get_text().endswith(" + 2")
    assert_apart(labels)


@pytest.mark.parametrize("n", [2, 12, 37])
def test_nothing_is_cut_off(n):
    names = [f"{'a_rather_long_name_of_a_class_that_goes_on' * (i % 2)}{i}" for i in range(n)]
    ax = plot_confusion(made(n, group=2), names)
    ax.figure.canvas.draw()
    whole, page = ax.get_tightbbox(), ax.figure.bbox
    assert whole.x0 >= -1 and whole.y0 >= -1
    assert whole.x1 <= page.width + 1 and whole.y1 <= page.height + 1


def test_the_axes_may_be_given():
    _, axes = plt.subplots(1, 2, figsize=(6, 3))
    assert plot_confusion(made(3), "abc", ax=axes[1], title="mine") is axes[1]
    assert axes[1].get_title() == "mine" and not axes[0].images


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"got \[2, 2\] and 3 name"):
        plot_confusion(np.eye(2, dtype=int), ["a", "b", "c"])
    with pytest.raises(ValueError, match="2 or more; got k=1"):
        plot_confusion(np.eye(2, dtype=int), ["a", "b"], k=1)


def test_names_of_odd_bytes_are_drawn():
    ax = plot_confusion(np.array([[5, 1], [2, 9]]), ["caf\udce9", "tea"])
    ax.figure.canvas.draw()
    assert names_of(ax)[0] == r"caf\udce9"


def test_without_errors_no_class_is_called_mixed_up():
    ax = plot_confusion(np.eye(6, dtype=int), list("abcdef"), k=3)
    assert ax.get_title() == "The first 3 of 6 classes; none are mixed up"


def test_a_picture_that_the_axes_hold_is_not_taken_for_the_matrix():
    _, ax = plt.subplots()
    ax.imshow(np.zeros((9, 9, 3)))  # black: what is written on it would be white
    plot_confusion(np.array([[9, 0], [0, 9]]), ["a", "b"], ax=ax)
    zero = next(text for text in ax.texts if text.get_text() == "0")
    assert contrast(zero.get_color(), "white") > 4.4
