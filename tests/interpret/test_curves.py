"""Calibration and precision-recall curves, against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, precision_recall_curve

from presize.interpret.curves import (
    calibration_bins,
    calibration_gap,
    plot_calibration,
    plot_precision_recall,
)
from presize.train.calibration_error import calibration_error

RNG = np.random.default_rng(0)
SURE = RNG.beta(4, 1.5, 400)
RIGHT = RNG.random(400) < SURE**2


def curve_of(axes, label):
    (line,) = [one for one in axes.lines if one.get_label().startswith(label)]
    return line.get_xdata(), line.get_ydata(), line.get_label()


@pytest.mark.parametrize("n_bins", [1, 5, 15])
def test_the_points_are_those_of_scikit_learn(n_bins):
    axes = plot_calibration(torch.tensor(SURE), torch.tensor(RIGHT), n_bins=n_bins)
    x, y, label = curve_of(axes, "ECE")
    share, mean = calibration_curve(RIGHT, SURE, n_bins=n_bins)
    np.testing.assert_allclose(x, mean)
    np.testing.assert_allclose(y, share)
    counts = np.histogram(SURE, n_bins, (0, 1))[0]
    expected = (np.abs(share - mean) * counts[counts > 0]).sum() / len(SURE)
    assert label == f"ECE {expected:.1%}"


def test_before_and_after_are_drawn_together():
    axes = plot_calibration(SURE**2, RIGHT, before=SURE, title="mine")
    assert axes.get_title() == "mine"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [label.split()[0] for label in labels] == ["before:", "calibrated:"]
    before, after = (float(label.split()[-1].rstrip("%")) for label in labels)
    assert after < before


def test_the_ends_of_the_range_are_in_the_first_and_the_last_bin():
    x, y, _ = curve_of(plot_calibration([0.0, 1.0, 1.0, 1 + 1e-7], [False, True, True, False]), "E")
    assert x.tolist() == pytest.approx([0.0, 1.0])
    assert y.tolist() == pytest.approx([0.0, 2 / 3])


def test_what_cannot_be_a_calibration():
    with pytest.raises(ValueError, match="from 0 to 1, but those in `confidence` reach .* softmax"):
        plot_calibration([3.0, -1.0], [True, False])
    with pytest.raises(ValueError, match="got 2 in `confidence`, 1 in `correct`"):
        plot_calibration([0.5, 0.5], [True])
    with pytest.raises(ValueError, match="got 0 in `confidence`"):
        plot_calibration([], [])
    with pytest.raises(ValueError, match="got 1 in `before`, 2 in `correct`"):
        plot_calibration([0.5, 0.5], [True, False], before=[0.5])
    with pytest.raises(ValueError, match="reach from nan"):
        plot_calibration([float("nan")], [True])


def test_the_area_is_the_average_precision():
    scores, targets = RNG.random(200), RNG.random(200) < 0.3
    precision, recall, _ = precision_recall_curve(targets, scores)
    axes = plot_precision_recall(precision, recall)
    expected = average_precision_score(targets, scores)
    assert axes.get_title() == f"1 label, mean average precision {expected:.3f}"
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), precision)


def test_the_labels_with_the_lowest_figures_are_named():
    recall = np.tile(np.linspace(1, 0, 11), (12, 1))
    precision = np.linspace(0.1, 0.98, 12)[:, None].repeat(11, 1)
    precision[3] = np.nan  # a label of which there is no picture
    names = [f"$label$ {i}" for i in range(12)]
    axes = plot_precision_recall(precision, torch.tensor(recall), names, k=3)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["$label$ 0 0.10", "$label$ 1 0.18", "$label$ 2 0.26"]
    assert axes.get_legend().get_title().get_text() == "the lowest 3"
    assert len(axes.lines) == 11
    axes.figure.canvas.draw()
    given = plot_precision_recall(precision, recall, names, average_precision=np.arange(12) / 12)
    assert given.get_legend().get_texts()[0].get_text() == "$label$ 0 0.00"


def test_labels_that_are_all_unknown_draw_no_curve():
    axes = plot_precision_recall(np.full((2, 3), np.nan), np.zeros((2, 3)), ["a", "b"])
    assert not axes.lines and axes.get_title() == "2 labels"


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"got \[2, 3\], \[1, 3\] and 2 name"):
        plot_precision_recall(np.zeros((2, 3)), np.zeros(3), ["a", "b"])
    with pytest.raises(ValueError, match="and 1 name"):
        plot_precision_recall(np.zeros((2, 3)), np.zeros((2, 3)), ["a"])


def test_the_bins_of_the_points_are_those_of_the_calibration_error():
    sure = torch.linspace(0, 1, 31)  # ends of bins among them
    right = (torch.arange(31) % 3 > 0).float()
    found = calibration_gap(*calibration_bins(sure, right))
    assert found == pytest.approx(calibration_error(sure, right), abs=1e-9)
