import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback
from presize.callbacks.lr_finder import minimum, plot_lr_find, slide, steep, suggested, valley
from presize.core.errors import TrainingError
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.train.optim import SGD

LRS = np.geomspace(1e-6, 10, 100)
# Flat, then a fall that is steepest at 1e-2, lowest at 1e-1, then a rise.
LOSSES = (
    2 - 1.5 / (1 + np.exp(-4 * (np.log10(LRS) + 2))) + 3 * np.clip(np.log10(LRS) + 1, 0, 9) ** 2
)


def test_minimum_is_a_tenth_of_the_best_rate():
    rate, _ = minimum(LRS, LOSSES, 100)
    assert rate == pytest.approx(LRS[LOSSES.argmin()] / 10)


def test_steep_is_where_the_loss_falls_fastest():
    assert steep(LRS, LOSSES, 100)[0] == pytest.approx(1e-2, rel=0.25)


def test_valley_lies_on_the_way_down():
    rate, loss = valley(LRS, LOSSES, 100)
    assert 1e-3 < rate < 1e-1
    assert LOSSES.min() < loss < LOSSES[0]


def test_suggestions_are_a_named_tuple_that_prints_as_a_pair():
    pair, points = suggested(list(LRS), list(LOSSES), 100, [minimum, steep])
    assert pair._fields == ("minimum", "steep")
    assert repr(pair) == repr((pair.minimum, pair.steep))
    assert len(points) == 2


def test_a_diverged_sweep_still_suggests():
    losses = LOSSES.copy()
    losses[90:] = np.nan
    pair, _ = suggested(list(LRS), list(losses), 100, [minimum, steep])
    assert np.isfinite(pair).all()


def test_too_few_finite_losses_say_what_to_try():
    with pytest.raises(TrainingError, match="begin lower"):
        suggested(list(LRS[:5]), [np.nan] * 5, 100, [minimum])


def test_the_plot_marks_the_suggestions():
    pair, points = suggested(list(LRS), list(LOSSES), 100, [minimum, steep])
    ax = plot_lr_find(list(LRS), list(LOSSES), pair, points)
    assert ax.get_xscale() == "log"
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels[0].startswith("minimum: ") and labels[1].startswith("steep: ")


def test_slide_is_where_the_slope_changes():
    rate, loss = slide(LRS, LOSSES, 100)
    assert 1e-3 < rate < 1
    assert loss == LOSSES[np.abs(LRS - rate).argmin()]
    assert slide(LRS[:6], LOSSES[:6], 6)[0] == LRS[0]
    flat = np.ones(100)
    assert slide(LRS, flat, 100)[0] == LRS[-16]


def test_too_few_steps_are_told_from_losses_that_are_none():
    with pytest.raises(TrainingError, match=r"in 3 of 3 steps.*Take more steps"):
        suggested(list(LRS[:3]), [1.0] * 3, 3, [minimum])
    with pytest.raises(TrainingError, match=r"2 finite losses in 2 of 100 steps.*begin lower"):
        suggested(list(LRS[:2]), [1.0] * 2, 100, [minimum])


def test_jumps_of_the_loss_at_the_lowest_rates_are_no_divergence():
    class Jump(Callback):
        def after_loss(self, learn):
            if learn.training and learn.train_iter == 0:
                learn.loss = learn.loss * 1e-4

    batches = [(torch.ones(4, 3), torch.ones(4, 1))] * 10
    dls = DataLoaders(batches, batches, device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, SGD, cbs=Jump())
    steps = []

    class Count(Callback):
        def after_step(self, learn):
            steps.append(learn.train_iter)

    learn.add_cb(Count())
    learn.lr_find(end_lr=1e-3, show_plot=False)
    assert len(steps) == 100
