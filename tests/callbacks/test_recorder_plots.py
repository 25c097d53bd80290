"""The pictures of a recorder: what was recorded is what is drawn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from presize.callbacks.base import Callback, CancelEpoch
from presize.callbacks.recorder import Recorder
from presize.callbacks.recorder_plots import plot_lr_find
from presize.core.errors import TrainingError
from presize.core.lazy import plt
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders
from presize.learner import Learner
from presize.show import subplots
from presize.train.metrics import mae


def fitted(n_epoch=1, method="fit", cbs=()):
    """The recorder of a fit of 8 steps an epoch, and its learner."""
    x = torch.randn(32, 3)
    data = list(zip(x, x.sum(1, keepdim=True), strict=True))
    dls = DataLoaders(DataLoader(data, 4), DataLoader(data, 8), device="cpu")
    learn = Learner(dls, nn.Linear(3, 1), F.mse_loss, metrics=mae)
    recorder = Recorder(train_metrics=True)
    with learn.no_logging():
        getattr(learn, method)(n_epoch, cbs=[recorder, *cbs])
    return recorder, learn


def marked(axes):
    """The epochs that are named above, and the steps that they end at."""
    (above,) = axes.child_axes
    return [text.get_text() for text in above.get_xticklabels()], above.get_xticks().tolist()


def test_the_ends_of_epochs_are_marked():
    axes = fitted(3)[0].plot_loss(skip_start=0)
    assert marked(axes) == (["0", "1", "2"], [7, 15, 23])
    assert len(axes.collections[0].get_segments()) == 3
    assert axes.lines[0].get_xdata().tolist() == list(range(24))


def test_of_many_epochs_every_second_or_fifth_is_named():
    recorder, _ = fitted(1)
    recorder.iters = [8 * (i + 1) for i in range(34)]
    recorder.shown = [[i, 0.0, 0.0] for i in range(34)]
    names, places = marked(recorder.plot_loss())
    assert names == ["0", "5", "10", "15", "20", "25", "30"]
    assert places == [8 * (int(name) + 1) - 1 for name in names]


def test_an_epoch_that_had_no_step_has_no_mark():
    class Leave(Callback):
        def before_train(self, learn):
            if learn.epoch == 1:
                raise CancelEpoch

    axes = fitted(3, cbs=[Leave()])[0].plot_loss()
    assert marked(axes) == (["0", "2"], [7, 15])


def test_one_epoch_needs_no_marks():
    assert not fitted(1)[0].plot_loss().child_axes


def test_runs_are_compared_on_the_same_axes():
    axes = fitted(2)[0].plot_loss()
    marks = len(axes.collections)
    assert fitted(3)[0].plot_loss(ax=axes) is axes
    assert len(axes.lines) == 4 and len(axes.child_axes) == 1 and len(axes.collections) == marks


def test_a_logarithmic_scale_bears_losses_that_are_not_positive():
    recorder, _ = fitted(2)
    recorder.values[0][2] = -1.0
    axes = recorder.plot_loss(log=True)
    assert axes.get_yscale() == "log"
    axes.figure.canvas.draw()


def test_each_metric_has_a_panel_with_a_curve_for_each_set():
    recorder, _ = fitted(3)
    grid = recorder.plot_metrics()
    assert [axes.get_ylabel() for axes in grid] == ["loss", "mae"]
    rows = np.array([list(row) for row in recorder.values])  # train_loss, train_mae, valid_...
    for axes, columns in zip(grid, ((0, 2), (1, 3)), strict=True):
        assert [line.get_label() for line in axes.lines] == ["train", "valid"]
        for line, column in zip(axes.lines, columns, strict=True):
            assert line.get_xdata().tolist() == [0, 1, 2]
            assert line.get_ydata().tolist() == rows[:, column].tolist()


def test_panels_are_chosen_by_name_and_drawn_where_wanted():
    recorder, _ = fitted(2, "fit_one_cycle")
    _, axes = subplots(1, 2)
    assert recorder.plot_metrics(["mae"], ax=axes[0]) == [axes[0]]
    assert recorder.plot_sched(["lr"], ax=axes[1]) == [axes[1]]
    assert axes[1].lines[0].get_ydata().tolist() == recorder.hps["lr"]
    with pytest.raises(TrainingError, match="no 'mea'; the last fit has loss, mae. Did you mean"):
        recorder.plot_metrics(["mea"])
    with pytest.raises(TrainingError, match="cannot draw 'wd': the last fit followed .*lr"):
        recorder.plot_sched(["wd"])
    with pytest.raises(ValueError, match="has room for 1"):
        recorder.plot_metrics(ax=axes[0])


def test_before_a_fit_the_pictures_say_what_to_do():
    with pytest.raises(TrainingError, match="no epoch has ended yet. Call fit"):
        Recorder().plot_metrics()
    with pytest.raises(TrainingError, match=r"Call learn.lr_find\(\) first"):
        Recorder().plot_lr_find()


def test_the_last_search_for_a_rate_is_drawn_again():
    _, learn = fitted(1)
    rates = learn.lr_find(num_it=30, show_plot=False)
    assert not plt.get_fignums()
    axes = learn.recorder.plot_lr_find(skip_end=0)
    search = learn.recorder.rate_search
    assert axes.lines[0].get_xdata().tolist() == list(search.lrs)
    assert axes.get_legend().get_texts()[0].get_text() == f"minimum: {rates[0]:.2e}"
    assert learn.recorder.plot_lr_find(ax=axes) is axes
    with learn.no_logging():
        learn.fit(1)
    assert learn.recorder.rate_search is search  # a fit does not forget it


def test_a_loss_that_has_diverged_does_not_hide_the_valley():
    rates = np.geomspace(1e-7, 10, 100)
    valley = 2 - np.exp(-((np.log10(rates) + 3) ** 2))
    losses = valley + np.where(rates > 1, rates**3, 0)
    low, high = plot_lr_find(rates, losses, skip_end=0).get_ylim()
    assert low < losses.min() and 2 < high < 4
    assert plot_lr_find(rates, valley).get_ylim()[1] < 2.1
    plot_lr_find([1.0, 2.0], [float("nan")] * 2, skip_end=0)


def test_a_single_step_is_seen():
    data = list(zip(torch.randn(4, 3), torch.randn(4, 1), strict=True))
    learn = Learner(DataLoaders(DataLoader(data, 4), device="cpu"), nn.Linear(3, 1), F.mse_loss)
    with learn.no_logging():
        learn.fit_one_cycle(1)
    lines = [learn.recorder.plot_loss().lines[0], learn.recorder.plot_sched()[0].lines[0]]
    assert [line.get_marker() for line in lines] == ["o", "o"]
