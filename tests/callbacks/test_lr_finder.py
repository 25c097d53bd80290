import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks import lr_finder
from presize.callbacks.base import Callback, CancelFit
from presize.callbacks.lr_finder import (
    LRFinder,
    minimum,
    plot_lr_find,
    slide,
    steep,
    suggested,
    valley,
)
from presize.core.errors import TrainingError
from presize.core.ranks import Rank
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


def test_slide_is_the_highest_rate_at_which_the_loss_still_falls_fast():
    rate, loss = slide(LRS, LOSSES, 100)
    assert 5e-3 < rate < 5e-2
    assert loss == LOSSES[np.abs(LRS - rate).argmin()]
    # A steady fall that ends at 1e-1: half a decade before its end.
    steady = -np.log10(LRS).clip(None, -1)
    assert slide(LRS, steady, 100)[0] == pytest.approx(10**-1.25, rel=0.1)
    for few in (4, 6):
        assert slide(LRS[:few], LOSSES[:few], few)[0] in LRS[:few]
    assert slide(LRS, np.ones(100), 100)[0] < 1e-5
    assert slide(LRS, LRS, 100)[0] < 1e-5


@pytest.mark.parametrize("function", [minimum, steep, valley, slide])
def test_no_suggestion_depends_on_the_unit_of_the_loss_or_the_number_of_steps(function):
    rate = function(LRS, LOSSES, 100)[0]
    assert function(LRS, LOSSES * 250 + 7, 100)[0] == rate
    fine = np.geomspace(LRS[0], LRS[-1], 400)
    losses = np.interp(np.log(fine), np.log(LRS), LOSSES)
    assert function(fine, losses, 400)[0] == pytest.approx(rate, rel=0.5)


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


def line_learner(n=30, cbs=None):
    torch.manual_seed(0)
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(n)]
    return Learner(
        DataLoaders(batches, batches[:2], device="cpu"), nn.Linear(3, 1), F.mse_loss, SGD, cbs=cbs
    )


class Keep(Callback):
    """Keeps what the recorder has at each step of a search."""

    order = 70

    def after_batch(self, learn):
        finder = next((cb for cb in learn.cbs if isinstance(cb, LRFinder)), None)
        if finder is not None:
            SEEN.append((list(finder.lrs), list(finder.losses), learn.recorder.losses))


SEEN = []


def test_the_finder_keeps_rates_and_the_losses_that_the_recorder_has():
    SEEN.clear()
    line_learner(cbs=Keep()).lr_find(num_it=40, show_plot=False, stop_div=False)
    lrs, losses, recorded = SEEN[-1]
    assert len(lrs) == len(losses) == len(SEEN) == 39  # the last step ends the search
    assert losses == pytest.approx(recorded, rel=1e-5)
    assert np.diff(np.log(lrs)) == pytest.approx(np.log(1e8) / 39)


def test_processes_that_train_together_stop_and_suggest_alike(monkeypatch):
    found = []
    for rank in range(2):
        learn = line_learner()
        learn.parallel.rank = Rank(rank, 2)
        # The other one's loss is nan from step 12 on; in the recorder only its own are.
        monkeypatch.setattr(
            lr_finder,
            "all_sum",
            lambda t, learn=learn: t * 2 if learn.train_iter < 12 else t * np.nan,
        )
        finder = LRFinder(num_it=30)
        learn.create_opt()
        finder.before_fit(learn)
        for step in range(30):
            learn.train_iter, learn.loss = step, torch.tensor(3.0)
            finder.before_batch(learn)
            try:
                finder.after_batch(learn)
            except CancelFit:
                break
        found.append((step, finder.lrs, finder.losses[:12]))
    assert found[0] == found[1]
    assert found[0][0] == 12 and found[0][2] == pytest.approx([3.0] * 12)


def test_losses_below_zero_are_no_divergence():
    class Below(nn.Module):
        def forward(self, pred, target):
            return -2.0 - 0.001 * F.mse_loss(pred, target).clamp(max=1.0)

    learn = line_learner()
    learn.loss_func = Below()
    found = learn.lr_find(num_it=30, show_plot=False, suggest_funcs=(minimum, steep, valley, slide))
    assert found._fields == ("minimum", "steep", "valley", "slide")


@pytest.mark.parametrize(
    "wrong", [{"start_lr": 0}, {"start_lr": 1, "end_lr": 0.1}, {"num_it": 0}, {"end_lr": np.inf}]
)
def test_a_sweep_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"from start_lr, more than 0, to end_lr in num_it steps"):
        line_learner().lr_find(show_plot=False, **wrong)


def test_any_function_can_suggest_and_text_cannot():
    half = lambda lrs, losses, num_it: (lrs[len(lrs) // 2], losses[len(lrs) // 2])  # noqa: E731
    found, points = suggested(list(LRS), list(LOSSES), 100, [half, half, minimum, minimum])
    assert found._fields == ("suggestion_0", "suggestion_1", "minimum", "suggestion_3")
    assert found[0] == points[0][0] == found[1]
    with pytest.raises(TypeError, match="got 'valey'. Did you mean `valley`.* without quotes"):
        suggested(list(LRS), list(LOSSES), 100, ["valey"])


def test_valley_is_the_longest_series_of_ever_lower_losses():
    rng = np.random.default_rng(0)
    losses = LOSSES + rng.normal(0, 0.3, len(LOSSES))
    rate, loss = valley(LRS, losses, 100)
    assert loss == losses[np.abs(LRS - rate).argmin()]
    # The same without shortcuts: the longest falling subsequence that ends at each place.
    longest = [1] * len(losses)
    for i in range(len(losses)):
        longest[i] = 1 + max((longest[j] for j in range(i) if losses[j] > losses[i]), default=0)
    end = int(np.argmax(longest))
    assert LRS[0] < rate < LRS[end]
